//! A client's signed assertion of who it is: `private_key_jwt` (RFC 7523 §3).

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;

use crate::token::jwt::{JwtError, LEEWAY, UnverifiedJwt, VerifiedJwt};
use crate::token::key::{KeyError, PublicKey};
use crate::wire::members::Members;

/// The longest assertion that is read, in bytes.
const MAX_ASSERTION: usize = 8 * 1024;

/// The longest life of an assertion, in seconds: an hour is what client libraries choose by themselves.
/// Invariant: so long each used one is remembered.
const MAX_TTL: u64 = 3600;

/// An assertion that nobody has checked yet.
pub struct Assertion(SecretString);

/// What makes an assertion good once.
pub struct Once {
    /// `jti`
    pub token_id: String,
    /// When it is refused at any rate, in seconds since 1970.
    pub expires_at: u64,
}

impl Assertion {
    /// As it was sent.
    pub fn new(text: SecretString) -> Self {
        Self(text)
    }

    /// Takes it apart.
    pub fn parse(&self) -> Result<UnverifiedJwt<'_>, JwtError> {
        UnverifiedJwt::parse(self.0.expose_secret(), MAX_ASSERTION)
    }

    /// Judges an assertion whose signature is good. It is meant for us: for our issuer or for our token
    /// endpoint, and for nobody else.
    pub fn judge(jwt: &VerifiedJwt, client_id: &str, issuer: &str, now: u64) -> Result<Once, JwtError> {
        // The JWT type of RFC 7523's revision; until then libraries write `JWT` or nothing.
        if !matches!(jwt.typ(), None | Some("JWT" | "client-authentication+jwt")) {
            return Err(JwtError::InvalidClaim("typ"));
        }
        for name in ["iss", "sub"] {
            if jwt.claims.string(name) != Some(client_id) {
                return Err(JwtError::InvalidClaim(name));
            }
        }
        let audience = match jwt.claims.get("aud") {
            Some(Value::Array(one)) if one.len() == 1 => one.first().and_then(Value::as_str),
            one => one.and_then(Value::as_str),
        };
        let endpoint = format!("{}/oauth2/token", issuer.trim_end_matches('/'));
        if !audience.is_some_and(|audience| audience == issuer || audience == endpoint) {
            return Err(JwtError::InvalidClaim("aud"));
        }
        let (_, expires_at) = jwt.times_without_issue(now, MAX_TTL)?;
        Ok(Once { token_id: jwt.token_id()?.to_owned(), expires_at: expires_at + LEEWAY })
    }
}

/// The keys of a client.
pub struct Keys(Vec<(Option<String>, PublicKey)>);

/// Reads a JWKS (RFC 7517 §5). Each of its keys must be one that we can use: an administrator chose them.
///
/// # Errors
/// Anything else, and no keys at all.
pub fn inline_keys(jwks: &str) -> Result<Keys, KeyError> {
    #[derive(Deserialize)]
    struct Jwks {
        keys: Vec<Members>,
    }
    let jwks: Jwks = serde_json::from_str(jwks).map_err(|_| KeyError::Malformed("keys"))?;
    let named = |jwk: &Members| Ok((jwk.string("kid").map(str::to_owned), PublicKey::from_jwk(jwk)?));
    let keys = jwks.keys.iter().map(named).collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() { Err(KeyError::Malformed("keys")) } else { Ok(Keys(keys)) }
}

