//! Sign-in with a user name and a password.

use secrecy::SecretString;
use tokio::task::spawn_blocking;

use super::FIRST_PARTY;
use super::client_credentials::narrowed;
use crate::identity::passwords::{PasswordHash, Verification};
use crate::store::table::StoreError;
use crate::store::users::{User, Users};
use crate::token::issue::Grant;
use crate::wire::oauth::{ErrorKind, OAuthError};

/// What a person shows.
pub struct SignIn {
    /// The user's name.
    pub username: String,
    /// The password.
    pub password: SecretString,
    /// The scopes asked for; none for all that the user has.
    pub scope: Option<String>,
}

/// What the person gets.
///
/// # Errors
/// An unknown user, a wrong password and a disabled user are one and the same to the caller, in words
/// and in time: each costs one read and one hash.
pub async fn grant(sign_in: SignIn, users: &Users) -> Result<Grant, OAuthError> {
    let user = users.get(&sign_in.username).await.map_err(OAuthError::unavailable)?;
    let stored = user.as_ref().and_then(|user| user.password_hash.clone());
    let password = sign_in.password.clone();
    // A hash takes tens of milliseconds: beside the runtime, so that nothing else waits for it.
    let verification = spawn_blocking(move || PasswordHash::verify(stored.as_ref(), &password)).await;
    let verification = verification.map_err(OAuthError::unavailable)?;
    let user = match user {
        Some(user) if verification != Verification::Wrong && !user.disabled => user,
        Some(user) => return Err(refused().concerning(&user.sub)),
        None => return Err(refused()),
    };
    if verification == Verification::RightButOutdated {
        renew(&user, sign_in.password, users).await?;
    }
    Ok(Grant {
        scopes: narrowed(&user.scopes, sign_in.scope.as_deref())
            .map_err(|error| error.concerning(&user.sub))?,
        subject: user.sub,
        client_id: FIRST_PARTY.to_owned(),
        audience: None,
        ttl: None,
        username: Some(user.username),
        email: user.email,
        custom: Default::default(),
    })
}

fn refused() -> OAuthError {
    OAuthError::new(ErrorKind::SignInFailed, "the user name or the password is wrong")
}

/// Replaces an imported or outdated hash, now that the password is known to be right.
async fn renew(user: &User, password: SecretString, users: &Users) -> Result<(), OAuthError> {
    let hash =
        spawn_blocking(move || PasswordHash::renewed(&password)).await.map_err(OAuthError::unavailable)?;
    match users.set_password(&user.username, &hash).await {
        // Deleted a moment ago: nothing to renew, and nothing to grant.
        Err(StoreError::Missing) => Err(refused()),
        result => result.map_err(OAuthError::unavailable),
    }
}
