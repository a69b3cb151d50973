//! The claims of our access tokens (RFC 9068 §2.2).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::jose::confirmation::Confirmation;
use crate::jose::jwt::{JwtError, VerifiedJwt};
use crate::oauth::scope::Scopes;
use crate::runtime::settings::MAX_ACCESS_TOKEN_TTL;

/// Maximum length of an access token, in bytes.
pub const MAX_ACCESS_TOKEN: usize = 8 * 1024;

/// Names that custom claims can't have, because they have a meaning in a token, in an introspection response or in the
/// authorizer context. API Gateway adds the last group to that context, in events and in `$context.authorizer`
/// (docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-variables-for-access-logging.html).
pub const RESERVED_CLAIMS: [&str; 33] = [
    "iss",
    "sub",
    "aud",
    "client_id",
    "iat",
    "exp",
    "nbf",
    "jti",
    "scope",
    "sid",
    "preferred_username",
    "email",
    "cnf",
    "act",
    "may_act",
    "typ",
    "kind",
    "owner",
    "username",
    "active",
    "token_type",
    "claims",
    "error",
    "iam",
    "integrationLatency",
    "integrationStatus",
    "jwt",
    "lambda",
    "latency",
    "principalId",
    "requestId",
    "scopes",
    "status",
];

/// The claims of an access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessClaims {
    /// `iss`
    pub issuer: String,
    /// `sub`: a client id, or the `usr_…` id of a user.
    pub subject: String,
    /// `aud`
    pub audience: String,
    /// `client_id` (RFC 8693 §4.3)
    pub client_id: String,
    /// `iat`, in seconds since 1970.
    pub issued_at: u64,
    /// `exp`, in seconds since 1970.
    pub expires_at: u64,
    /// `jti`
    pub token_id: String,
    /// `scope`
    pub scopes: Scopes,
    /// `sid`: the token family, if the token has one.
    pub session_id: Option<String>,
    /// `cnf`: the keys that the token is bound to.
    pub confirmation: Confirmation,
    /// `preferred_username`, for users.
    pub username: Option<String>,
    /// `email`, for users with a known address.
    pub email: Option<String>,
    /// Custom claims.
    pub custom: BTreeMap<String, String>,
}

impl AccessClaims {
    /// The claims as a JSON object. A custom claim never overwrites a reserved name.
    pub fn to_json(&self) -> Value {
        let custom = self.custom.iter().filter(|(name, _)| !RESERVED_CLAIMS.contains(&name.as_str()));
        let mut claims: Map<String, Value> =
            custom.map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        let mut insert = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        insert("iss", self.issuer.as_str().into());
        insert("sub", self.subject.as_str().into());
        insert("aud", self.audience.as_str().into());
        insert("client_id", self.client_id.as_str().into());
        insert("iat", self.issued_at.into());
        insert("exp", self.expires_at.into());
        insert("jti", self.token_id.as_str().into());
        if let Some(scope) = self.scopes.to_claim() {
            insert("scope", scope.into());
        }
        if let Some(session_id) = &self.session_id {
            insert("sid", session_id.as_str().into());
        }
        if let Some(confirmation) = self.confirmation.to_json() {
            insert("cnf", confirmation);
        }
        if let Some(username) = &self.username {
            insert("preferred_username", username.as_str().into());
        }
        if let Some(email) = &self.email {
            insert("email", email.as_str().into());
        }
        Value::Object(claims)
    }
}

/// The expected claims of a token.
pub struct Expected<'a> {
    /// Our issuer, byte-equal. None accepts a token that was issued on any of our domains.
    pub issuer: Option<&'a str>,
    /// Our audiences, of which the token must have one. None accepts any audience.
    pub audiences: Option<&'a [String]>,
}

/// A valid access token. Validation is the only way to construct one.
#[derive(Debug)]
pub struct VerifiedAccessToken(AccessClaims);

