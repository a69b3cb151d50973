//! Google's ID tokens: OpenID Connect Core §3.1.3.7 and Google's own rules
//! (developers.google.com/identity/openid-connect/openid-connect#validatinganidtoken).

use super::issuers::{IssuerError, RemoteKeys};
use super::jwt::{JwtError, LEEWAY, UnverifiedJwt, VerifiedJwt};
use crate::config::{ConfigError, Settings};
use crate::wire::jose::Algorithm;

/// The longest ID token that is read, in bytes.
const MAX_ID_TOKEN: usize = 16 * 1024;

/// Google's ID tokens live an hour. Invariant: one that claims more is not Google's.
const MAX_TTL: u64 = 3600 + LEEWAY;

/// The two spellings of Google's issuer, and the one that identities are stored under.
const ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];

/// Who Google says it is.
#[derive(Debug, PartialEq, Eq)]
pub struct GoogleIdentity {
    /// `sub`: with the issuer, the only lasting name. An email address can pass to somebody else.
    pub subject: String,
    /// `email`, only when Google has verified it.
    pub email: Option<String>,
}

impl GoogleIdentity {
    /// The issuer that identities are stored under.
    pub const ISSUER: &'static str = ISSUERS[0];
}

/// What this deployment takes from Google.
pub struct Google {
    keys: RemoteKeys,
    rules: Rules,
}

struct Rules {
    client_ids: Vec<String>,
    hosted_domains: Vec<String>,
}

impl Google {
    /// Reads `GOOGLE_CLIENT_IDS`, `GOOGLE_HOSTED_DOMAINS` and `GOOGLE_JWKS_URL`. Without a client id
    /// nobody can sign in with Google.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        Ok(Self {
            keys: RemoteKeys::new(settings.google_jwks_url()?),
            rules: Rules {
                client_ids: settings.list("GOOGLE_CLIENT_IDS"),
                hosted_domains: settings.list("GOOGLE_HOSTED_DOMAINS"),
            },
        })
    }

    /// Fetches Google's keys before the first request. A failure is left to that request.
    pub async fn warm_up(&self, now: u64) {
        self.keys.warm_up(now).await;
    }

    /// Verifies an ID token.
    pub async fn verify(&self, id_token: &str, now: u64) -> Result<GoogleIdentity, IssuerError> {
        let jwt = UnverifiedJwt::parse(id_token, MAX_ID_TOKEN)?;
        if jwt.algorithm() != Algorithm::Rs256 {
            return Err(JwtError::Malformed.into());
        }
        let jwt = self.keys.verify(jwt, now).await?;
        Ok(self.rules.judge(&jwt, now)?)
    }
}

impl Rules {
    fn judge(&self, jwt: &VerifiedJwt, now: u64) -> Result<GoogleIdentity, JwtError> {
        self.check_type(jwt)?;
        self.check_issuer(jwt)?;
        self.check_audience(jwt)?;
        self.check_hosted_domain(jwt)?;
        jwt.times(now, MAX_TTL)?;
        let subject = jwt.claims.string("sub").filter(|subject| !subject.is_empty() && subject.len() <= 255);
        let verified = jwt.claims.get("email_verified").is_some_and(|verified| verified == true);
        Ok(GoogleIdentity {
            subject: subject.ok_or(JwtError::InvalidClaim("sub"))?.to_owned(),
            email: jwt.claims.string("email").filter(|_| verified).map(str::to_owned),
        })
    }

    /// Google writes `JWT`; an access token is no ID token.
    fn check_type(&self, jwt: &VerifiedJwt) -> Result<(), JwtError> {
        match jwt.typ.as_deref() {
            None | Some("JWT") => Ok(()),
            Some(_) => Err(JwtError::InvalidClaim("typ")),
        }
    }

    fn check_issuer(&self, jwt: &VerifiedJwt) -> Result<(), JwtError> {
        let issuer = jwt.claims.string("iss").is_some_and(|issuer| ISSUERS.contains(&issuer));
        if issuer { Ok(()) } else { Err(JwtError::InvalidClaim("iss")) }
    }

    /// `aud` is one string of ours, and `azp`, who asked for the token, is ours too when it is there.
    fn check_audience(&self, jwt: &VerifiedJwt) -> Result<(), JwtError> {
        let ours =
            |name| jwt.claims.string(name).is_some_and(|id| self.client_ids.iter().any(|ours| ours == id));
        if !ours("aud") {
            return Err(JwtError::InvalidClaim("aud"));
        }
        if jwt.claims.get("azp").is_some() && !ours("azp") {
            return Err(JwtError::InvalidClaim("azp"));
        }
        Ok(())
    }

