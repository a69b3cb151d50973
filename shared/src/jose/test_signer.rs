//! A signer for tests, which signs any claims with a valid key.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::jose::jwt::{JwtError, UnverifiedJwt, VerifiedJwt};
use crate::jose::key::PublicKey;

pub struct TestSigner {
    pair: Ed25519KeyPair,
    pub public_key: PublicKey,
}

impl TestSigner {
    pub fn new() -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let public_key = PublicKey::from_jwk(&serde_json::from_value(jwk(&pair)).unwrap()).unwrap();
        Self { pair, public_key }
    }

    pub fn public_jwk(&self) -> Value {
        jwk(&self.pair)
    }

    /// A token with this header and these claims, as text.
    pub fn token(&self, header: &str, claims: &str) -> String {
        self.sign(&format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims)))
    }

    pub fn sign(&self, input: &str) -> String {
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(self.pair.sign(input.as_bytes())))
    }

    /// Parses and verifies a token as the authorizer does, without its claims.
    pub fn verify(&self, token: &str) -> Result<VerifiedJwt, JwtError> {
        UnverifiedJwt::parse(token, 8192)?.verify(&self.public_key)
    }
}

fn jwk(pair: &Ed25519KeyPair) -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(pair.public_key())})
}
