//! JWKS of clients and other issuers (RFC 7517 §5).

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::jose::jwt::UnverifiedJwt;
use crate::jose::key::PublicKey;
use crate::jose::strict_object::StrictObject;

/// The keys of a JWKS that verify a supported algorithm.
#[derive(Default)]
pub struct KeySet(Vec<(Option<String>, PublicKey)>);

impl KeySet {
    /// Parses a JWKS. Unsupported and malformed keys are skipped (RFC 7517 §5), so that a broken key does not disable
    /// the others. Without a usable key the set is empty.
    pub fn read(json: &[u8]) -> Self {
        #[derive(Default, Deserialize)]
        struct Jwks<'a> {
            #[serde(borrow)]
            keys: Vec<&'a RawValue>,
        }
        // Some servers send a byte order mark, which a parser may ignore (RFC 8259 §8.1).
        let json = json.strip_prefix("\u{feff}".as_bytes()).unwrap_or(json);
        let Jwks { keys } = serde_json::from_slice(json).unwrap_or_default();
        let key = |json: &RawValue| {
            let jwk: StrictObject = serde_json::from_str(json.get()).ok()?;
            Some((jwk.string("kid").map(str::to_owned), PublicKey::from_published_jwk(&jwk).ok()?))
        };
        Self(keys.into_iter().filter_map(key).collect())
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key of a token: the one with its algorithm and key id. Without a key id in the token it is the only key of
    /// the algorithm. If no key has the key id, it is the only one without an id.
    pub fn choose(&self, jwt: &UnverifiedJwt<'_>) -> Option<&PublicKey> {
        let wanted = jwt.key_id();
        let fitting = || self.0.iter().filter(|(_, key)| key.algorithm() == jwt.algorithm());
        let named = fitting().find(|(key_id, _)| wanted.is_some() && key_id.as_deref() == wanted);
        if let Some((_, key)) = named {
            return Some(key);
        }
        let mut possible = fitting().filter(|(key_id, _)| wanted.is_none() || key_id.is_none());
        possible.next().filter(|_| possible.next().is_none()).map(|(_, key)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::test_signer::TestSigner;
    use serde_json::{Value, json};

    fn set(jwks: &Value) -> KeySet {
        KeySet::read(jwks.to_string().as_bytes())
    }

    #[test]
    fn a_key_is_found_by_its_id_or_as_the_only_one() {
        let (one, other) = (TestSigner::new(), TestSigner::new());
        let named = |forge: &TestSigner, kid: &str| {
            let mut jwk = forge.public_jwk();
            jwk["kid"] = json!(kid);
            jwk
        };
        let both = set(&json!({"keys": [named(&one, "1"), named(&other, "2")]}));
        let token = |header: &str| other.token(header, "{}");
        let verifies = |keys: &KeySet, token: &str| {
            let jwt = UnverifiedJwt::parse_foreign(token, 8192).unwrap();
            keys.choose(&jwt).is_some_and(|key| jwt.verify(key).is_ok())
        };
        assert!(verifies(&both, &token(r#"{"alg":"EdDSA","kid":"2"}"#)));
        assert!(!verifies(&both, &token(r#"{"alg":"EdDSA","kid":"1"}"#)));
        assert!(!verifies(&both, &token(r#"{"alg":"EdDSA","kid":"3"}"#)));
        assert!(!verifies(&both, &token(r#"{"alg":"EdDSA"}"#)), "one of two");
        let alone = set(&json!({"keys": [other.public_jwk()]}));
        assert!(verifies(&alone, &token(r#"{"alg":"EdDSA"}"#)));
        assert!(!verifies(&alone, &token(r#"{"alg":"RS256"}"#)));
        assert!(verifies(&alone, &token(r#"{"alg":"EdDSA","kid":"its thumbprint"}"#)), "it has no name here");
    }

    #[test]
    fn keys_of_different_types_may_share_an_id() {
        let forge = TestSigner::new();
        let named = |jwk: Value| {
            let mut jwk = jwk;
            jwk["kid"] = json!("1");
            jwk
        };
        let rsa = json!({"kty": "RSA", "n": "_".repeat(341) + "w", "e": "AQAB"});
        let ec = json!({
            "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        });
        let keys = set(&json!({"keys": [named(rsa), named(ec), named(forge.public_jwk())]}));
        assert_eq!(keys.0.len(), 3);
        let token = forge.token(r#"{"alg":"EdDSA","kid":"1"}"#, "{}");
        let jwt = UnverifiedJwt::parse_foreign(&token, 8192).unwrap();
        assert!(
            jwt.verify(keys.choose(&UnverifiedJwt::parse_foreign(&token, 8192).unwrap()).unwrap()).is_ok()
        );
    }

    /// What issuers and hand-written servers publish beside a usable key.
    #[test]
    fn unusable_keys_are_skipped() {
        let good = TestSigner::new().public_jwk();
        let x = good["x"].as_str().unwrap();
        let unusable = [
            "null".to_owned(),
            "1".to_owned(),
            "\"key\"".to_owned(),
            "[]".to_owned(),
            "{}".to_owned(),
            r#"{"kty":"oct","k":"AA"}"#.to_owned(),
            r#"{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}"#.to_owned(),
            r#"{"kty":"EC","crv":"P-521","x":"AA","y":"AA"}"#.to_owned(),
            r#"{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}"#.to_owned(),
            r#"{"kty":"RSA","use":"sig","x5c":["MIIC"],"x5t":"AA"}"#.to_owned(),
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#.to_owned(),
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","use":"enc"}}"#),
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","alg":"ES256"}}"#),
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","key_ops":["sign"]}}"#),
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","d":"{x}"}}"#),
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","x":"{x}"}}"#),
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","oth":[{{"r":1,"r":2}}]}}"#),
        ];
        for jwk in &unusable {
            assert!(KeySet::read(format!(r#"{{"keys":[{jwk}]}}"#).as_bytes()).is_empty(), "{jwk}");
            let keys = KeySet::read(format!(r#"{{"next":null,"keys":[{jwk},{good}]}}"#).as_bytes());
            assert_eq!(keys.0.len(), 1, "{jwk}");
        }
        let padded = json!({
            "kty": "OKP", "crv": "Ed25519", "x": format!("{x}="), "alg": null, "use": null, "key_ops": null,
            "d": null, "x5c": null, "kid": 1, "x-vendor": {"a": [1]},
        });
        assert_eq!(set(&json!({"keys": [padded]})).0.len(), 1);
        assert_eq!(KeySet::read(format!("\u{feff}{}", json!({"keys": [good]})).as_bytes()).0.len(), 1);
    }

    #[test]
    fn a_malformed_jwks_is_an_empty_set() {
        let good = TestSigner::new().public_jwk();
        let twice = format!(r#"{{"keys":[{good}],"keys":[{good}]}}"#);
        let cut = format!(r#"{{"keys":[{good}"#);
        for text in ["", "null", "{}", "<html>", r#"{"keys":null}"#, r#"{"keys":{}}"#, &twice, &cut] {
            assert!(KeySet::read(text.as_bytes()).is_empty(), "{text}");
        }
    }
}
