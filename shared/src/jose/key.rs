//! Public keys as JSON Web Keys (RFC 7517). Our own keys and those in proofs are parsed strictly. The keys of a JWKS of
//! others are parsed with the leniency of [`PublicKey::from_published_jwk`].

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, EcdsaVerificationAlgorithm, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::jose::algorithm::Algorithm;
use crate::jose::strict_object::StrictObject;

/// Length of an RSA modulus, in bytes. Invariant: from 2048 bits, because RSA is weak below (RFC 7518 §3.3), to 8192
/// bits, because a verification takes too long above.
const RSA_MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;

/// Members of private and symmetric keys (RFC 7518 §6).
pub const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A parsed public key for signatures of one algorithm.
#[derive(Clone)]
pub struct PublicKey {
    algorithm: Algorithm,
    key: ParsedPublicKey,
}

/// Why a JWK is rejected.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    /// Not a key for signatures of a supported algorithm.
    #[error("unsupported key type, curve, use or algorithm")]
    Unsuitable,
    /// A member is missing or malformed.
    #[error("key member {0} is missing or malformed")]
    Malformed(&'static str),
}

/// Two keys are equal if they verify the same signatures, whatever their ids.
impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm && self.key.as_ref() == other.key.as_ref()
    }
}

impl Eq for PublicKey {}

impl PublicKey {
    /// Parses a JWK. `kty`, `crv`, `alg`, `use` and `key_ops` must allow the verification of a supported algorithm. A
    /// JWK with private members is rejected, because its private key is public.
    pub fn from_jwk(jwk: &StrictObject) -> Result<Self, KeyError> {
        Self::read(jwk, exact)
    }

    /// As [`PublicKey::from_jwk`], for a key of a JWKS of others. Base64url may be padded, and `n` and `e` may have
    /// leading zeros, as Java's big integers do.
    pub fn from_published_jwk(jwk: &StrictObject) -> Result<Self, KeyError> {
        Self::read(jwk, published)
    }

    fn read(jwk: &StrictObject, bytes: ReadBytes) -> Result<Self, KeyError> {
        // Some serializers write absent members as `null`.
        let member = |name| jwk.get(name).filter(|value| !value.is_null());
        if PRIVATE_MEMBERS.iter().any(|name| member(name).is_some()) {
            return Err(KeyError::Unsuitable);
        }
        let algorithm = match (jwk.string("kty"), jwk.string("crv")) {
            (Some("RSA"), _) => Algorithm::Rs256,
            (Some("EC"), Some("P-256")) => Algorithm::Es256,
            (Some("EC"), Some("P-384")) => Algorithm::Es384,
            (Some("OKP"), Some("Ed25519")) => Algorithm::EdDsa,
            _ => return Err(KeyError::Unsuitable),
        };
        let agrees = |name, wanted: &str| member(name).is_none_or(|value| value == wanted);
        let verifies = member("key_ops").is_none_or(|ops| {
            ops.as_array()
                .is_some_and(|ops| ops.iter().all(Value::is_string) && ops.contains(&json!("verify")))
        });
        let named =
            member("alg").is_none_or(|name| name.as_str().and_then(Algorithm::from_name) == Some(algorithm));
        if !named || !agrees("use", "sig") || !verifies {
            return Err(KeyError::Unsuitable);
        }
        let key = match algorithm {
            Algorithm::Rs256 => rsa(bytes(jwk, "n")?, bytes(jwk, "e")?)?,
            Algorithm::Es256 => ec(&ECDSA_P256_SHA256_FIXED, 32, &bytes(jwk, "x")?, &bytes(jwk, "y")?)?,
            Algorithm::Es384 => ec(&ECDSA_P384_SHA384_FIXED, 48, &bytes(jwk, "x")?, &bytes(jwk, "y")?)?,
            Algorithm::EdDsa => {
                let x = bytes(jwk, "x")?;
                if x.len() != 32 {
                    return Err(KeyError::Malformed("x"));
                }
                ParsedPublicKey::new(&ED25519, x).map_err(|_| KeyError::Malformed("x"))?
            }
        };
        Ok(Self { algorithm, key })
    }

