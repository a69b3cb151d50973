//! The client assertion of `private_key_jwt` (RFC 7523 §3).

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::jose::jwt::{JwtError, LEEWAY, UnverifiedJwt, VerifiedJwt};

/// Maximum length of an assertion, in bytes.
const MAX_ASSERTION: usize = 8 * 1024;

/// Maximum lifetime of an assertion, in seconds. Client libraries use up to an hour by default. Invariant: the replay
/// store keeps a used assertion for this long.
const MAX_TTL: u64 = 3600;

/// The alternative path of the token endpoint.
const AUTHORIZE: &str = "/oauth2/authorize";

/// An unverified assertion.
pub struct Assertion(SecretString);

/// The replay store's key for an assertion.
pub struct ReplayKey {
    /// `jti`
    pub token_id: String,
    /// When the assertion has expired and the entry is no longer needed, in seconds since 1970.
    pub expires_at: u64,
}

impl Assertion {
    /// Wraps the assertion of a request.
    pub fn new(text: SecretString) -> Self {
        Self(text)
    }

    /// Parses the JWT.
    pub fn parse(&self) -> Result<UnverifiedJwt<'_>, JwtError> {
        UnverifiedJwt::parse_foreign(self.0.expose_secret(), MAX_ASSERTION)
    }

    /// Validates the claims of an assertion with a verified signature. Every audience must be one of ours, so that an
    /// assertion for this server cannot be used at another one, or the reverse.
    pub fn validate(
        jwt: &VerifiedJwt,
        client_id: &str,
        audiences: &[String],
        now: u64,
    ) -> Result<ReplayKey, JwtError> {
        // The type in the revision of RFC 7523. Today's libraries send `JWT` or nothing.
        if !matches!(jwt.media_type().as_deref(), None | Some("jwt" | "client-authentication+jwt")) {
            return Err(JwtError::InvalidClaim("typ"));
        }
        for name in ["iss", "sub"] {
            if jwt.claims.string(name) != Some(client_id) {
                return Err(JwtError::InvalidClaim(name));
            }
        }
        let is_ours = |value: &Value| audiences.iter().any(|ours| value == ours);
        let for_us = match jwt.claims.get("aud") {
            Some(Value::Array(several)) => !several.is_empty() && several.iter().all(is_ours),
            one => one.is_some_and(is_ours),
        };
        if !for_us {
            return Err(JwtError::InvalidClaim("aud"));
        }
        let (_, expires_at) = jwt.validate_times_without_iat(now, MAX_TTL)?;
        Ok(ReplayKey { token_id: jwt.token_id()?.to_owned(), expires_at: expires_at + LEEWAY })
    }
}

