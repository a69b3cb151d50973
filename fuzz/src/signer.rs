//! Tokens with any header and claims, signed with a valid key.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use shared::jose::key::PublicKey;

/// The public test key of RFC 8037 appendix A.1.
const SEED: [u8; 32] = [
    0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44,
    0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
];

/// A private key with its public half.
pub struct FuzzSigner {
    pair: Ed25519KeyPair,
    /// The public half.
    pub public_key: PublicKey,
    /// The public half as a JWK.
    pub jwk: Value,
}

thread_local! {
    /// The only signer.
    pub static SIGNER: FuzzSigner = FuzzSigner::new();
}

impl FuzzSigner {
    fn new() -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&SEED).expect("a seed of 32 bytes");
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(pair.public_key())});
        let public_key = public_key(&jwk);
        Self { pair, public_key, jwk }
    }

    /// A token with this header and these claims as they are written.
    pub fn token(&self, header: &[u8], claims: &[u8]) -> String {
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(input.as_bytes()));
        format!("{input}.{signature}")
    }
}

/// Parses a valid public key.
pub fn public_key(jwk: &Value) -> PublicKey {
    let jwk = serde_json::from_value(jwk.clone()).expect("an object");
    PublicKey::from_jwk(&jwk).expect("a valid key")
}