    /// The algorithm of the key.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether `signature` (base64url) is a signature of `message` by this key.
    pub fn verifies(&self, message: &str, signature: &str) -> bool {
        let signature = URL_SAFE_NO_PAD.decode(signature);
        signature.is_ok_and(|signature| self.key.verify_sig(message.as_bytes(), &signature).is_ok())
    }
}

fn rsa(modulus: Vec<u8>, exponent: Vec<u8>) -> Result<ParsedPublicKey, KeyError> {
    // RFC 7518 §2: no leading zero octets. An even or tiny exponent is invalid in RSA.
    if !RSA_MODULUS.contains(&modulus.len()) || modulus.first() == Some(&0) {
        return Err(KeyError::Malformed("n"));
    }
    let odd = exponent.last().is_some_and(|byte| byte % 2 == 1);
    if !odd || exponent == [1] || exponent.first() == Some(&0) || exponent.len() > 4 {
        return Err(KeyError::Malformed("e"));
    }
    let components = RsaPublicKeyComponents { n: modulus, e: exponent };
    components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).map_err(|_| KeyError::Malformed("n"))
}

/// A point of a curve whose coordinates have `size` bytes.
fn ec(
    algorithm: &'static EcdsaVerificationAlgorithm,
    size: usize,
    x: &[u8],
    y: &[u8],
) -> Result<ParsedPublicKey, KeyError> {
    if x.len() != size || y.len() != size {
        return Err(KeyError::Malformed("x"));
    }
    // SEC 1 §2.3.3: 0x04, then the two coordinates.
    ParsedPublicKey::new(algorithm, [&[4], x, y].concat()).map_err(|_| KeyError::Malformed("x"))
}

