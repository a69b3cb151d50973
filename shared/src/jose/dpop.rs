//! DPoP proofs (RFC 9449): a JWT that the caller signs for one request.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lambda_http::http::Uri;
use percent_encoding::percent_decode_str;

use crate::jose::jwt::{JwtError, LEEWAY, UnverifiedJwt};
use crate::jose::key::{PublicKey, thumbprint};

/// Maximum length of a proof, in bytes. It is enough for a key of 8192 bits.
const MAX_PROOF: usize = 8 * 1024;

/// Maximum age of a proof, in seconds, by the caller's clock. Invariant: the replay store keeps a used proof at least
/// this long.
const MAX_AGE: u64 = 60;

/// The request that a proof must match.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The URL, without query and fragment.
    pub url: &'a str,
    /// The access token of the request, if any.
    pub access_token: Option<&'a str>,
}

/// A valid proof, whose replay is not checked yet.
#[derive(Debug)]
pub struct Proof {
    /// The thumbprint of the proven key (RFC 7638).
    pub key: String,
    /// `jti`, for the replay store.
    pub token_id: String,
    /// When the proof has expired, in seconds since 1970.
    pub expires_at: u64,
}

impl Proof {
    /// Validates a proof (RFC 9449 §4.3). The caller checks for a replay.
    pub fn validate(text: &str, target: Target<'_>, now: u64) -> Result<Self, JwtError> {
        let jwt = UnverifiedJwt::parse_foreign(text, MAX_PROOF)?;
        let bad_key = JwtError::InvalidHeader("jwk");
        let mut jwk = jwt.embedded_key().ok_or(bad_key)?.clone();
        jwk.drop_nulls();
        let key = PublicKey::from_jwk(&jwk).map_err(|_| bad_key)?;
        let key_thumbprint = thumbprint(&jwk.into_object()).ok_or(bad_key)?;
        let jwt = jwt.verify(&key)?;
        if jwt.media_type().as_deref() != Some("dpop+jwt") {
            return Err(JwtError::InvalidClaim("typ"));
        }
        let text = |name| jwt.claims.string(name).ok_or(JwtError::InvalidClaim(name));
        if text("htm")? != target.method {
            return Err(JwtError::InvalidClaim("htm"));
        }
        if !is_same_resource(text("htu")?, target.url) {
            return Err(JwtError::InvalidClaim("htu"));
        }
        if let Some(token) = target.access_token
            && text("ath")? != hash(token)
        {
            return Err(JwtError::InvalidClaim("ath"));
        }
        let issued_at = jwt.claims.integer("iat").ok_or(JwtError::InvalidClaim("iat"))?;
        if issued_at > now.saturating_add(LEEWAY) || issued_at.saturating_add(MAX_AGE) < now {
            return Err(JwtError::InvalidClaim("iat"));
        }
        Ok(Self {
            key: key_thumbprint,
            token_id: jwt.token_id()?.to_owned(),
            expires_at: issued_at.saturating_add(MAX_AGE + 1),
        })
    }
}

/// `ath`: the hash of an access token (RFC 9449 §4.2).
fn hash(access_token: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, access_token.as_bytes()))
}

