//! What shows that a caller holds a key.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use shared::clock;
use shared::identity::secrets::random_id;
use shared::store::clients::ClientKeys;
use shared::token::private_key::PrivateKey;
use shared::wire::jose::Algorithm;

use crate::Stack;

/// The `client_assertion_type` of [`assertion`] (RFC 7523 section 2.2).
pub const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A new key.
pub fn key(algorithm: Algorithm) -> PrivateKey {
    let pkcs8 = PrivateKey::generate(algorithm).expect("a key");
    PrivateKey::parse(algorithm, &pkcs8).expect("the same key")
}

/// What a client registers that is to sign with this key.
pub fn jwks(key: &PrivateKey) -> ClientKeys {
    ClientKeys::Jwks(json!({"keys": [key.public_jwk()]}).to_string())
}

/// The client `app` says who it is, or says what `change` makes of that.
pub fn assertion(stack: &Stack, key: &PrivateKey, change: impl FnOnce(&mut Value)) -> String {
    let now = clock::now();
    let mut claims = json!({
        "iss": "app", "sub": "app", "aud": stack.running.url, "iat": now, "exp": now + 60,
        "jti": random_id(""),
    });
    change(&mut claims);
    key.sign("JWT", &claims).expect("a signature").expose_secret().to_owned()
}
/// Somebody who holds a key.
pub struct Holder(Ed25519KeyPair);

impl Holder {
    #[expect(clippy::new_without_default, reason = "no two are alike")]
    pub fn new() -> Self {
        Self(Ed25519KeyPair::generate().expect("a key"))
    }

    /// The holder of a key as [`PrivateKey::generate`] makes it.
    pub fn of(pkcs8: &str) -> Self {
        let der = STANDARD.decode(pkcs8).expect("base64");
        Self(Ed25519KeyPair::from_pkcs8(&der).expect("an Ed25519 key"))
    }

    /// A proof for a request, with a token or without (RFC 9449).
    pub fn proof(&self, method: &str, url: &str, token: Option<&str>) -> String {
        self.proof_at(method, url, token, clock::now())
    }

    /// One that is made at some other time.
    pub fn proof_at(&self, method: &str, url: &str, token: Option<&str>, now: u64) -> String {
        let x = URL_SAFE_NO_PAD.encode(self.0.public_key());
        let header =
            json!({"alg": "EdDSA", "typ": "dpop+jwt", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": x}});
        let mut claims = json!({"htm": method, "htu": url, "iat": now, "jti": random_id("")});
        if let Some(token) = token {
            let hash = digest::digest(&digest::SHA256, token.as_bytes());
            claims["ath"] = URL_SAFE_NO_PAD.encode(hash).into();
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", part(&header), part(&claims));
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(self.0.sign(input.as_bytes())))
    }
}
