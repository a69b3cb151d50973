//! The key and the message of the baselines that sign and verify.

use std::env;
use std::error::Error;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// As long as the signed part of a typical token.
pub const MESSAGE: [u8; 400] = [b'A'; 400];

/// The key in `SIGNING_KEY` with the algorithm in `SIGNING_ALGORITHM`.
pub enum SigningKey {
    /// `RS256`
    Rsa(RsaKeyPair),
    /// `ES256`
    Ecdsa(EcdsaKeyPair),
}

impl SigningKey {
    /// Reads both variables.
    pub fn from_environment() -> Result<Self, Box<dyn Error + Send + Sync>> {
        let der = STANDARD.decode(env::var("SIGNING_KEY")?)?;
        Ok(match env::var("SIGNING_ALGORITHM")?.as_str() {
            "RS256" => Self::Rsa(RsaKeyPair::from_pkcs8(&der)?),
            "ES256" => Self::Ecdsa(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der)?),
            other => return Err(format!("SIGNING_ALGORITHM is {other}: RS256 or ES256").into()),
        })
    }

    /// Signs [`MESSAGE`].
    pub fn sign(&self, random: &SystemRandom) -> Vec<u8> {
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, random, &MESSAGE, &mut signature).expect("a signature");
                signature
            }
            Self::Ecdsa(pair) => pair.sign(random, &MESSAGE).expect("a signature").as_ref().to_vec(),
        }
    }

    /// The parsed public key.
    pub fn public_key(&self) -> Result<ParsedPublicKey, Box<dyn Error + Send + Sync>> {
        Ok(match self {
            Self::Rsa(pair) => ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key())?,
            Self::Ecdsa(pair) => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key())?,
        })
    }
}