    fn check_hosted_domain(&self, jwt: &VerifiedJwt) -> Result<(), JwtError> {
        let domain = jwt.claims.string("hd");
        let ours = self.hosted_domains.is_empty()
            || domain.is_some_and(|domain| {
                self.hosted_domains.iter().any(|ours| ours.eq_ignore_ascii_case(domain))
            });
        if ours { Ok(()) } else { Err(JwtError::InvalidClaim("hd")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::forge::Forge;
    use serde_json::{Value, json};

    const NOW: u64 = 1_000_000;

    fn rules(hosted_domains: &[&str]) -> Rules {
        Rules {
            client_ids: vec![
                "ours.apps.googleusercontent.com".to_owned(),
                "mobile.apps.googleusercontent.com".to_owned(),
            ],
            hosted_domains: hosted_domains.iter().map(|domain| (*domain).to_owned()).collect(),
        }
    }

    fn judge(rules: &Rules, name: &str, value: Value) -> Result<GoogleIdentity, JwtError> {
        let mut claims = json!({
            "iss": "https://accounts.google.com", "azp": "mobile.apps.googleusercontent.com",
            "aud": "ours.apps.googleusercontent.com", "sub": "10769150350006150715113082367", "hd": "example.com",
            "email": "ada@example.com", "email_verified": true, "iat": NOW, "exp": NOW + 3600,
        });
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value,
        }
        let forge = Forge::new();
        let jwt = forge.verify(&forge.token(r#"{"alg":"EdDSA","typ":"JWT"}"#, &claims.to_string()))?;
        rules.judge(&jwt, NOW)
    }

    #[test]
    fn googles_two_issuers_are_accepted_and_no_other() {
        for (issuer, good) in [
            (json!("https://accounts.google.com"), true),
            (json!("accounts.google.com"), true),
            (json!("http://accounts.google.com"), false),
            (json!("https://accounts.google.com.evil.example"), false),
            (json!(["accounts.google.com"]), false),
            (json!(null), false),
        ] {
            assert_eq!(judge(&rules(&[]), "iss", issuer.clone()).is_ok(), good, "{issuer}");
        }
    }

    #[test]
    fn audience_and_authorized_party_are_ours() {
        for (name, value, good) in [
            ("aud", json!("mobile.apps.googleusercontent.com"), true),
            ("aud", json!("theirs.apps.googleusercontent.com"), false),
            ("aud", json!(["ours.apps.googleusercontent.com"]), false),
            ("aud", json!(null), false),
            ("azp", json!(null), true),
            ("azp", json!("theirs.apps.googleusercontent.com"), false),
            ("azp", json!(["ours.apps.googleusercontent.com"]), false),
        ] {
            assert_eq!(judge(&rules(&[]), name, value.clone()).is_ok(), good, "{name} {value}");
        }
    }

    #[test]
    fn without_client_ids_nobody_signs_in() {
        let none = Rules { client_ids: Vec::new(), hosted_domains: Vec::new() };
        assert_eq!(judge(&none, "aud", json!("")), Err(JwtError::InvalidClaim("aud")));
    }

    #[test]
    fn the_hosted_domain_counts_when_it_is_restricted() {
        assert!(judge(&rules(&["example.com"]), "x", json!(1)).is_ok());
        assert!(judge(&rules(&[]), "hd", json!(null)).is_ok());
        for domain in
            [json!(null), json!("evil.example"), json!("example.com.evil.example"), json!(["example.com"])]
        {
            let refused = judge(&rules(&["example.com"]), "hd", domain.clone());
            assert_eq!(refused, Err(JwtError::InvalidClaim("hd")), "{domain}");
        }
    }

    #[test]
    fn an_email_counts_only_when_it_is_verified() {
        assert_eq!(judge(&rules(&[]), "x", json!(1)).unwrap().email.as_deref(), Some("ada@example.com"));
        for verified in [json!(false), json!(null), json!("true"), json!(1)] {
            assert_eq!(
                judge(&rules(&[]), "email_verified", verified.clone()).unwrap().email,
                None,
                "{verified}"
            );
        }
    }

    #[test]
    fn a_life_is_an_hour_and_the_leeway_at_most() {
        assert!(judge(&rules(&[]), "exp", json!(NOW + 3600 + LEEWAY)).is_ok());
        assert!(judge(&rules(&[]), "exp", json!(NOW + 3600 + LEEWAY + 1)).is_err());
    }

    #[test]
    fn the_subject_is_needed() {
        for subject in [json!(null), json!(""), json!(1), json!("x".repeat(256))] {
            assert!(judge(&rules(&[]), "sub", subject.clone()).is_err(), "{subject}");
        }
    }
}
