//! Whether a token is used by whom it is bound to.

use shared::jose::confirmation::{Confirmation, certificate_thumbprint};
use shared::jose::dpop::{Proof, Target};
use shared::runtime::cache::{Unavailable, display_chain};
use shared::runtime::settings::Issuer;
use shared::store::replay::ReplayStore;
use shared::trust::proof_of_possession::{HEADER, record_first_use};

use crate::Refusal;
use crate::credential::one;
use crate::event::Event;
use crate::reason::Reason;

/// How a token was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// By whoever bears it.
    Bearer,
    /// With a proof (RFC 9449 §7.1).
    Dpop,
}

/// Checks what a token is bound to. A bound token without its proof is refused, and so is a proof for a
/// token that is bound to nothing.
pub(crate) async fn check(
    confirmation: &Confirmation,
    scheme: Scheme,
    access_token: &str,
    event: &Event,
    issuer: &Issuer,
    seen: &ReplayStore,
    now: u64,
) -> Result<(), Refusal> {
    if let Some(bound_to) = &confirmation.certificate {
        let presented = event.client_certificate().and_then(certificate_thumbprint);
        if presented.as_ref() != Some(bound_to) {
            return Err(invalid("the connection's certificate is not the token's"));
        }
    }
    match (&confirmation.key, scheme) {
        (None, Scheme::Bearer) => Ok(()),
        (Some(key), Scheme::Dpop) => prove(key, access_token, event, issuer, seen, now).await,
        (Some(_), Scheme::Bearer) => Err(invalid("the token is bound to a key and came as a bearer token")),
        (None, Scheme::Dpop) => Err(invalid("the token is bound to no key and came with a proof")),
    }
}

/// A denial with its cause, for the log.
fn invalid(cause: &str) -> Refusal {
    Refusal::Denied(Reason::InvalidToken, Some(cause.to_owned()))
}

/// Checks the proof that comes with the token, and that it comes for the first time. This write is the
/// price of a bound token: no other credential needs one.
async fn prove(
    key: &str,
    access_token: &str,
    event: &Event,
    issuer: &Issuer,
    seen: &ReplayStore,
    now: u64,
) -> Result<(), Refusal> {
    let text = one(event.header(HEADER))?.ok_or_else(|| invalid("there is no DPoP proof"))?;
    let (method, path) = event.call().ok_or(Reason::InvalidToken)?;
    let domain = event.domain().ok_or(Reason::InvalidToken)?;
    let url = issuer.own_url(domain, &path);
    let target = Target { method, url: &url, access_token: Some(access_token) };
    let proof =
        Proof::validate(text, target, now).map_err(|error| invalid(&format!("the DPoP proof: {error}")))?;
    if proof.key != key {
        return Err(invalid("the proof's key is not the token's"));
    }
    match record_first_use(&proof, seen).await.map_err(|error| Unavailable::new(display_chain(&error)))? {
        true => Ok(()),
        false => Err(invalid("the proof was used before")),
    }
}
