//! Client authentication: RFC 6749 §2.3.1.

use lambda_http::http::HeaderMap;
use secrecy::SecretString;

use crate::identity::secrets::{SecretDigest, SecretKind, generate};
use crate::store::clients::{Client, Clients};
use crate::wire::http::{BasicCredentials, Credentials, Form};
use crate::wire::oauth::OAuthError;

/// The client that a request is from.
///
/// # Errors
/// `invalid_request` when there are two sets of credentials or two clients; `invalid_client`, the same
/// for every reason, when there is none or it is not authenticated.
pub async fn authenticate(
    headers: &HeaderMap,
    form: &mut Form,
    clients: &Clients,
    now: u64,
) -> Result<Client, OAuthError> {
    let BasicCredentials { id, secret } = presented(headers, form)?;
    // A malformed secret is nobody's: it is refused before any look-up.
    let presented =
        SecretDigest::of(SecretKind::ClientSecret, &secret).ok_or_else(OAuthError::invalid_client)?;
    let client = clients.get(&id).await.map_err(OAuthError::unavailable)?;
    judge(client, &presented, now)
}

/// The one set of credentials in the request.
fn presented(headers: &HeaderMap, form: &mut Form) -> Result<BasicCredentials, OAuthError> {
    let body_secret = form.secret("client_secret");
    let body_id = form.text("client_id");
    match (Credentials::read(headers)?, body_secret) {
        (Credentials::Basic(_), Some(_)) => {
            Err(OAuthError::invalid_request("client credentials stand both in the header and in the body"))
        }
        (Credentials::Basic(basic), None) if body_id.is_some_and(|id| id != basic.id) => {
            Err(OAuthError::invalid_request("the header and the body name two clients"))
        }
        (Credentials::Basic(basic), None) => Ok(basic),
        (Credentials::Missing, Some(secret)) => match body_id {
            Some(id) => Ok(BasicCredentials { id: id.to_owned(), secret }),
            None => Err(OAuthError::invalid_client()),
        },
        _ => Err(OAuthError::invalid_client()),
    }
}

/// Unknown, wrong and disabled are one answer.
fn judge(client: Option<Client>, presented: &SecretDigest, now: u64) -> Result<Client, OAuthError> {
    let client = client.ok_or_else(OAuthError::invalid_client)?;
    // Every secret is compared, so that the time doesn't tell which one was right.
    let right = client.secrets.iter().fold(false, |right, secret| {
        let good = secret.expires_at.is_none_or(|expires_at| now < expires_at);
        (secret.digest.matches(presented) && good) || right
    });
    if right && !client.disabled {
        Ok(client)
    } else {
        Err(OAuthError::invalid_client().concerning(&client.client_id))
    }
}

/// A new secret for a client, and its digest for the table.
pub fn new_secret() -> (SecretString, SecretDigest) {
    let secret = generate(SecretKind::ClientSecret);
    let digest = SecretDigest::of(SecretKind::ClientSecret, &secret);
    (secret, digest.expect("a secret that was just made is well-formed"))
}
