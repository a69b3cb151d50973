//! Sign-in with a user name and a password.

use std::time::Duration;

use secrecy::SecretString;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use crate::oauth::error::{ErrorKind, OAuthError};
use crate::passwords::hash::{PasswordHash, Verification, longest_verification};
use crate::sessions::SignedIn;
use crate::store::attempts::{AttemptOutcome, Attempts};
use crate::store::table::StoreError;
use crate::store::users::Account;
use crate::store::users::{User, Users};

/// What the look-ups before a verification take at most, if the store answers at the first attempt.
const LOOK_UPS: Duration = Duration::from_millis(200);

/// How long a rejection of this password takes at least: as long as the look-ups and the dearest verification, so that
/// the time does not tell whether there was a hash, and of which cost. The caller knows the password that it depends on.
fn rejection_time(password: &SecretString) -> Duration {
    LOOK_UPS + longest_verification(password)
}

/// What a person shows.
pub struct SignIn {
    /// The user's name.
    pub username: String,
    /// The password.
    pub password: SecretString,
    /// Where the request comes from.
    pub source: String,
}

/// Who the person is.
///
/// # Errors
/// An unknown user, a wrong password, a disabled user and an account that was tried too often are one
/// and the same to the caller, in words and in time.
pub async fn sign_in(
    sign_in: SignIn,
    users: &Users,
    attempts: &Attempts,
    now: u64,
) -> Result<SignedIn, OAuthError> {
    let rejected_at = Instant::now() + rejection_time(&sign_in.password);
    let result = try_once(sign_in, users, attempts, now).await;
    // A source that has used up its attempts gets its answer at once: it depends on no account, and costs no hash.
    let is_about_an_account = |error: &OAuthError| {
        !matches!(error.kind(), ErrorKind::TemporarilyUnavailable | ErrorKind::TooManyRequests)
    };
    if result.as_ref().is_err_and(is_about_an_account) {
        sleep_until(rejected_at).await;
    }
    result
}

async fn try_once(
    sign_in: SignIn,
    users: &Users,
    attempts: &Attempts,
    now: u64,
) -> Result<SignedIn, OAuthError> {
    let SignIn { username, password, source } = sign_in;
    let (turn, user) =
        tokio::try_join!(attempts.reserve(&username, &source, now), users.with_password(&username))?;
    let reservation = match turn {
        AttemptOutcome::Reserved(reservation) => reservation,
        AttemptOutcome::Locked => {
            return Err(refused(user.as_ref()).with_cause("too many tries at this account"));
        }
        AttemptOutcome::TooMany(seconds) => {
            return Err(OAuthError::too_many_requests("too many sign-ins failed", seconds));
        }
    };
    let verification = verify(user.as_ref(), password.clone()).await?;
    let user = match user {
        Some(user) if verification != Verification::Wrong && !user.disabled => user,
        user => {
            let cause = match &user {
                None => "the user is unknown",
                Some(_) if verification == Verification::Wrong => "the password is wrong",
                Some(_) => "the user is disabled",
            };
            return Err(refused(user.as_ref()).with_cause(cause));
        }
    };
    if verification == Verification::RightButOutdated {
        renew(&user, password, users).await?;
    }
    // Whoever signed in is not kept waiting or out by a counter that stays one too high.
    let _ = attempts.release(reservation).await;
    Ok(signed_in(user))
}

async fn verify(user: Option<&User>, password: SecretString) -> Result<Verification, OAuthError> {
    let stored = user.and_then(|user| user.password_hash.clone());
    // A hash takes tens of milliseconds: beside the runtime, so that nothing else waits for it.
    let verification = spawn_blocking(move || PasswordHash::verify(stored.as_ref(), &password)).await;
    verification.map_err(OAuthError::unavailable)
}

fn refused(user: Option<&User>) -> OAuthError {
    let error = OAuthError::new(ErrorKind::SignInFailed, "the user name or the password is wrong");
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

/// Replaces an imported or outdated hash, now that the password is known to be right.
async fn renew(user: &User, password: SecretString, users: &Users) -> Result<(), OAuthError> {
    let read = user.password_hash.as_ref().ok_or_else(|| refused(Some(user)))?;
    let hash =
        spawn_blocking(move || PasswordHash::compute(&password)).await.map_err(OAuthError::unavailable)?;
    match users.renew_hash(&user.username, read, &hash).await {
        Err(StoreError::Changed) => {
            // Deleted, or given another password, a moment ago: nothing to renew, and nothing to grant. Or another
            // sign-in renewed it.
            let found = users.get(&user.username).await.map_err(OAuthError::unavailable)?;
            let is_as_before = found.is_some_and(|found| found.sub == user.sub && found.epoch == user.epoch);
            if is_as_before {
                Ok(())
            } else {
                Err(refused(Some(user)).with_cause("the user has changed meanwhile"))
            }
        }
        result => result.map_err(OAuthError::unavailable),
    }
}
