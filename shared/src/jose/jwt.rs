//! JSON Web Tokens in compact form (RFC 7519, RFC 7515). Our own tokens are parsed strictly. Tokens of clients and
//! other issuers are parsed with the leniency of [`UnverifiedJwt::parse_foreign`].
//!
//! [`UnverifiedJwt`] exposes only what the choice of a key needs. The claims are available after
//! [`UnverifiedJwt::verify`] only.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::jose::algorithm::Algorithm;
use crate::jose::key::PublicKey;
use crate::jose::strict_object::StrictObject;

/// The allowed difference between two clocks, in seconds. Invariant: no other tolerance exists, and it is applied once
/// to each of `exp`, `nbf` and `iat`.
pub const LEEWAY: u64 = 30;

/// Header parameters that change the meaning of a token and are not supported (RFC 7515 §4.1.11, RFC 7797, RFC 7516
/// §4.1.3, RFC 7519 §5.2).
const FORBIDDEN_HEADERS: [&str; 4] = ["crit", "b64", "zip", "cty"];

/// Why a token is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// Not a token in the supported form.
    #[error("token is malformed")]
    Malformed,
    /// A header parameter is missing, malformed or not accepted.
    #[error("token header parameter {0} is missing or not accepted")]
    InvalidHeader(&'static str),
    /// No key has the token's key id and algorithm.
    #[error("no public key matches the token's kid and alg")]
    UnknownKey,
    /// The signature does not match.
    #[error("token signature is invalid")]
    InvalidSignature,
    /// The token has expired.
    #[error("token has expired")]
    Expired,
    /// A claim is missing, malformed or not accepted.
    #[error("token claim {0} is missing or not accepted")]
    InvalidClaim(&'static str),
}

/// Maximum length of a `jti` for the replay store, in bytes.
const MAX_TOKEN_ID: usize = 256;

/// SHA-256 of a token's text with its signature.
pub type TokenDigest = [u8; digest::SHA256_OUTPUT_LEN];

/// A token whose signature is not verified.
pub struct UnverifiedJwt<'a> {
    text: &'a str,
    foreign: bool,
    algorithm: Algorithm,
    key_id: Option<String>,
    typ: Option<String>,
    embedded_key: Option<StrictObject>,
    signing_input: &'a str,
    payload: &'a str,
    signature: &'a str,
}

/// A token with a verified signature. Its claims are not validated yet.
#[derive(Clone)]
pub struct VerifiedJwt {
    typ: Option<String>,
    /// The claims.
    pub claims: StrictObject,
}

impl<'a> UnverifiedJwt<'a> {
    /// Parses a token of ours of at most `max_len` bytes.
    pub fn parse(text: &'a str, max_len: usize) -> Result<Self, JwtError> {
        Self::read(text, max_len, false)
    }

    /// Parses a token of a client or of another issuer: an assertion, a proof or a subject token. `null` counts as
    /// absent, a time may have a fraction, and the algorithms include those that we only verify.
    pub fn parse_foreign(text: &'a str, max_len: usize) -> Result<Self, JwtError> {
        Self::read(text, max_len, true)
    }

    fn read(text: &'a str, max_len: usize, foreign: bool) -> Result<Self, JwtError> {
        if text.len() > max_len {
            return Err(JwtError::Malformed);
        }
        let (signing_input, signature) = text.rsplit_once('.').ok_or(JwtError::Malformed)?;
        let (header, payload) = signing_input.split_once('.').ok_or(JwtError::Malformed)?;
        if payload.contains('.') || signature.is_empty() {
            return Err(JwtError::Malformed);
        }
        let mut header = members(&decode(header)?)?;
        if let Some(name) = FORBIDDEN_HEADERS.into_iter().find(|name| header.get(name).is_some()) {
            return Err(JwtError::InvalidHeader(name));
        }
        if foreign {
            header.drop_nulls();
        }
        let optional_string = |name| match header.get(name) {
            None => Ok(None),
            Some(value) => {
                value.as_str().map(|text| Some(text.to_owned())).ok_or(JwtError::InvalidHeader(name))
            }
        };
        let algorithm = header.string("alg").and_then(Algorithm::from_name);
        let algorithm = algorithm.filter(|algorithm| foreign || algorithm.signs());
        Ok(Self {
            algorithm: algorithm.ok_or(JwtError::InvalidHeader("alg"))?,
            key_id: optional_string("kid")?,
            typ: optional_string("typ")?,
            text,
            foreign,
            embedded_key: header.get("jwk").and_then(|jwk| jwk.as_object()).cloned().map(StrictObject::from),
            signing_input,
            payload,
            signature,
        })
    }

