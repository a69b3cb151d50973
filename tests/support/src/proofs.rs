//! Client assertions and DPoP proofs.

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use shared::identity::secrets::random_id;
use shared::jose::algorithm::Algorithm;
use shared::runtime::clock;
use shared::signing::private_key::PrivateKey;
use shared::store::clients::ClientKeys;

use crate::Stack;

/// The `client_assertion_type` of [`assertion`] (RFC 7523 section 2.2).
pub const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A new key.
pub fn key(algorithm: Algorithm) -> PrivateKey {
    let pkcs8 = PrivateKey::generate(algorithm).expect("a key");
    PrivateKey::parse(algorithm, &pkcs8).expect("the same key")
}

/// The JWKS that a client with this key registers.
pub fn jwks(key: &PrivateKey) -> ClientKeys {
    ClientKeys::Jwks(json!({"keys": [key.public_jwk()]}).to_string())
}

/// An assertion of the client `app`, with its claims changed by `change`.
pub fn assertion(stack: &Stack, key: &PrivateKey, change: impl FnOnce(&mut Value)) -> String {
    let now = clock::now();
    let mut claims = json!({
        "iss": "app", "sub": "app", "aud": stack.running.url, "iat": now, "exp": now + 60,
        "jti": random_id(""),
    });
    change(&mut claims);
    key.sign("JWT", &claims).expect("a signature").expose_secret().to_owned()
}

/// The holder of a key.
pub struct Holder(Ed25519KeyPair);

impl Holder {
    #[expect(clippy::new_without_default, reason = "no two are alike")]
    pub fn new() -> Self {
        Self(Ed25519KeyPair::generate().expect("a key"))
    }

    /// The public half.
    pub fn jwk(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(self.0.public_key())})
    }

    /// Signs this header and these claims as they are written.
    pub fn sign(&self, header: &str, claims: &str) -> String {
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(self.0.sign(input.as_bytes())))
    }

    /// The holder of a key of [`PrivateKey::generate`].
    pub fn of(pkcs8: &str) -> Self {
        let der = STANDARD.decode(pkcs8).expect("base64");
        Self(Ed25519KeyPair::from_pkcs8(&der).expect("an Ed25519 key"))
    }

    /// A proof for a request with or without an access token (RFC 9449).
    pub fn proof(&self, method: &str, url: &str, token: Option<&str>) -> String {
        self.proof_at(method, url, token, clock::now())
    }

    /// A proof that was made at `now`.
    pub fn proof_at(&self, method: &str, url: &str, token: Option<&str>, now: u64) -> String {
        let header = json!({"alg": "EdDSA", "typ": "dpop+jwt", "jwk": self.jwk()});
        let mut claims = json!({"htm": method, "htu": url, "iat": now, "jti": random_id("")});
        if let Some(token) = token {
            let hash = digest::digest(&digest::SHA256, token.as_bytes());
            claims["ath"] = URL_SAFE_NO_PAD.encode(hash).into();
        }
        self.sign(&header.to_string(), &claims.to_string())
    }
}

/// A key on P-384, which other issuers and clients use and we only verify.
pub struct P384(EcdsaKeyPair);

impl P384 {
    #[expect(clippy::new_without_default, reason = "no two are alike")]
    pub fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a key"))
    }

    /// The public half, as AWS publishes it.
    pub fn jwk(&self, key_id: &str) -> Value {
        // SEC 1 §2.3.3: 0x04, then the two coordinates.
        let (x, y) = self.0.public_key().as_ref()[1..].split_at(48);
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({
            "kty": "EC", "crv": "P-384", "x": part(x), "y": part(y), "kid": key_id, "alg": "ES384", "use": "sig",
        })
    }

    /// A token with these claims.
    pub fn sign(&self, key_id: &str, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input =
            format!("{}.{}", part(&json!({"alg": "ES384", "kid": key_id, "typ": "JWT"})), part(claims));
        let signature = self.0.sign(&SystemRandom::new(), input.as_bytes()).expect("a signature");
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
