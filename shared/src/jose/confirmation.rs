//! The confirmation claim `cnf`, which binds a token to a key (RFC 7800 §3.1).

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Map, Value};

use crate::jose::jwt::JwtError;
use crate::jose::strict_object::StrictObject;

/// The keys that a token is bound to. Without one it is a bearer token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confirmation {
    /// `jkt`: the thumbprint of a key that each request proves (RFC 9449 §6.1).
    pub key: Option<String>,
    /// `x5t#S256`: the thumbprint of the client certificate (RFC 8705 §3.1).
    pub certificate: Option<String>,
}

impl Confirmation {
    /// The claim, or none without a key.
    pub fn to_json(&self) -> Option<Value> {
        let pair = |name: &str, value: &Option<String>| Some((name.to_owned(), value.as_deref()?.into()));
        let members: Map<String, Value> =
            [pair("jkt", &self.key), pair("x5t#S256", &self.certificate)].into_iter().flatten().collect();
        (!members.is_empty()).then_some(Value::Object(members))
    }

    /// Parses the claim. An unknown confirmation method is an error, because nothing would check it.
    pub fn read(claims: &StrictObject) -> Result<Self, JwtError> {
        let mut confirmation = Self::default();
        let Some(claim) = claims.get("cnf") else { return Ok(confirmation) };
        let members = claim.as_object().filter(|members| !members.is_empty());
        for (name, value) in members.ok_or(JwtError::InvalidClaim("cnf"))? {
            let place = match name.as_str() {
                "jkt" => &mut confirmation.key,
                "x5t#S256" => &mut confirmation.certificate,
                _ => return Err(JwtError::InvalidClaim("cnf")),
            };
            *place = Some(value.as_str().ok_or(JwtError::InvalidClaim("cnf"))?.to_owned());
        }
        Ok(confirmation)
    }

    /// The `token_type` of the token (RFC 9449 §5, RFC 8705 §3).
    pub fn token_type(&self) -> &'static str {
        if self.key.is_some() { "DPoP" } else { "Bearer" }
    }
}

/// The thumbprint of a certificate: SHA-256 of its DER (RFC 8705 §3.1).
pub fn certificate_thumbprint(pem: &str) -> Option<String> {
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    Some(URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &certificate)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(claim: Value) -> Result<Confirmation, JwtError> {
        Confirmation::read(&Map::from_iter([("cnf".to_owned(), claim)]).into())
    }

    #[test]
    fn serialized_confirmations_parse_back() {
        for claim in [json!({"jkt": "a"}), json!({"x5t#S256": "b"}), json!({"jkt": "a", "x5t#S256": "b"})] {
            assert_eq!(read(claim.clone()).unwrap().to_json(), Some(claim));
        }
        assert_eq!(Confirmation::read(&StrictObject::default()).unwrap().to_json(), None);
    }

    #[test]
    fn an_unknown_confirmation_method_is_rejected() {
        for claim in [
            json!({}),
            json!({"kid": "a"}),
            json!({"jkt": "a", "jwe": "b"}),
            json!({"jkt": 1}),
            json!("a"),
            json!(null),
        ] {
            assert_eq!(read(claim.clone()), Err(JwtError::InvalidClaim("cnf")), "{claim}");
        }
    }

    #[test]
    fn only_a_certificate_has_a_thumbprint() {
        // Base64 of `test` in PEM. The thumbprint is that of any bytes.
        let pem = "-----BEGIN CERTIFICATE-----\ndGVzdA==\n-----END CERTIFICATE-----\n";
        let sha256_of_test = "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg";
        assert_eq!(certificate_thumbprint(pem).as_deref(), Some(sha256_of_test));
        for text in ["", "dGVzdA==", &pem.replace("CERTIFICATE", "PUBLIC KEY"), &pem.replace('d', "!")] {
            assert_eq!(certificate_thumbprint(text), None, "{text}");
        }
    }
}
