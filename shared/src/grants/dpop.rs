//! The proof of possession in a request to one of our own endpoints (RFC 9449 §5).

use lambda_http::Request;

use crate::config::Issuer;
use crate::store::seen::Seen;
use crate::token::dpop::{Proof, Target};
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
    let text = value.to_str().ok().filter(|_| second.is_none()).ok_or_else(refused)?;
    let (Some(domain), Some(path)) = (domain(request), path(request)) else {
        return Err(OAuthError::unavailable("the event names no domain or path"));
    };
    let url = issuer.own_url(domain, path);
    let target = Target { method: request.method().as_str(), url: &url, access_token: None };
    let proof = Proof::judge(text, target, now).map_err(|_| refused())?;
    if use_up(&proof, seen).await? { Ok(Some(proof.key)) } else { Err(refused()) }
}

async fn use_up(proof: &Proof, seen: &Seen) -> Result<bool, OAuthError> {
    let issuer = format!("dpop:{}", proof.key);
    seen.is_first(&issuer, &proof.token_id, proof.expires_at).await.map_err(OAuthError::unavailable)
}
