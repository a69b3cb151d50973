//! The proof of possession in a request to one of our own endpoints (RFC 9449 §5).

use lambda_http::Request;

use crate::config::Issuer;
use crate::store::seen::Seen;
use crate::store::table::StoreError;
use crate::token::dpop::{Proof, Target};
use crate::token::jwt::JwtError;
use crate::wire::context::{domain, path};
use crate::wire::oauth::{ErrorKind, OAuthError};

/// The header that the proof stands in.
pub const HEADER: &str = "dpop";

/// The thumbprint of the key that a request proves to hold; none if it proves nothing.
///
/// # Errors
/// A proof that is not good, or not for the first time.
pub async fn proven_key(
    request: &Request,
    issuer: &Issuer,
    seen: &Seen,
    now: u64,
) -> Result<Option<String>, OAuthError> {
    let refused = || OAuthError::new(ErrorKind::InvalidDpopProof, "the DPoP proof is not valid");
    let mut values = request.headers().get_all(HEADER).iter();
    let (value, second) = (values.next(), values.next());
    let Some(value) = value else { return Ok(None) };
    if second.is_some() {
        return Err(refused().because("there are two DPoP headers"));
    }
    let text = value.to_str().map_err(|_| refused().because(JwtError::Malformed))?;
    let (Some(domain), Some(path)) = (domain(request), path(request)) else {
        return Err(OAuthError::unavailable("the event names no domain or path"));
    };
    let url = issuer.own_url(domain, path);
    let target = Target { method: request.method().as_str(), url: &url, access_token: None };
    let proof = Proof::judge(text, target, now).map_err(|error| refused().because(error))?;
    match is_first_use(&proof, seen).await.map_err(OAuthError::unavailable)? {
        true => Ok(Some(proof.key)),
        false => Err(refused().because("the proof was used before")),
    }
}

/// Whether a proof comes for the first time, here or anywhere: each is good once (RFC 9449 §11.1).
pub async fn is_first_use(proof: &Proof, seen: &Seen) -> Result<bool, StoreError> {
    seen.is_first(&format!("dpop:{}", proof.key), &proof.token_id, proof.expires_at).await
}
