//! Sender-constrained tokens: a certificate binding (RFC 8705) and DPoP (RFC 9449).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use shared::jose::confirmation::{Confirmation, certificate_thumbprint};
use shared::jose::dpop::{Proof, Target};
use shared::runtime::cache::{Unavailable, display_chain};
use shared::trust::proof_of_possession::{HEADER, record_first_use};

use crate::credential::single_header;
use crate::deny_reason::DenyReason;
use crate::event::AuthorizerEvent;
use crate::{DeniedOrUnavailable, Deps};

/// What a path of a URL holds only when it is encoded (RFC 3986 §3.3): all but letters, digits and these.
const NOT_IN_PATHS: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The caller's TLS connection, behind a mutual-TLS domain.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TlsConnection {
    client_cert: Option<EventCertificate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventCertificate {
    client_cert_pem: Option<String>,
}

/// The scheme of the `Authorization` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenScheme {
    /// RFC 6750 §2.1.
    Bearer,
    /// RFC 9449 §7.1.
    Dpop,
}

/// An access token as the caller presents it.
pub(crate) struct PresentedToken<'a> {
    pub scheme: TokenScheme,
    pub text: &'a str,
    pub event: &'a AuthorizerEvent,
}

impl PresentedToken<'_> {
    /// Checks that the caller holds what the token is bound to.
    ///
    /// # Errors
    /// A bound token without its proof, and a proof with a token that is not bound.
    pub(crate) async fn check(
        &self,
        confirmation: &Confirmation,
        deps: &Deps,
        now: u64,
    ) -> Result<(), DeniedOrUnavailable> {
        if let Some(bound_to) = &confirmation.certificate {
            let presented = client_certificate(self.event).and_then(certificate_thumbprint);
            if presented.as_ref() != Some(bound_to) {
                return Err(invalid("the client certificate does not match the token"));
            }
        }
        match (&confirmation.key, self.scheme) {
            (None, TokenScheme::Bearer) => Ok(()),
            (Some(key), TokenScheme::Dpop) => self.check_proof(key, deps, now).await,
            (Some(_), TokenScheme::Bearer) => Err(invalid("the token requires the DPoP scheme")),
            (None, TokenScheme::Dpop) => {
                Err(invalid("the DPoP scheme requires a token that is bound to a key"))
            }
        }
    }

    /// Verifies the DPoP proof of the call and records its use. No other credential costs a write.
    async fn check_proof(&self, key: &str, deps: &Deps, now: u64) -> Result<(), DeniedOrUnavailable> {
        let header = single_header(self.event, HEADER)?;
        let proof = header.ok_or_else(|| invalid("missing DPoP proof"))?;
        let (method, url) = self.target(deps).ok_or(DenyReason::InvalidToken)?;
        let target = Target { method, url: &url, access_token: Some(self.text) };
        let proof =
            Proof::validate(proof, target, now).map_err(|error| invalid(&format!("DPoP proof: {error}")))?;
        if proof.key != key {
            return Err(invalid("the key of the DPoP proof is not the key of the token"));
        }
        match record_first_use(&proof, &deps.replay)
            .await
            .map_err(|error| Unavailable::new(display_chain(&error)))?
        {
            true => Ok(()),
            false => Err(invalid("DPoP proof reuse detected")),
        }
    }

    /// The method and the URL of the call, as the caller wrote them. None for a `TOKEN` event.
    fn target(&self, deps: &Deps) -> Option<(&str, String)> {
        let (method, path) = (self.event.method()?, self.event.called_path()?);
        let domain = self.event.domain()?;
        if self.event.is_simple() {
            // An HTTP API has decoded the path.
            let path = utf8_percent_encode(path, NOT_IN_PATHS).to_string();
            return Some((method, deps.issuer.own_url(domain, &path)));
        }
        Some((method, deps.issuer.own_url(domain, path)))
    }
}

/// The client certificate in PEM.
fn client_certificate(event: &AuthorizerEvent) -> Option<&str> {
    let context = event.request_context.as_ref()?;
    // HTTP APIs call the connection `authentication`, REST APIs `identity`.
    let mut connections = [&context.authentication, &context.identity].into_iter().flatten();
    let certificate = connections.find_map(|connection| connection.client_cert.as_ref())?;
    certificate.client_cert_pem.as_deref()
}

/// A denial with its cause, for the log.
fn invalid(cause: &str) -> DeniedOrUnavailable {
    DeniedOrUnavailable::Denied(DenyReason::InvalidToken, Some(cause.to_owned()))
}