impl VerifiedAccessToken {
    /// Validates the claims of a token with a verified signature (RFC 9068 §4).
    pub fn validate(jwt: &VerifiedJwt, expected: &Expected<'_>, now: u64) -> Result<Self, JwtError> {
        check_type(jwt)?;
        check_issuer(jwt, expected.issuer)?;
        let audience = check_audience(jwt, expected.audiences)?;
        let (issued_at, expires_at) = jwt.validate_times(now, MAX_ACCESS_TOKEN_TTL)?;
        let text = |name| jwt.claims.string(name).filter(|text| !text.is_empty()).map(str::to_owned);
        let required = |name| text(name).ok_or(JwtError::InvalidClaim(name));
        let custom = jwt.claims.iter().filter(|(name, _)| !RESERVED_CLAIMS.contains(name));
        Ok(Self(AccessClaims {
            issuer: required("iss")?,
            subject: required("sub")?,
            audience,
            client_id: required("client_id")?,
            issued_at,
            expires_at,
            token_id: required("jti")?,
            scopes: scopes(jwt)?,
            session_id: text("sid"),
            confirmation: Confirmation::read(&jwt.claims)?,
            username: text("preferred_username"),
            email: text("email"),
            custom: custom
                .filter_map(|(name, value)| Some((name.to_owned(), value.as_str()?.to_owned())))
                .collect(),
        }))
    }

    /// The claims.
    pub fn claims(&self) -> &AccessClaims {
        &self.0
    }

    /// The claims, by value.
    pub fn into_claims(self) -> AccessClaims {
        self.0
    }
}

/// RFC 9068 §4: no other token, such as an ID token, is an access token.
fn check_type(jwt: &VerifiedJwt) -> Result<(), JwtError> {
    match jwt.typ() {
        Some("at+jwt" | "application/at+jwt") => Ok(()),
        _ => Err(JwtError::InvalidClaim("typ")),
    }
}

fn check_issuer(jwt: &VerifiedJwt, issuer: Option<&str>) -> Result<(), JwtError> {
    let named = jwt.claims.string("iss");
    if issuer.is_none() || named == issuer { Ok(()) } else { Err(JwtError::InvalidClaim("iss")) }
}

fn check_audience(jwt: &VerifiedJwt, ours: Option<&[String]>) -> Result<String, JwtError> {
    let named: Option<Vec<&str>> = match jwt.claims.get("aud") {
        Some(Value::String(one)) => Some(vec![one]),
        Some(Value::Array(many)) => many.iter().map(Value::as_str).collect(),
        _ => None,
    };
    let named = named.ok_or(JwtError::InvalidClaim("aud"))?;
    let found = match ours {
        Some(ours) => ours.iter().map(String::as_str).find(|audience| named.contains(audience)),
        None => named.first().copied(),
    };
    found.map(str::to_owned).ok_or(JwtError::InvalidClaim("aud"))
}

