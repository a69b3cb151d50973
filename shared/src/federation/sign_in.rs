//! Sign-in by another issuer's word, at `/google` and in token exchange alike.

use crate::federation::issuers::FederatedIdentity;
use crate::oauth::error::OAuthError;
use crate::sessions::SignedIn;
use crate::store::identities::{Identities, LinkedAccount};
use crate::store::table::StoreError;
use crate::store::users::Account;

/// The user whom an issuer vouches for; made at the first sign-in.
///
/// # Errors
/// `refused` for a user who was disabled or deleted.
pub async fn sign_in(
    identities: &Identities,
    federated: FederatedIdentity,
    refused: impl Fn() -> OAuthError,
    now: u64,
) -> Result<SignedIn, OAuthError> {
    let account = account(identities, &federated, &refused, now).await?;
    if account.disabled {
        return Err(refused().with_subject(&account.sub).with_cause("the user is disabled"));
    }
    let FederatedIdentity { issuer, email, scopes, .. } = federated;
    Ok(SignedIn { account, email, scopes, issuer: Some(issuer) })
}

async fn account(
    identities: &Identities,
    federated: &FederatedIdentity,
    refused: impl Fn() -> OAuthError,
    now: u64,
) -> Result<Account, OAuthError> {
    let FederatedIdentity { issuer, subject, email, .. } = federated;
    let found = identities.find(issuer, subject).await?;
    let found = match found {
        Some(found) => found,
        None => match identities.create(issuer, subject, email.clone(), now).await {
            Ok(account) => LinkedAccount::Account(account),
            // Two first sign-ins at once: the other one was first, and its user counts.
            Err(StoreError::Exists) => {
                let found = identities.find(issuer, subject).await?;
                found.ok_or(StoreError::Missing)?
            }
            Err(error) => return Err(error.into()),
        },
    };
    match found {
        LinkedAccount::Account(account) => Ok(account),
        LinkedAccount::Deleted => Err(refused().with_cause("the user was deleted")),
        LinkedAccount::NotFederated => Err(refused().with_cause("the link leads to a user with a password")),
    }
}