/// Whether two URLs are equal without query and fragment, and after normalization of scheme, host, default port and
/// escapes (RFC 9449 §4.3, RFC 3986 §6.2.2 and §6.2.3).
fn is_same_resource(one: &str, other: &str) -> bool {
    let parts = |url: &str| {
        let uri: Uri = url.split('#').next()?.parse().ok()?;
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let port = uri.port_u16().or(match scheme.as_str() {
            "https" => Some(443),
            "http" => Some(80),
            _ => None,
        });
        let plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        let path = percent_decode_str(uri.path()).decode_utf8_lossy().into_owned();
        plain.then_some((scheme, uri.host()?.to_ascii_lowercase(), port?, path))
    };
    let (one, other) = (parts(one), parts(other));
    one.is_some() && one == other
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::test_signer::TestSigner;
    use serde_json::{Value, json};

    const NOW: u64 = 1_000_000;
    const URL: &str = "https://api.example.com/todo";
    const TARGET: Target<'_> = Target { method: "GET", url: URL, access_token: Some("token") };

    fn claims() -> Value {
        json!({"htm": "GET", "htu": URL, "iat": NOW, "jti": "1", "ath": hash("token")})
    }

    fn validate(forge: &TestSigner, header: &Value, claims: &Value) -> Result<Proof, JwtError> {
        Proof::validate(&forge.token(&header.to_string(), &claims.to_string()), TARGET, NOW)
    }

    fn header(forge: &TestSigner) -> Value {
        json!({"alg": "EdDSA", "typ": "dpop+jwt", "jwk": forge.public_jwk()})
    }

    /// The result if one claim has another value or is missing.
    fn with(name: &str, value: Value) -> Result<Proof, JwtError> {
        let (forge, mut claims) = (TestSigner::new(), claims());
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value,
        }
        validate(&forge, &header(&forge), &claims)
    }

    #[test]
    fn a_valid_proof_yields_its_key() {
        let forge = TestSigner::new();
        let proof = validate(&forge, &header(&forge), &claims()).unwrap();
        assert_eq!(Some(proof.key), thumbprint(&forge.public_jwk()));
        assert_eq!((proof.token_id.as_str(), proof.expires_at), ("1", NOW + MAX_AGE + 1));
    }

    #[test]
    fn the_header_must_be_a_proofs_with_a_public_key() {
        let forge = TestSigner::new();
        let with = |name: &str, value: Value| {
            let mut header = header(&forge);
            header[name] = value;
            validate(&forge, &header, &claims()).err()
        };
        for typ in ["DPoP+JWT", "application/dpop+jwt"] {
            assert_eq!(with("typ", json!(typ)), None, "{typ}");
        }
        for typ in ["JWT", "at+jwt", "dpop", ""] {
            assert_eq!(with("typ", json!(typ)), Some(JwtError::InvalidClaim("typ")), "{typ}");
        }
        let mut private = forge.public_jwk();
        private["d"] = json!("AA");
        for jwk in [json!(null), json!("x"), json!({}), json!({"kty": "oct", "k": "AA"}), private] {
            assert_eq!(with("jwk", jwk.clone()), Some(JwtError::InvalidHeader("jwk")), "{jwk}");
        }
        let mut with_nulls = forge.public_jwk();
        (with_nulls["d"], with_nulls["n"], with_nulls["alg"]) = (json!(null), json!(null), json!(null));
        assert_eq!(with("jwk", with_nulls), None);
        assert_eq!(with("jwk", TestSigner::new().public_jwk()), Some(JwtError::InvalidSignature));
        assert_eq!(with("alg", json!("none")), Some(JwtError::InvalidHeader("alg")));
        assert_eq!(with("alg", json!("RS256")), Some(JwtError::InvalidSignature));
    }

    #[test]
    fn a_proof_for_another_method_url_or_token_is_rejected() {
        for (name, value) in [
            ("htm", json!("POST")),
            ("htm", json!("get")),
            ("htm", json!(null)),
            ("htu", json!("https://api.example.com/other")),
            ("htu", json!("https://api.example.com.evil.example/todo")),
            ("htu", json!("http://api.example.com/todo")),
            ("htu", json!("https://api.example.com:8443/todo")),
            ("htu", json!("https://user@api.example.com/todo")),
            ("htu", json!("/todo")),
            ("htu", json!(null)),
            ("ath", json!(hash("another"))),
            ("ath", json!("")),
            ("ath", json!(null)),
            ("jti", json!("")),
            ("jti", json!(1)),
            ("jti", json!("x".repeat(257))),
            ("jti", json!(null)),
            ("iat", json!(null)),
            ("iat", json!("1000000")),
            ("iat", json!(-1.5)),
        ] {
            assert!(
                matches!(with(name, value.clone()), Err(JwtError::InvalidClaim(claim)) if claim == name),
                "{name} {value}"
            );
        }
        for same in [
            "https://api.example.com/todo?a=b",
            "https://api.example.com/todo#c",
            "HTTPS://API.example.com:443/%74odo",
        ] {
            assert!(with("htu", json!(same)).is_ok(), "{same}");
        }
    }

    #[test]
    fn a_proofs_time_may_have_a_fraction_but_no_exponent() {
        let forge = TestSigner::new();
        let validate = |issued_at: &str| {
            let claims = claims().to_string().replace(r#""iat":1000000"#, &format!(r#""iat":{issued_at}"#));
            let token = forge.token(&header(&forge).to_string(), &claims);
            Proof::validate(&token, TARGET, NOW).map(|proof| proof.expires_at)
        };
        assert_eq!(validate("1000000.999"), Ok(NOW + MAX_AGE + 1));
        assert_eq!(validate("1000000.0"), Ok(NOW + MAX_AGE + 1));
        for bad in ["1.0e6", "1000000.5e0", "1000031.0", "999939.9"] {
            assert_eq!(validate(bad), Err(JwtError::InvalidClaim("iat")), "{bad}");
        }
    }

    #[test]
    fn an_old_proof_is_rejected() {
        for (issued_at, good) in [
            (NOW - MAX_AGE, true),
            (NOW - MAX_AGE - 1, false),
            (NOW + LEEWAY, true),
            (NOW + LEEWAY + 1, false),
        ] {
            assert_eq!(with("iat", json!(issued_at)).is_ok(), good, "{issued_at}");
        }
    }

    #[test]
    fn the_token_hash_is_ignored_without_a_token() {
        let forge = TestSigner::new();
        let proof = forge.token(&header(&forge).to_string(), &claims().to_string());
        assert!(Proof::validate(&proof, Target { access_token: None, ..TARGET }, NOW).is_ok());
    }
}