/// The accepted audiences for a request to `path`: the issuer and, unless `strict_audience`, the token endpoint. Its
/// alternative path is accepted only in a request to it.
pub fn audiences(issuer: &str, path: &str, strict_audience: bool) -> Vec<String> {
    let endpoint = |path| format!("{}{path}", issuer.trim_end_matches('/'));
    let mut audiences = vec![issuer.to_owned()];
    if !strict_audience {
        audiences.push(endpoint("/oauth2/token"));
        if path == AUTHORIZE {
            audiences.push(endpoint(AUTHORIZE));
        }
    }
    audiences
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::test_signer::TestSigner;
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
        validate(r#"{"alg":"EdDSA"}"#, &claims.to_string())
    }

    fn validate(header: &str, claims: &str) -> Result<u64, JwtError> {
        let forge = TestSigner::new();
        let token = forge.token(header, claims);
        let jwt = UnverifiedJwt::parse_foreign(&token, 8192)?.verify(&forge.public_key)?;
        let audiences = audiences(ISSUER, "/oauth2/token", false);
        Assertion::validate(&jwt, "app", &audiences, NOW).map(|once| once.expires_at)
    }

    #[test]
    fn an_assertion_names_its_client_and_our_issuer() {
        assert_eq!(with("x", json!(1)), Ok(NOW + 60 + LEEWAY));
        assert!(with("aud", json!("https://auth.example.com/oauth2/token")).is_ok());
        assert!(with("aud", json!([ISSUER])).is_ok());
        assert!(with("aud", json!([ISSUER, "https://auth.example.com/oauth2/token"])).is_ok());
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
            ("aud", json!(["https://other.example.com", ISSUER])),
            ("aud", json!([ISSUER, 1])),
            ("aud", json!([ISSUER, null])),
            ("aud", json!([[ISSUER]])),
            ("aud", json!({"0": ISSUER})),
            ("aud", json!("https://auth.example.com/oauth2/authorize")),
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
    fn every_audience_of_an_assertion_must_be_ours() {
        let token = "https://auth.example.com/oauth2/token";
        let authorize = "https://auth.example.com/oauth2/authorize";
        assert_eq!(audiences(ISSUER, "/oauth2/token", false), [ISSUER, token]);
        assert_eq!(audiences(ISSUER, "/oauth2/revoke", false), [ISSUER, token]);
        assert_eq!(audiences(ISSUER, "/oauth2/authorize", false), [ISSUER, token, authorize]);
        assert_eq!(audiences(ISSUER, "/oauth2/authorize", true), [ISSUER]);
    }

    #[test]
    fn the_type_of_an_assertion_ignores_case_and_prefix() {
        let claims =
            json!({"iss": "app", "sub": "app", "aud": ISSUER, "exp": NOW + 60, "jti": "1"}).to_string();
        for (typ, good) in [
            ("null", true),
            (r#""jwt""#, true),
            (r#""application/jwt""#, true),
            (r#""APPLICATION/JWT""#, true),
            (r#""Client-Authentication+JWT""#, true),
            (r#""at+jwt""#, false),
            (r#""dpop+jwt""#, false),
            (r#""text/jwt""#, false),
            (r#""application/application/jwt""#, false),
            (r#""""#, false),
            ("1", false),
        ] {
            assert_eq!(
                validate(&format!(r#"{{"alg":"EdDSA","typ":{typ}}}"#), &claims).is_ok(),
                good,
                "{typ}"
            );
        }
    }

    #[test]
    fn the_times_of_an_assertion_may_have_a_fraction() {
        let ends = |times: &str| {
            let rest = r#""iss":"app","sub":"app","aud":"https://auth.example.com","jti":"1""#;
            validate(r#"{"alg":"EdDSA","kid":null}"#, &format!("{{{rest},{times}}}"))
        };
        let end = Ok(NOW + 60 + LEEWAY);
        for times in [
            r#""iat":1000000.25,"exp":1000060.999"#,
            r#""iat":1000000.0,"exp":1000060.0,"nbf":1000030.9"#,
            r#""iat":null,"exp":1000060,"nbf":null"#,
            r#""\u0065xp":1000060.5"#,
        ] {
            assert_eq!(ends(times), end, "{times}");
        }
        assert_eq!(ends(r#""exp":1003600.9"#), Ok(NOW + MAX_TTL + LEEWAY), "truncated before the bound");
        for (name, times) in [
            ("exp", r#""exp":1.00006e6"#),
            ("exp", r#""exp":1000060.5e0"#),
            ("exp", r#""exp":1e18"#),
            ("exp", r#""exp":-1000060.5"#),
            ("exp", r#""exp":9007199254740993.5"#),
            ("exp", r#""exp":99999999999999999999999999.5"#),
            ("exp", r#""exp":"1000060.5""#),
            ("exp", r#""exp":null"#),
            ("exp", r#""exp":[1000060.5]"#),
            ("exp", r#""exp":1003601.0"#),
            ("iat", r#""iat":1.0e6,"exp":1000060"#),
            ("iat", r#""iat":1000031.0,"exp":1000060"#),
            ("nbf", r#""nbf":1.0e6,"exp":1000060"#),
            ("nbf", r#""nbf":1000031.5,"exp":1000060"#),
        ] {
            assert_eq!(ends(times), Err(JwtError::InvalidClaim(name)), "{times}");
        }
    }
}
