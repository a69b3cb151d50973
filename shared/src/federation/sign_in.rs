//! Sign-in with a token of a trusted issuer, at `/google` and by token exchange.

use crate::federation::identity::FederatedIdentity;
use crate::oauth::error::OAuthError;
use crate::sessions::SignedIn;
use crate::store::identities::{Identities, LinkedAccount};
use crate::store::table::StoreError;
use crate::store::users::Account;

/// The user of a federated identity. The first sign-in creates the user.
///
/// # Errors
/// `rejected` if the user is disabled or deleted.
pub async fn sign_in(
    identities: &Identities,
    federated: FederatedIdentity,
    rejected: impl Fn() -> OAuthError,
    now: u64,
) -> Result<SignedIn, OAuthError> {
    let account = account(identities, &federated, &rejected, now).await?;
    if account.disabled {
        return Err(rejected().with_subject(&account.sub).with_cause("user is disabled"));
    }
    let FederatedIdentity { issuer, email, scopes, .. } = federated;
    Ok(SignedIn { account, email, scopes, issuer: Some(issuer) })
}

async fn account(
    identities: &Identities,
    federated: &FederatedIdentity,
    rejected: impl Fn() -> OAuthError,
    now: u64,
) -> Result<Account, OAuthError> {
    let FederatedIdentity { issuer, subject, email, .. } = federated;
    let found = identities.find(issuer, subject).await?;
    let found = match found {
        Some(found) => found,
        None => match identities.create(issuer, subject, email.clone(), now).await {
            Ok(account) => LinkedAccount::Account(account),
            // A concurrent first sign-in created the user.
            Err(StoreError::Exists) => {
                let found = identities.find(issuer, subject).await?;
                found.ok_or(StoreError::Missing)?
            }
            Err(error) => return Err(error.into()),
        },
    };
    match found {
        LinkedAccount::Account(account) => Ok(account),
        LinkedAccount::Deleted => Err(rejected().with_cause("user was deleted")),
        LinkedAccount::NotFederated => {
            Err(rejected().with_cause("federated identity is linked to a user with a password"))
        }
    }
}
