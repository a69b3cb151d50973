//! Sign-in by another issuer's word, at `/google` and in token exchange alike.

use super::sessions::SignedIn;
use crate::store::accounts::Account;
use crate::store::identities::{Found, Identities};
use crate::store::table::StoreError;
use crate::token::issuers::Vouched;
use crate::wire::oauth::OAuthError;

/// The user whom an issuer vouches for; made at the first sign-in.
///
/// # Errors
/// `refused` for a user who was disabled or deleted.
pub async fn sign_in(
    identities: &Identities,
    vouched: Vouched,
    refused: impl Fn() -> OAuthError,
    now: u64,
) -> Result<SignedIn, OAuthError> {
    let account = account(identities, &vouched, &refused, now).await?;
    if account.disabled {
        return Err(refused().concerning(&account.sub).because("the user is disabled"));
    }
    let Vouched { issuer, email, scopes, .. } = vouched;
    Ok(SignedIn { account, email, scopes, issuer: Some(issuer) })
}

async fn account(
    identities: &Identities,
    vouched: &Vouched,
    refused: impl Fn() -> OAuthError,
    now: u64,
) -> Result<Account, OAuthError> {
    let Vouched { issuer, subject, email, .. } = vouched;
    let found = identities.find(issuer, subject).await.map_err(OAuthError::unavailable)?;
    let found = match found {
        Some(found) => found,
        None => match identities.create(issuer, subject, email.clone(), now).await {
            Ok(account) => Found::Account(account),
            // Two first sign-ins at once: the other one was first, and its user counts.
            Err(StoreError::Exists) => {
                let found = identities.find(issuer, subject).await.map_err(OAuthError::unavailable)?;
                found.ok_or_else(|| OAuthError::unavailable(StoreError::Missing))?
            }
            Err(error) => return Err(OAuthError::unavailable(error)),
        },
    };
    match found {
        Found::Account(account) => Ok(account),
        Found::Deleted => Err(refused().because("the user was deleted")),
        Found::NotFederated => Err(refused().because("the link leads to a user with a password")),
    }
}