    /// Identifies the token.
    pub fn digest(&self) -> TokenDigest {
        let mut digest = TokenDigest::default();
        digest.copy_from_slice(digest::digest(&digest::SHA256, self.text.as_bytes()).as_ref());
        digest
    }

    /// The algorithm in the header.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key id in the header.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The key in the header (`jwk`, RFC 7515 §4.1.3), for DPoP proofs. For any other token, an attacker can choose it.
    pub fn embedded_key(&self) -> Option<&StrictObject> {
        self.embedded_key.as_ref()
    }

    /// The issuer in the claims, for the choice of the keys only.
    pub fn unverified_issuer(&self) -> Option<String> {
        members(&decode(self.payload).ok()?).ok()?.string("iss").map(str::to_owned)
    }

    /// Verifies the signature. The key's algorithm must be that of the token.
    pub fn verify(self, key: &PublicKey) -> Result<VerifiedJwt, JwtError> {
        if self.algorithm != key.algorithm() || !key.verifies(self.signing_input, self.signature) {
            return Err(JwtError::InvalidSignature);
        }
        let payload = decode(self.payload)?;
        let mut claims = members(&payload)?;
        if self.foreign {
            claims.drop_nulls();
            truncate_times(&payload, &mut claims)?;
        }
        Ok(VerifiedJwt { typ: self.typ, claims })
    }
}

impl VerifiedJwt {
    /// The header's `typ`, unchanged.
    pub fn typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }

    /// The header's `typ` for comparison (RFC 7515 §4.1.9): in lower case, without `application/`.
    pub fn media_type(&self) -> Option<String> {
        let typ = self.typ.as_ref()?.to_ascii_lowercase();
        Some(typ.strip_prefix("application/").map(str::to_owned).unwrap_or(typ))
    }

    /// `jti`, for the replay store.
    pub fn token_id(&self) -> Result<&str, JwtError> {
        let id = self.claims.string("jti").filter(|id| (1..=MAX_TOKEN_ID).contains(&id.len()));
        id.ok_or(JwtError::InvalidClaim("jti"))
    }

    /// Validates the times: `exp` and `iat` are required, `nbf` is optional, and the lifetime is at most `max_ttl`
    /// seconds. Returns `iat` and `exp`.
    pub fn validate_times(&self, now: u64, max_ttl: u64) -> Result<(u64, u64), JwtError> {
        let issued_at = self.claims.integer("iat").ok_or(JwtError::InvalidClaim("iat"))?;
        self.validate_times_from(issued_at, now, max_ttl)
    }

    /// As [`VerifiedJwt::validate_times`], with an optional `iat`, which defaults to now.
    pub fn validate_times_without_iat(&self, now: u64, max_ttl: u64) -> Result<(u64, u64), JwtError> {
        match self.claims.get("iat") {
            Some(_) => self.validate_times(now, max_ttl),
            None => self.validate_times_from(now.saturating_sub(LEEWAY), now, max_ttl + LEEWAY),
        }
    }

    fn validate_times_from(&self, issued_at: u64, now: u64, max_ttl: u64) -> Result<(u64, u64), JwtError> {
        let expires_at = self.claims.integer("exp").ok_or(JwtError::InvalidClaim("exp"))?;
        if issued_at > now.saturating_add(LEEWAY) {
            return Err(JwtError::InvalidClaim("iat"));
        }
        if expires_at < issued_at || expires_at - issued_at > max_ttl {
            return Err(JwtError::InvalidClaim("exp"));
        }
        if self.claims.get("nbf").is_some() {
            let not_before = self.claims.integer("nbf").ok_or(JwtError::InvalidClaim("nbf"))?;
            if not_before > now.saturating_add(LEEWAY) {
                return Err(JwtError::InvalidClaim("nbf"));
            }
        }
        if expires_at.saturating_add(LEEWAY) <= now {
            return Err(JwtError::Expired);
        }
        Ok((issued_at, expires_at))
    }
}

