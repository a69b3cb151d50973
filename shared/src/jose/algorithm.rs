//! JOSE algorithms (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2).

use serde::{Deserialize, Serialize};

/// The supported algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA on P-384 with SHA-384, for verification only.
    #[serde(rename = "ES384")]
    Es384,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// The algorithms of our own tokens.
    pub const SIGNING: [Self; 3] = [Self::Rs256, Self::Es256, Self::EdDsa];

    /// Whether our own tokens can have this algorithm.
    pub fn signs(self) -> bool {
        Self::SIGNING.contains(&self)
    }

    /// The `alg` value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// All accepted `alg` values, with RFC 9864's name of EdDSA on Ed25519.
    pub const NAMES: [&str; 5] = ["RS256", "ES256", "ES384", "EdDSA", "Ed25519"];

    /// The algorithm with this case-sensitive name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "ES384" => Some(Self::Es384),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }

    /// The algorithm with this name, if our own tokens can have it.
    pub fn for_signing(name: &str) -> Option<Self> {
        Self::from_name(name).filter(|algorithm| algorithm.signs())
    }
}
