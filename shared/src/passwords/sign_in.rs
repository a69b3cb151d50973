//! Sign-in with username and password.

use std::time::Duration;

use secrecy::SecretString;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use crate::oauth::error::{ErrorKind, OAuthError};
use crate::passwords::hash::{PasswordHash, Verification, longest_verification};
use crate::sessions::SignedIn;
use crate::store::attempts::{AttemptOutcome, Attempts};
use crate::store::table::StoreError;
use crate::store::users::{Account, User, Users};

/// The longest that the reads before a password verification take, if the store answers at the first attempt.
const LOOK_UPS: Duration = Duration::from_millis(200);

/// The minimum time of a rejection: the reads and the slowest verification of this password. The response time must not
/// tell whether the user has a password hash, and of which cost. It may depend on the password, which the caller knows.
fn rejection_time(password: &SecretString) -> Duration {
    LOOK_UPS + longest_verification(password)
}

/// A sign-in attempt.
pub struct SignIn {
    /// Username.
    pub username: String,
    /// Password.
    pub password: SecretString,
    /// Source address of the request.
    pub source: String,
}

/// Verifies a username and a password.
///
/// # Errors
/// An unknown user, a wrong password, a disabled user and a locked account have the same response and the same response
/// time.
pub async fn sign_in(
    sign_in: SignIn,
    users: &Users,
    attempts: &Attempts,
    now: u64,
) -> Result<SignedIn, OAuthError> {
    let rejected_at = Instant::now() + rejection_time(&sign_in.password);
    let result = verify_attempt(sign_in, users, attempts, now).await;
    // A source over its attempt limit is rejected at once: this depends on no account, and no hash was computed.
    let is_about_an_account = |error: &OAuthError| {
        !matches!(error.kind(), ErrorKind::TemporarilyUnavailable | ErrorKind::TooManyRequests)
    };
    if result.as_ref().is_err_and(is_about_an_account) {
        sleep_until(rejected_at).await;
    }
    result
}

async fn verify_attempt(
    sign_in: SignIn,
    users: &Users,
    attempts: &Attempts,
    now: u64,
) -> Result<SignedIn, OAuthError> {
    let SignIn { username, password, source } = sign_in;
    let (outcome, user) =
        tokio::try_join!(attempts.reserve(&username, &source, now), users.with_password(&username))?;
    let reservation = match outcome {
        AttemptOutcome::Reserved(reservation) => reservation,
        AttemptOutcome::Locked => {
            return Err(rejected(user.as_ref()).with_cause("account is locked: attempt limit reached"));
        }
        AttemptOutcome::TooMany(seconds) => {
            return Err(OAuthError::too_many_requests(
                "too many failed sign-in attempts; retry later",
                seconds,
            ));
        }
    };
    let verification = verify(user.as_ref(), password.clone()).await?;
    let user = match user {
        Some(user) if verification != Verification::Wrong && !user.disabled => user,
        user => {
            let cause = match &user {
                None => "unknown user",
                Some(_) if verification == Verification::Wrong => "incorrect password",
                Some(_) => "user is disabled",
            };
            return Err(rejected(user.as_ref()).with_cause(cause));
        }
    };
    if verification == Verification::RightButOutdated {
        rehash(&user, password, users).await?;
    }
    // A counter that stays one too high is no reason to fail a sign-in.
    let _ = attempts.release(reservation).await;
    Ok(signed_in(user))
}

async fn verify(user: Option<&User>, password: SecretString) -> Result<Verification, OAuthError> {
    let stored = user.and_then(|user| user.password_hash.clone());
    // A verification takes tens of milliseconds, which would block the runtime.
    let verification = spawn_blocking(move || PasswordHash::verify(stored.as_ref(), &password)).await;
    verification.map_err(OAuthError::unavailable)
}

fn rejected(user: Option<&User>) -> OAuthError {
    let error = OAuthError::new(ErrorKind::SignInFailed, "incorrect username or password");
    match user {
        Some(user) => error.with_subject(&user.sub),
        None => error,
    }
}

fn signed_in(user: User) -> SignedIn {
    let email = user.email.clone();
    let scopes = user.scopes.clone();
    let account = Account {
        username: user.username,
        sub: user.sub,
        email: user.email,
        scopes: user.scopes,
        disabled: user.disabled,
        epoch: user.epoch,
        created_at: user.created_at,
    };
    SignedIn { account, email, scopes, issuer: None }
}

/// Replaces an outdated or imported hash after the password was verified.
async fn rehash(user: &User, password: SecretString, users: &Users) -> Result<(), OAuthError> {
    let read = user.password_hash.as_ref().ok_or_else(|| rejected(Some(user)))?;
    let hash =
        spawn_blocking(move || PasswordHash::compute(&password)).await.map_err(OAuthError::unavailable)?;
    match users.replace_hash(&user.username, read, &hash).await {
        Err(StoreError::Changed) => {
            // Another sign-in has updated the hash, or the user was deleted or got another password. Only the first is
            // a success.
            let found = users.get(&user.username).await.map_err(OAuthError::unavailable)?;
            let is_as_before = found.is_some_and(|found| found.sub == user.sub && found.epoch == user.epoch);
            if is_as_before {
                Ok(())
            } else {
                Err(rejected(Some(user)).with_cause("user changed during the sign-in"))
            }
        }
        result => result.map_err(OAuthError::unavailable),
    }
}
