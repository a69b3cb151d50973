//! DPoP proofs in requests to our own endpoints (RFC 9449 §5).

use crate::jose::dpop::{Proof, Target};
use crate::jose::jwt::JwtError;
use crate::oauth::error::{ErrorKind, OAuthError};
use crate::runtime::call::Call;
use crate::runtime::settings::Issuer;
use crate::store::replay::ReplayStore;
use crate::store::table::StoreError;

/// The header of a DPoP proof.
pub const HEADER: &str = "dpop";

/// The verified DPoP proof of a request, if it has one. The proof must be recorded before anything is granted.
#[must_use]
pub struct Possession(Option<Proof>);

impl Possession {
    /// Verifies the proof of a request, if it has one.
    ///
    /// # Errors
    /// `invalid_dpop_proof` for an invalid proof.
    pub fn of(call: Call<'_>, issuer: &Issuer) -> Result<Self, OAuthError> {
        let mut values = call.request.headers().get_all(HEADER).iter();
        let (value, second) = (values.next(), values.next());
        let Some(value) = value else { return Ok(Self(None)) };
        if second.is_some() {
            return Err(rejected().with_cause("duplicate DPoP header"));
        }
        let text = value.to_str().map_err(|_| rejected().with_cause(JwtError::Malformed))?;
        let (Some(domain), Some(path)) = (call.domain(), call.path()) else {
            return Err(OAuthError::unavailable("event has no domain or path"));
        };
        let url = issuer.own_url(domain, path);
        let target = Target { method: call.request.method().as_str(), url: &url, access_token: None };
        Proof::validate(text, target, call.now)
            .map(Some)
            .map(Self)
            .map_err(|error| rejected().with_cause(error))
    }

    /// Thumbprint of the proven key.
    pub fn key(&self) -> Option<String> {
        self.0.as_ref().map(|proof| proof.key.clone())
    }

    /// Records the proof in the replay store. It is a write, so it comes after the limits, quotas and credentials that
    /// bound what a caller may cost.
    ///
    /// # Errors
    /// `invalid_dpop_proof` for a replayed proof.
    pub async fn record_use(&self, replays: &ReplayStore) -> Result<(), OAuthError> {
        let Some(proof) = &self.0 else { return Ok(()) };
        match record_first_use(proof, replays).await? {
            true => Ok(()),
            false => Err(rejected().with_cause("DPoP proof replayed")),
        }
    }
}

fn rejected() -> OAuthError {
    OAuthError::new(ErrorKind::InvalidDpopProof, "invalid DPoP proof")
}

/// Records a proof, and returns whether this is its first use. Each proof can be used once (RFC 9449 §11.1).
pub async fn record_first_use(proof: &Proof, replays: &ReplayStore) -> Result<bool, StoreError> {
    replays.record_first_use(&format!("dpop:{}", proof.key), &proof.token_id, proof.expires_at).await
}