fn scopes(jwt: &VerifiedJwt) -> Result<Scopes, JwtError> {
    match jwt.claims.get("scope") {
        None => Ok(Scopes::default()),
        Some(Value::String(text)) => Scopes::parse(text).map_err(|_| JwtError::InvalidClaim("scope")),
        Some(_) => Err(JwtError::InvalidClaim("scope")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::test_signer::TestSigner;
    use serde_json::json;

    const NOW: u64 = 1_000_000;
    const HEADER: &str = r#"{"alg":"EdDSA","kid":"1","typ":"at+jwt"}"#;

    fn claims() -> Value {
        json!({
            "iss": "https://auth.example.com", "sub": "demo-client", "aud": "latchkey", "client_id": "demo-client",
            "iat": NOW, "exp": NOW + 900, "jti": "1", "scope": "todo:read", "tenant": "blue",
        })
    }

    fn validate(header: &str, claims: &Value) -> Result<AccessClaims, JwtError> {
        let forge = TestSigner::new();
        let jwt = forge.verify(&forge.token(header, &claims.to_string()))?;
        let audiences = ["other".to_owned(), "latchkey".to_owned()];
        let expected = Expected { issuer: Some("https://auth.example.com"), audiences: Some(&audiences) };
        VerifiedAccessToken::validate(&jwt, &expected, NOW).map(|token| token.claims().clone())
    }

    /// The result if one claim has another value or is missing.
    fn with(name: &'static str, value: Value) -> Result<AccessClaims, JwtError> {
        let mut claims = claims();
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value,
        }
        validate(HEADER, &claims)
    }

    #[test]
    fn a_valid_token_yields_its_claims() {
        let claims = validate(HEADER, &claims()).unwrap();
        assert_eq!((claims.subject.as_str(), claims.audience.as_str()), ("demo-client", "latchkey"));
        assert_eq!(claims.custom, BTreeMap::from([("tenant".to_owned(), "blue".to_owned())]));
    }

    #[test]
    fn serialized_claims_parse_back() {
        let read = validate(HEADER, &claims()).unwrap();
        assert_eq!(read.to_json(), claims());
    }

    #[test]
    fn custom_claims_cannot_use_reserved_names() {
        let mut claims = validate(HEADER, &claims()).unwrap();
        for name in RESERVED_CLAIMS {
            claims.custom.insert(name.to_owned(), "usr_1".to_owned());
        }
        let json = claims.to_json();
        assert_eq!((&json["sub"], json.get("sid"), json.get("cnf")), (&"demo-client".into(), None, None));
    }

    #[test]
    fn custom_claims_cannot_use_api_gateways_context_names() {
        for name in
            ["principalId", "error", "integrationLatency", "status", "claims", "scopes", "lambda", "jwt"]
        {
            assert_eq!(with(name, json!("root")).unwrap().custom.get(name), None, "{name}");
        }
    }

    #[test]
    fn the_typ_header_must_be_at_jwt() {
        for (typ, good) in [
            (r#""at+jwt""#, true),
            (r#""application/at+jwt""#, true),
            (r#""AT+JWT""#, false),
            (r#""JWT""#, false),
            (r#""dpop+jwt""#, false),
            (r#""""#, false),
        ] {
            let header = format!(r#"{{"alg":"EdDSA","typ":{typ}}}"#);
            assert_eq!(validate(&header, &claims()).is_ok(), good, "{typ}");
        }
        assert_eq!(validate(r#"{"alg":"EdDSA"}"#, &claims()), Err(JwtError::InvalidClaim("typ")));
    }

    #[test]
    fn the_issuer_must_match_byte_for_byte() {
        for issuer in [
            json!(null),
            json!("https://auth.example.com/"),
            json!("https://auth.example.co"),
            json!("https://auth.example.com.evil.example"),
            json!("HTTPS://auth.example.com"),
            json!(["https://auth.example.com"]),
            json!(""),
        ] {
            assert_eq!(with("iss", issuer.clone()), Err(JwtError::InvalidClaim("iss")), "{issuer}");
        }
    }

    #[test]
    fn the_audience_must_include_one_of_ours() {
        assert!(with("aud", json!(["foreign", "latchkey"])).is_ok());
        for audience in [
            json!(null),
            json!(""),
            json!("latch"),
            json!([]),
            json!(["foreign"]),
            json!(["latchkey", 1]),
            json!({}),
        ] {
            assert_eq!(with("aud", audience.clone()), Err(JwtError::InvalidClaim("aud")), "{audience}");
        }
    }

    #[test]
    fn subject_client_id_and_jti_are_required() {
        for name in ["sub", "client_id", "jti"] {
            for value in [json!(null), json!(""), json!(1), json!(["demo-client"])] {
                assert_eq!(with(name, value.clone()), Err(JwtError::InvalidClaim(name)), "{name} {value}");
            }
        }
    }

    #[test]
    fn a_malformed_scope_is_rejected() {
        assert_eq!(with("scope", json!(null)).unwrap().scopes, Scopes::default());
        for scope in [json!("a  b"), json!("a\"b"), json!(["todo:read"]), json!(1)] {
            assert_eq!(with("scope", scope.clone()), Err(JwtError::InvalidClaim("scope")), "{scope}");
        }
    }

    #[test]
    fn an_overlong_lifetime_is_rejected() {
        assert!(with("exp", json!(NOW + MAX_ACCESS_TOKEN_TTL)).is_ok());
        assert_eq!(with("exp", json!(NOW + MAX_ACCESS_TOKEN_TTL + 1)), Err(JwtError::InvalidClaim("exp")));
    }
}