/// Decodes the bytes of a member.
type ReadBytes = fn(&StrictObject, &'static str) -> Result<Vec<u8>, KeyError>;

fn exact(jwk: &StrictObject, name: &'static str) -> Result<Vec<u8>, KeyError> {
    decode(jwk.string(name), name)
}

fn published(jwk: &StrictObject, name: &'static str) -> Result<Vec<u8>, KeyError> {
    let mut bytes = decode(jwk.string(name).map(|text| text.trim_end_matches('=')), name)?;
    if ["n", "e"].contains(&name) {
        bytes.drain(..bytes.iter().take_while(|byte| **byte == 0).count());
    }
    Ok(bytes)
}

fn decode(text: Option<&str>, name: &'static str) -> Result<Vec<u8>, KeyError> {
    text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or(KeyError::Malformed(name))
}

/// The key id: the RFC 7638 thumbprint of the required members. Other members do not matter, well-formed or not.
pub fn thumbprint(jwk: &Value) -> Option<String> {
    let required = ["crv", "e", "kty", "n", "x", "y"];
    let required = required.into_iter().filter_map(|name| Some((name.to_owned(), jwk.get(name)?.clone())));
    let key = Jwk::deserialize(Value::Object(required.collect())).ok()?;
    key.thumbprint(ThumbprintHash::SHA256).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_matches_rfc_7638_section_3_1() {
        let jwk = json!({
            "kty": "RSA",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
            "e": "AQAB",
            "alg": "RS256",
            "kid": "2011-04-29",
            "x5u": ["not a URL"]
        });
        assert_eq!(thumbprint(&jwk).as_deref(), Some("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"));
    }

    #[test]
    fn null_members_of_a_jwk_are_ignored() {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        // A key as .NET's serializers write it.
        let mut jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": x});
        for name in ["alg", "use", "key_ops", "x5c", "n", "e"].into_iter().chain(PRIVATE_MEMBERS) {
            jwk[name] = json!(null);
        }
        assert_eq!(key(jwk), Ok(Algorithm::EdDsa));
        assert!(key(json!({"kty": "OKP", "crv": "Ed25519", "x": null})).is_err());
    }

    #[test]
    fn a_published_rsa_key_may_begin_with_zeros_and_be_padded() {
        let published = |modulus: &[u8], exponent: &str| {
            let jwk = json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(modulus), "e": exponent});
            PublicKey::from_published_jwk(&serde_json::from_value(jwk).unwrap()).map(|key| key.algorithm())
        };
        let with_zeros = |zeros: usize, length: usize| [vec![0; zeros], vec![0xff; length]].concat();
        assert_eq!(published(&with_zeros(1, 256), "AQAB"), Ok(Algorithm::Rs256));
        assert_eq!(published(&with_zeros(0, 256), "AAEAAQ=="), Ok(Algorithm::Rs256));
        assert_eq!(published(&with_zeros(0, 256), "AAAAAQAB"), Ok(Algorithm::Rs256));
        // Leading zeros do not count as key length.
        assert_eq!(published(&with_zeros(2, 255), "AQAB"), Err(KeyError::Malformed("n")));
        assert_eq!(published(&with_zeros(1, 1025), "AQAB"), Err(KeyError::Malformed("n")));
        for exponent in ["AAE", "AQAC", "AAAA", "", "="] {
            assert_eq!(published(&with_zeros(0, 256), exponent), Err(KeyError::Malformed("e")), "{exponent}");
        }
    }

    #[test]
    fn a_p_384_key_has_coordinates_of_48_bytes() {
        // RFC 7517 has no example: the base point (SEC 2 §2.5.1).
        let x = "qofKIr6LBTeOscce8yCtdG4dO2KLp5uYWfdB4IJUKjhVAvJdv1UpbDpUXjhydgq3";
        let y = "NhfeSpYmLG9dnpi_kpLcKfj0Hb0omhR86doxE7XwuMAKYLHOHX6BnXpDHXyQ6g5f";
        let key = |x: &str, y: &str| key(json!({"kty": "EC", "crv": "P-384", "x": x, "y": y}));
        assert_eq!(key(x, y), Ok(Algorithm::Es384));
        assert_eq!(key(x, x), Err(KeyError::Malformed("x")), "no point of the curve");
        assert_eq!(key(&x[..43], &y[..43]), Err(KeyError::Malformed("x")));
    }

    fn key(json: Value) -> Result<Algorithm, KeyError> {
        let jwk: StrictObject = serde_json::from_value(json).unwrap();
        PublicKey::from_jwk(&jwk).map(|key| key.algorithm())
    }

    #[test]
    fn contradictory_members_of_a_jwk_are_rejected() {
        // RFC 8037 appendix A.2.
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let with = |name: &str, value: Value| {
            let mut jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": x});
            jwk[name] = value;
            key(jwk)
        };
        assert_eq!(with("kid", json!("1")), Ok(Algorithm::EdDsa));
        assert_eq!(with("alg", json!("EdDSA")), Ok(Algorithm::EdDsa));
        assert_eq!(with("alg", json!("Ed25519")), Ok(Algorithm::EdDsa));
        assert_eq!(with("use", json!("sig")), Ok(Algorithm::EdDsa));
        assert_eq!(with("key_ops", json!(["verify"])), Ok(Algorithm::EdDsa));
        for (name, value) in [
            ("alg", json!("ES256")),
            ("alg", json!(1)),
            ("use", json!("enc")),
            ("key_ops", json!(["sign"])),
            ("key_ops", json!("verify")),
            ("kty", json!("oct")),
            ("crv", json!("Ed448")),
            ("d", json!("AA")),
            ("k", json!("")),
        ] {
            assert_eq!(with(name, value.clone()), Err(KeyError::Unsuitable), "{name} {value}");
        }
        assert_eq!(with("x", json!("AA")), Err(KeyError::Malformed("x")));
        assert_eq!(with("x", json!(format!("{x}="))), Err(KeyError::Malformed("x")));
    }

    #[test]
    fn weak_rsa_keys_are_rejected() {
        let rsa = |modulus: Vec<u8>, exponent: &str| {
            key(json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(modulus), "e": exponent}))
        };
        assert_eq!(rsa(vec![0xff; 256], "AQAB"), Ok(Algorithm::Rs256));
        assert_eq!(rsa(vec![0xff; 255], "AQAB"), Err(KeyError::Malformed("n")));
        assert_eq!(rsa(vec![0xff; 1025], "AQAB"), Err(KeyError::Malformed("n")));
        assert_eq!(rsa([&[0], &[0xff; 256][..]].concat(), "AQAB"), Err(KeyError::Malformed("n")));
        for exponent in ["AQ", "AQAC", "AAEAAQ", "", "AQAB="] {
            assert_eq!(rsa(vec![0xff; 256], exponent), Err(KeyError::Malformed("e")), "{exponent}");
        }
    }
}