impl Keys {
    /// The key that a token names. For a token that names none, the only one of its algorithm; for one that
    /// names a key which has no name here, the only such one.
    pub fn choose(&self, jwt: &UnverifiedJwt<'_>) -> Option<&PublicKey> {
        let wanted = jwt.key_id();
        let named = self.0.iter().find(|(key_id, _)| wanted.is_some() && key_id.as_deref() == wanted);
        if let Some((_, key)) = named {
            return Some(key);
        }
        let mut fitting = self.0.iter().filter(|(key_id, key)| {
            key.algorithm() == jwt.algorithm() && (wanted.is_none() || key_id.is_none())
        });
        fitting.next().filter(|_| fitting.next().is_none()).map(|(_, key)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::forge::Forge;
    use serde_json::json;

    const NOW: u64 = 1_000_000;
    const ISSUER: &str = "https://auth.example.com";

    fn with(name: &'static str, value: Value) -> Result<u64, JwtError> {
        let mut claims =
            json!({"iss": "app", "sub": "app", "aud": ISSUER, "iat": NOW, "exp": NOW + 60, "jti": "1"});
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value,
        }
        let forge = Forge::new();
        let jwt = forge.verify(&forge.token(r#"{"alg":"EdDSA"}"#, &claims.to_string())).unwrap();
        Assertion::judge(&jwt, "app", ISSUER, NOW).map(|once| once.expires_at)
    }

    #[test]
    fn an_assertion_is_about_its_client_and_for_us() {
        assert_eq!(with("x", json!(1)), Ok(NOW + 60 + LEEWAY));
        assert!(with("aud", json!("https://auth.example.com/oauth2/token")).is_ok());
        assert!(with("aud", json!([ISSUER])).is_ok());
        assert!(with("iat", json!(NOW + LEEWAY)).is_ok());
        assert!(with("iat", json!(null)).is_ok(), "RFC 7523 §3: it may say when it was issued");
        for (name, value) in [
            ("iss", json!("other")),
            ("iss", json!(null)),
            ("sub", json!("other")),
            ("sub", json!(null)),
            ("aud", json!("https://auth.example.com/")),
            ("aud", json!("https://auth.example.com/oauth2/revoke")),
            ("aud", json!("https://other.example.com")),
            ("aud", json!([ISSUER, "https://other.example.com"])),
            ("aud", json!([])),
            ("aud", json!(null)),
            ("exp", json!(null)),
            ("exp", json!(NOW + MAX_TTL + 1)),
            ("iat", json!(NOW + LEEWAY + 1)),
            ("jti", json!(null)),
            ("jti", json!("")),
            ("jti", json!("x".repeat(257))),
        ] {
            assert_eq!(with(name, value.clone()), Err(JwtError::InvalidClaim(name)), "{name} {value}");
        }
        assert_eq!(with("exp", json!(NOW - LEEWAY)), Err(JwtError::InvalidClaim("exp")));
    }

    #[test]
    fn the_key_is_the_one_that_is_named_or_the_only_one() {
        let (one, other) = (Forge::new(), Forge::new());
        let named = |forge: &Forge, kid: &str| {
            let mut jwk = forge.public_jwk();
            jwk["kid"] = json!(kid);
            jwk
        };
        let both = inline_keys(&json!({"keys": [named(&one, "1"), named(&other, "2")]}).to_string()).unwrap();
        let token = |header: &str| other.token(header, "{}");
        let verifies = |keys: &Keys, token: &str| {
            let jwt = UnverifiedJwt::parse(token, 8192).unwrap();
            keys.choose(&jwt).is_some_and(|key| jwt.verify(key).is_ok())
        };
        assert!(verifies(&both, &token(r#"{"alg":"EdDSA","kid":"2"}"#)));
        assert!(!verifies(&both, &token(r#"{"alg":"EdDSA","kid":"1"}"#)));
        assert!(!verifies(&both, &token(r#"{"alg":"EdDSA","kid":"3"}"#)));
        assert!(!verifies(&both, &token(r#"{"alg":"EdDSA"}"#)), "one of two");
        let alone = inline_keys(&json!({"keys": [other.public_jwk()]}).to_string()).unwrap();
        assert!(verifies(&alone, &token(r#"{"alg":"EdDSA"}"#)));
        assert!(!verifies(&alone, &token(r#"{"alg":"RS256"}"#)));
        assert!(verifies(&alone, &token(r#"{"alg":"EdDSA","kid":"its thumbprint"}"#)), "it has no name here");
    }

    #[test]
    fn keys_that_cannot_be_used_are_refused() {
        for bad in ["", "[]", "{}", r#"{"keys":[]}"#, r#"{"keys":[{"kty":"oct","k":"AA"}]}"#] {
            assert!(inline_keys(bad).is_err(), "{bad}");
        }
    }
}
