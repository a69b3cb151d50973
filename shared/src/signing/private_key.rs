//! Private keys for signing.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::jose::algorithm::Algorithm;
use crate::jose::key::thumbprint;

/// A parsed private key. It is parsed once, because parsing an RSA key costs more than a signature.
pub struct PrivateKey {
    key_id: String,
    jwk: Value,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// The key can't be generated, parsed or used. The error contains nothing of the key.
#[derive(Debug, thiserror::Error)]
#[error("signing key cannot be generated, parsed or used")]
pub struct BadKey;

impl PrivateKey {
    /// Generates a key, as PKCS #8 in base64.
    pub fn generate(algorithm: Algorithm) -> Result<SecretString, BadKey> {
        let random = SystemRandom::new();
        let pkcs8 = match algorithm {
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| BadKey)?;
                let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(|_| BadKey)?;
                STANDARD.encode(der.as_ref())
            }
            Algorithm::Es256 => STANDARD.encode(
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
                    .map_err(|_| BadKey)?,
            ),
            Algorithm::EdDsa => STANDARD.encode(Ed25519KeyPair::generate_pkcs8(&random).map_err(|_| BadKey)?),
            Algorithm::Es384 => return Err(BadKey),
        };
        Ok(pkcs8.into())
    }

    /// Parses a key that [`PrivateKey::generate`] made.
    pub fn parse(algorithm: Algorithm, pkcs8: &SecretString) -> Result<Self, BadKey> {
        let der = STANDARD.decode(pkcs8.expose_secret()).map_err(|_| BadKey)?;
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (pair, mut jwk) = match algorithm {
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::from_pkcs8(&der).map_err(|_| BadKey)?;
                let public = pair.public_key();
                let modulus = public.modulus().big_endian_without_leading_zero();
                let exponent = public.exponent().big_endian_without_leading_zero();
                let jwk = json!({"kty": "RSA", "n": text(modulus), "e": text(exponent)});
                (Pair::Rsa(pair), jwk)
            }
            Algorithm::Es256 => {
                let pair =
                    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).map_err(|_| BadKey)?;
                // SEC 1 §2.3.3: 0x04, then the two coordinates.
                let point = pair.public_key().as_ref();
                let (Some(x), Some(y)) = (point.get(1..33), point.get(33..65)) else { return Err(BadKey) };
                let jwk = json!({"kty": "EC", "crv": "P-256", "x": text(x), "y": text(y)});
                (Pair::Ecdsa(pair), jwk)
            }
            Algorithm::EdDsa => {
                let pair = Ed25519KeyPair::from_pkcs8(&der).map_err(|_| BadKey)?;
                let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": text(pair.public_key().as_ref())});
                (Pair::Ed25519(pair), jwk)
            }
            Algorithm::Es384 => return Err(BadKey),
        };
        let key_id = thumbprint(&jwk).ok_or(BadKey)?;
        jwk["kid"] = key_id.as_str().into();
        jwk["alg"] = algorithm.name().into();
        jwk["use"] = "sig".into();
        Ok(Self { key_id, jwk, pair })
    }

    /// The key id (RFC 7638).
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The public half as a JWK.
    pub fn public_jwk(&self) -> &Value {
        &self.jwk
    }

    /// Signs claims as a JWT in compact form with this `typ`.
    pub fn sign(&self, typ: &str, claims: &Value) -> Result<SecretString, BadKey> {
        let header = json!({"alg": self.jwk["alg"], "kid": self.key_id, "typ": typ});
        let mut token = URL_SAFE_NO_PAD.encode(header.to_string());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims.to_string(), &mut token);
        let message = token.as_bytes();
        let signature = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
                    .map_err(|_| BadKey)?;
                signature
            }
            Pair::Ecdsa(pair) => {
                pair.sign(&SystemRandom::new(), message).map_err(|_| BadKey)?.as_ref().to_vec()
            }
            Pair::Ed25519(pair) => pair.try_sign(message).map_err(|_| BadKey)?.as_ref().to_vec(),
        };
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::jwt::UnverifiedJwt;
    use crate::jose::key::PublicKey;

    #[test]
    fn the_public_key_verifies_the_private_keys_signature() {
        for algorithm in Algorithm::SIGNING {
            let key = PrivateKey::parse(algorithm, &PrivateKey::generate(algorithm).unwrap()).unwrap();
            let public =
                PublicKey::from_jwk(&serde_json::from_value(key.public_jwk().clone()).unwrap()).unwrap();
            let token = key.sign("at+jwt", &json!({"sub": "client"})).unwrap();
            let jwt = UnverifiedJwt::parse(token.expose_secret(), 8192).unwrap();
            assert_eq!(jwt.key_id(), Some(key.key_id()));
            let verified = jwt.verify(&public).unwrap();
            assert_eq!(verified.claims.string("sub"), Some("client"));
            assert_eq!(verified.typ(), Some("at+jwt"));
        }
    }

    #[test]
    fn a_key_is_rejected_under_another_algorithm() {
        let key = PrivateKey::generate(Algorithm::Es256).unwrap();
        assert!(PrivateKey::parse(Algorithm::Rs256, &key).is_err());
        assert!(PrivateKey::parse(Algorithm::EdDsa, &key).is_err());
    }
}