/// Decodes base64url without padding and stray bits.
fn decode(text: &str) -> Result<Vec<u8>, JwtError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| JwtError::Malformed)
}

/// Parses a JSON object without duplicate members.
fn members(json: &[u8]) -> Result<StrictObject, JwtError> {
    serde_json::from_slice(json).map_err(|_| JwtError::Malformed)
}

/// Truncates times with a fraction to seconds (RFC 7519 §2, NumericDate). A time with an exponent stays and is not an
/// integer, which only the JSON text tells.
fn truncate_times(payload: &[u8], claims: &mut StrictObject) -> Result<(), JwtError> {
    #[derive(Deserialize)]
    struct Times<'a> {
        #[serde(borrow)]
        iat: Option<&'a RawValue>,
        #[serde(borrow)]
        exp: Option<&'a RawValue>,
        #[serde(borrow)]
        nbf: Option<&'a RawValue>,
    }
    if !["iat", "exp", "nbf"].iter().any(|name| claims.get(name).is_some_and(serde_json::Value::is_f64)) {
        return Ok(());
    }
    let Times { iat, exp, nbf } = serde_json::from_slice(payload).map_err(|_| JwtError::Malformed)?;
    for (name, text) in [("iat", iat), ("exp", exp), ("nbf", nbf)] {
        let parts = text.and_then(|text| text.get().split_once('.'));
        let whole = parts.filter(|(_, fraction)| fraction.bytes().all(|digit| digit.is_ascii_digit()));
        if let Some(seconds) = whole.and_then(|(seconds, _)| seconds.parse::<u64>().ok()) {
            claims.set(name, seconds);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::test_signer::TestSigner;

    const HEADER: &str = r#"{"alg":"EdDSA","kid":"1","typ":"at+jwt"}"#;

    #[test]
    fn a_jwt_has_three_strict_base64url_parts() {
        let forge = TestSigner::new();
        let good = forge.token(HEADER, "{}");
        assert!(forge.verify(&good).is_ok());
        let (input, signature) = good.rsplit_once('.').unwrap();
        let (header, payload) = input.split_once('.').unwrap();
        for bad in [
            String::new(),
            ".".to_owned(),
            "..".to_owned(),
            input.to_owned(),
            format!("{input}."),
            format!("{good}."),
            format!(".{good}"),
            format!("{good}.x"),
            format!("{good}="),
            format!("{good} "),
            format!(" {good}"),
            format!("{good}\n"),
            format!("{header}.{payload}.{signature}\0"),
            format!("{header}..{payload}.{signature}"),
            format!("{header}.{payload}=.{signature}"),
            format!("{header}=.{payload}.{signature}"),
            good.replace('.', ". "),
            // JSON serialization (RFC 7515 §7.2) is not the compact form.
            format!(r#"{{"protected":"{header}","payload":"{payload}","signature":"{signature}"}}"#),
        ] {
            assert!(forge.verify(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn trailing_bits_of_a_part_are_rejected() {
        let forge = TestSigner::new();
        // Two bytes need three characters, of which the last has two spare bits.
        assert!(forge.verify(&forge.sign(&format!("{}.e30", URL_SAFE_NO_PAD.encode(HEADER)))).is_ok());
        assert!(forge.verify(&forge.sign(&format!("{}.e31", URL_SAFE_NO_PAD.encode(HEADER)))).is_err());
        let good = forge.token(HEADER, "{}");
        // 64 bytes need 86 characters, of which the last has four spare bits.
        let last = good.chars().last().unwrap();
        let next = char::from_u32(u32::from(last) + 1).unwrap();
        assert!(forge.verify(&format!("{}{next}", &good[..good.len() - 1])).is_err());
    }

    #[test]
    fn a_jwt_over_the_maximum_length_is_rejected() {
        let token = TestSigner::new().token(HEADER, "{}");
        assert!(UnverifiedJwt::parse(&token, token.len()).is_ok());
        assert!(UnverifiedJwt::parse(&token, token.len() - 1).is_err());
    }

    #[test]
    fn the_algorithm_must_be_supported_and_match_the_key() {
        let forge = TestSigner::new();
        for alg in [
            r#""none""#,
            r#""None""#,
            r#""HS256""#,
            r#""RS512""#,
            r#""ES384""#,
            r#""eddsa""#,
            r#""""#,
            "null",
            "1",
            r#"["EdDSA"]"#,
        ] {
            let token = forge.token(&format!(r#"{{"alg":{alg},"typ":"at+jwt"}}"#), "{}");
            assert_eq!(forge.verify(&token).err(), Some(JwtError::InvalidHeader("alg")), "{alg}");
        }
        for alg in ["RS256", "ES256"] {
            let token = forge.token(&format!(r#"{{"alg":"{alg}"}}"#), "{}");
            assert_eq!(forge.verify(&token).err(), Some(JwtError::InvalidSignature), "{alg}");
        }
        assert!(forge.verify(&forge.token(r#"{"typ":"at+jwt"}"#, "{}")).is_err());
    }

    #[test]
    fn critical_header_members_are_rejected_and_header_keys_ignored() {
        let forge = TestSigner::new();
        for member in [
            r#""crit":["exp"]"#,
            r#""crit":[]"#,
            r#""b64":false"#,
            r#""b64":true"#,
            r#""zip":"DEF""#,
            r#""cty":"JWT""#,
        ] {
            let token = forge.token(&format!(r#"{{"alg":"EdDSA",{member}}}"#), "{}");
            for parsed in [UnverifiedJwt::parse(&token, 8192), UnverifiedJwt::parse_foreign(&token, 8192)] {
                assert!(matches!(parsed.err(), Some(JwtError::InvalidHeader(name)) if member.contains(name)));
            }
        }
        let other = TestSigner::new();
        let header = r#"{"alg":"EdDSA","jwk":{"kty":"OKP"},"jku":"https://evil.example","x5u":"https://evil.example","x5c":["AA"]}"#;
        assert!(forge.verify(&forge.token(header, "{}")).is_ok());
        assert_eq!(forge.verify(&other.token(header, "{}")).err(), Some(JwtError::InvalidSignature));
    }

    #[test]
    fn duplicate_members_are_rejected() {
        let forge = TestSigner::new();
        for (header, claims) in [
            (r#"{"alg":"EdDSA","alg":"EdDSA"}"#, "{}"),
            (r#"{"alg":"EdDSA","kid":"1","kid":"2"}"#, "{}"),
            (HEADER, r#"{"sub":"a","sub":"b"}"#),
            (HEADER, r#"{"exp":1,"\u0065xp":2}"#),
            (HEADER, r#"{"env":{"name":"dev","name":"prod"}}"#),
            (HEADER, r#"{"aud":["a",{"b":1,"b":1}]}"#),
            (r#"{"alg":"EdDSA","jwk":{"x":"a","x":"b"}}"#, "{}"),
        ] {
            assert_eq!(
                forge.verify(&forge.token(header, claims)).err(),
                Some(JwtError::Malformed),
                "{header} {claims}"
            );
        }
    }

    #[test]
    fn null_and_fractional_times_are_accepted_in_foreign_tokens_alone() {
        let forge = TestSigner::new();
        let header = r#"{"alg":"EdDSA","kid":null,"typ":null}"#;
        let claims = r#"{"iat":1.5,"exp":2.0,"nbf":null,"azp":null,"other":3.5}"#;
        let token = forge.token(header, claims);
        let foreign = UnverifiedJwt::parse_foreign(&token, 8192).unwrap();
        assert_eq!(foreign.key_id(), None);
        let foreign = foreign.verify(&forge.public_key).unwrap();
        assert_eq!((foreign.typ(), foreign.media_type()), (None, None));
        let read = serde_json::json!({"iat": 1, "exp": 2, "other": 3.5});
        assert_eq!(foreign.claims.into_object(), read);
        assert_eq!(forge.verify(&token).err(), Some(JwtError::InvalidHeader("kid")));
        let ours = forge.verify(&forge.token(HEADER, claims)).unwrap();
        assert_eq!(ours.claims.into_object(), serde_json::from_str::<serde_json::Value>(claims).unwrap());
    }

    #[test]
    fn header_and_claims_must_be_objects() {
        let forge = TestSigner::new();
        for (header, claims) in [
            ("[]", "{}"),
            ("null", "{}"),
            ("", "{}"),
            (HEADER, "[]"),
            (HEADER, "1"),
            (HEADER, ""),
            (HEADER, "{}{}"),
        ] {
            assert!(forge.verify(&forge.token(header, claims)).is_err(), "{header} {claims}");
        }
        assert!(forge.verify(&forge.token(r#"{"alg":"EdDSA","kid":1}"#, "{}")).is_err());
        assert!(forge.verify(&forge.token(r#"{"alg":"EdDSA","typ":["at+jwt"]}"#, "{}")).is_err());
    }

    const NOW: u64 = 1_000_000;
    const TTL: u64 = 900;

    fn validate_times(claims: &str) -> Result<(), JwtError> {
        let forge = TestSigner::new();
        forge.verify(&forge.token(HEADER, claims))?.validate_times(NOW, TTL).map(drop)
    }

    #[test]
    fn times_are_validated_with_one_leeway() {
        let life = |issued_at: u64, expires_at: u64| {
            validate_times(&format!(r#"{{"iat":{issued_at},"exp":{expires_at}}}"#))
        };
        assert_eq!(life(NOW - 100, NOW - LEEWAY + 1), Ok(()));
        assert_eq!(life(NOW - 100, NOW - LEEWAY), Err(JwtError::Expired));
        assert_eq!(life(NOW + LEEWAY, NOW + 100), Ok(()));
        assert_eq!(life(NOW + LEEWAY + 1, NOW + 100), Err(JwtError::InvalidClaim("iat")));
        assert_eq!(life(NOW, NOW + TTL), Ok(()));
        assert_eq!(life(NOW, NOW + TTL + 1), Err(JwtError::InvalidClaim("exp")));
        assert_eq!(life(NOW, NOW - 1), Err(JwtError::InvalidClaim("exp")));
        let not_before =
            |nbf: u64| validate_times(&format!(r#"{{"iat":{NOW},"exp":{},"nbf":{nbf}}}"#, NOW + 1));
        assert_eq!(not_before(NOW + LEEWAY), Ok(()));
        assert_eq!(not_before(NOW + LEEWAY + 1), Err(JwtError::InvalidClaim("nbf")));
    }

    #[test]
    fn a_missing_iat_extends_no_lifetime() {
        let ends = |expires_at: u64| {
            let forge = TestSigner::new();
            let claims = format!(r#"{{"exp":{expires_at}}}"#);
            forge.verify(&forge.token(HEADER, &claims))?.validate_times_without_iat(NOW, TTL).map(drop)
        };
        assert_eq!(ends(NOW + TTL), Ok(()));
        assert_eq!(ends(NOW + TTL + 1), Err(JwtError::InvalidClaim("exp")));
        assert_eq!(ends(NOW - LEEWAY + 1), Ok(()));
        assert_eq!(ends(NOW - LEEWAY), Err(JwtError::Expired));
    }

    #[test]
    fn malformed_times_are_rejected_and_not_ignored() {
        let good = NOW + 1;
        for (name, claims) in [
            ("exp", format!(r#"{{"iat":{NOW}}}"#)),
            ("exp", format!(r#"{{"iat":{NOW},"exp":"{good}"}}"#)),
            ("exp", format!(r#"{{"iat":{NOW},"exp":{good}.0}}"#)),
            ("exp", format!(r#"{{"iat":{NOW},"exp":1e18}}"#)),
            ("exp", format!(r#"{{"iat":{NOW},"exp":null}}"#)),
            ("exp", format!(r#"{{"iat":{NOW},"exp":18446744073709551615}}"#)),
            ("iat", format!(r#"{{"exp":{good}}}"#)),
            ("iat", format!(r#"{{"iat":-1,"exp":{good}}}"#)),
            ("iat", format!(r#"{{"iat":true,"exp":{good}}}"#)),
            ("nbf", format!(r#"{{"iat":{NOW},"exp":{good},"nbf":"0"}}"#)),
            ("nbf", format!(r#"{{"iat":{NOW},"exp":{good},"nbf":null}}"#)),
        ] {
            assert_eq!(validate_times(&claims), Err(JwtError::InvalidClaim(name)), "{claims}");
        }
    }
}
