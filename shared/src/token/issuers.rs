//! The issuers whose tokens are exchanged for ours: who they are, and what their word is worth here.
//!
//! Google is the first; `TRUSTED_ISSUERS` names the others. Each has its keys, the audiences that its
//! tokens must be for, and rules that say whose token comes out and with which scopes.

use std::collections::BTreeMap;

use lambda_http::http::Uri;
use serde::Deserialize;
use serde_json::Value;

use super::jwt::{JwtError, LEEWAY, UnverifiedJwt, VerifiedJwt};
use super::remote_keys::{IssuerError, RemoteKeys};
use crate::config::{ConfigError, Settings, secure_url};
use crate::identity::secrets::is_name;
use crate::wire::jose::Algorithm;
use crate::wire::scope::Scopes;

/// The longest token of another issuer that is read, in bytes.
const MAX_SUBJECT_TOKEN: usize = 16 * 1024;

/// OpenID Connect Core §2: a subject has at most 255 characters.
const MAX_SUBJECT: usize = 255;

/// The longest life of another issuer's token, in seconds: Kubernetes' may live for a day. Google's live
/// an hour, and one that claims more is not Google's.
const MAX_TTL: u64 = 86_400;
const GOOGLES_MAX_TTL: u64 = 3600 + LEEWAY;

/// The two spellings of Google's issuer, the first of which identities are stored under
/// (developers.google.com/identity/openid-connect/openid-connect#validatinganidtoken).
const GOOGLE: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];

/// Whom an issuer vouches for, and what comes of it here.
#[derive(Debug, PartialEq, Eq)]
pub struct Vouched {
    /// The issuer. With the subject it is the only lasting name: an email address can pass to others.
    pub issuer: String,
    /// `sub`
    pub subject: String,
    /// `email`, only when the issuer has verified it.
    pub email: Option<String>,
    /// The client that the token stands for; none for a person.
    pub client: Option<String>,
    /// The scopes that the rule gives.
    pub scopes: Scopes,
}

/// What is made of tokens whose claims are as the rule says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// Claims and what they must be: one value, or one of a list. A name that begins with `/` is a JSON
    /// pointer (RFC 6901) to a claim within a claim.
    #[serde(default)]
    when: BTreeMap<String, Value>,
    /// A registered client that the token is for; without it the token is for a person.
    client: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
}

/// One entry of `TRUSTED_ISSUERS`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    issuer: String,
    jwks_url: Option<String>,
    audiences: Vec<String>,
    rules: Vec<Rule>,
}

struct Acceptance {
    /// Whether these are Google's people alone: anybody can have a service account's token for a public
    /// client id.
    people_alone: bool,
    audiences: Vec<String>,
    rules: Vec<(Rule, Scopes)>,
}

struct TrustedIssuer {
    name: String,
    keys: RemoteKeys,
    accepted: Vec<Acceptance>,
}

/// All of them.
pub struct TrustedIssuers(Vec<TrustedIssuer>);

impl TrustedIssuers {
    /// Reads `GOOGLE_CLIENT_IDS`, `GOOGLE_HOSTED_DOMAINS`, `GOOGLE_SCOPES` and `GOOGLE_JWKS_URL` alone:
    /// the issuer of `/google`. Without a client id nobody can sign in with Google.
    pub fn google_alone(settings: &Settings) -> Result<Self, ConfigError> {
        let issuer = TrustedIssuer {
            name: GOOGLE[0].to_owned(),
            keys: RemoteKeys::new(settings.google_jwks_url()?),
            accepted: google_sign_in(settings)?.into_iter().collect(),
        };
        Ok(Self(vec![issuer]))
    }

    /// Reads `TRUSTED_ISSUERS` too, a JSON array of objects with `issuer`, `jwks_url`, `audiences` and
    /// `rules`. Google's entry adds to what the other variables say.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let mut issuers = Self::google_alone(settings)?.0;
        for entry in entries(settings)? {
            let Entry { issuer, jwks_url, audiences, rules } = entry;
            let accepted = acceptance(audiences, rules)?;
            match issuers.iter_mut().find(|known| known.name == issuer) {
                Some(google) if issuer == GOOGLE[0] && google.accepted.len() < 2 && jwks_url.is_none() => {
                    google.accepted.push(accepted);
                }
                Some(_) if issuer == GOOGLE[0] => {
                    return Err(complaint(
                        "names Google twice, or gives it a jwks_url: that is GOOGLE_JWKS_URL",
                    ));
                }
                Some(_) => return Err(complaint("names an issuer twice")),
                None => {
                    let keys = RemoteKeys::new(keys_url(jwks_url.as_deref())?);
                    issuers.push(TrustedIssuer { name: issuer, keys, accepted: vec![accepted] });
                }
            }
        }
        Ok(Self(issuers))
    }

    /// Fetches the keys of the only issuer before the first request. Of several nobody knows whose will
    /// be needed.
    pub async fn warm_up(&self, now: u64) {
        if let [only] = self.0.as_slice() {
            only.keys.warm_up(now).await;
        }
    }

    /// Whether this issuer's word still counts.
    pub fn trusts(&self, issuer: &str) -> bool {
        self.0.iter().any(|known| known.name == issuer && !known.accepted.is_empty())
    }

    /// The scopes that this issuer's rules give to users today, all of them together.
    pub fn user_scopes(&self, issuer: &str) -> Scopes {
        let accepted = self.0.iter().filter(|known| known.name == issuer).flat_map(|known| &known.accepted);
        let of_users =
            accepted.flat_map(|accepted| &accepted.rules).filter(|(rule, _)| rule.client.is_none());
        of_users.fold(Scopes::default(), |all, (_, scopes)| all.union(scopes))
    }

    /// Verifies a token of one of them.
    pub async fn verify(&self, token: &str, now: u64) -> Result<Vouched, IssuerError> {
        let jwt = UnverifiedJwt::parse(token, MAX_SUBJECT_TOKEN)?;
        let named = jwt.unverified_issuer().ok_or(JwtError::InvalidClaim("iss"))?;
        let known = self.0.iter().find(|known| known.is_called(&named));
        let known = known.ok_or(JwtError::InvalidClaim("iss"))?;
        if known.is_google() && jwt.algorithm() != Algorithm::Rs256 {
            return Err(JwtError::Malformed.into());
        }
        let jwt = known.keys.verify(jwt, now).await?;
        Ok(known.judge(&jwt, now)?)
    }
}

impl TrustedIssuer {
    fn is_google(&self) -> bool {
        self.name == GOOGLE[0]
    }

    fn is_called(&self, name: &str) -> bool {
        self.name == name || (self.is_google() && GOOGLE.contains(&name))
    }

    /// Judges the claims of a token whose signature is good.
    fn judge(&self, jwt: &VerifiedJwt, now: u64) -> Result<Vouched, JwtError> {
        // An ID token says `JWT` or nothing; an access token is no ID token.
        if !matches!(jwt.typ(), None | Some("JWT")) {
            return Err(JwtError::InvalidClaim("typ"));
        }
        if !jwt.claims.string("iss").is_some_and(|name| self.is_called(name)) {
            return Err(JwtError::InvalidClaim("iss"));
        }
        jwt.times(now, if self.is_google() { GOOGLES_MAX_TTL } else { MAX_TTL })?;
        let subject = jwt.claims.string("sub").filter(|text| (1..=MAX_SUBJECT).contains(&text.len()));
        let subject = subject.ok_or(JwtError::InvalidClaim("sub"))?;
        let for_us = |accepted: &&Acceptance| self.is_for(jwt, accepted, subject);
        let accepted = self.accepted.iter().find(for_us).ok_or(JwtError::InvalidClaim("aud"))?;
        let rule = accepted.rules.iter().find(|(rule, _)| rule.matches(jwt));
        // Google's one rule is about the hosted domain.
        let (rule, scopes) =
            rule.ok_or(JwtError::InvalidClaim(if self.is_google() { "hd" } else { "sub" }))?;
        let verified = jwt.claims.get("email_verified").is_some_and(|verified| verified == true);
        Ok(Vouched {
            issuer: self.name.clone(),
            subject: subject.to_owned(),
            email: jwt.claims.string("email").filter(|_| verified).map(str::to_owned),
            client: rule.client.clone(),
            scopes: scopes.clone(),
        })
    }

    /// `aud` holds one of ours. Google's is one string, and `azp`, who asked for the token, is ours too
    /// when it is there, or, where a rule asks for it, the service account itself.
    fn is_for(&self, jwt: &VerifiedJwt, accepted: &Acceptance, subject: &str) -> bool {
        let ours = &accepted.audiences;
        let is_ours = |value: &Value| value.as_str().is_some_and(|name| ours.iter().any(|ours| ours == name));
        let audience = match jwt.claims.get("aud") {
            Some(one @ Value::String(_)) => is_ours(one),
            Some(Value::Array(many)) if !self.is_google() => {
                many.iter().all(Value::is_string) && many.iter().any(is_ours)
            }
            _ => false,
        };
        let party = jwt
            .claims
            .get("azp")
            .is_none_or(|party| is_ours(party) || (party == subject && !accepted.people_alone));
        audience && (party || !self.is_google())
    }
}

impl Rule {
    fn matches(&self, jwt: &VerifiedJwt) -> bool {
        // An address that nobody has verified is whatever its owner likes.
        let verified = jwt.claims.get("email_verified").is_some_and(|verified| verified == true);
        self.when.iter().all(|(name, wanted)| {
            if ["email", "/email"].contains(&name.as_str()) && !verified {
                return false;
            }
            let found =
                if name.starts_with('/') { jwt.claims.pointer(name) } else { jwt.claims.get(name).cloned() };
            found.is_some_and(|found| match wanted {
                Value::Array(several) => several.contains(&found),
                one => *one == found,
            })
        })
    }
}

/// Whoever signs in with Google for one of our client ids, from a domain of ours if there are any.
fn google_sign_in(settings: &Settings) -> Result<Option<Acceptance>, ConfigError> {
    let audiences = settings.list("GOOGLE_CLIENT_IDS");
    if audiences.is_empty() {
        return Ok(None);
    }
    let domains: Vec<Value> = settings
        .list("GOOGLE_HOSTED_DOMAINS")
        .iter()
        .map(|domain| domain.to_ascii_lowercase().into())
        .collect();
    let restriction = (!domains.is_empty()).then(|| ("hd".to_owned(), Value::Array(domains)));
    let scopes = Scopes::from_names(settings.list("GOOGLE_SCOPES"))
        .map_err(|_| ConfigError::new("GOOGLE_SCOPES", "holds a character that scopes can't have"))?;
    let rule = Rule { when: restriction.into_iter().collect(), client: None, scopes: Vec::new() };
    Ok(Some(Acceptance { people_alone: true, audiences, rules: vec![(rule, scopes)] }))
}

fn complaint(problem: &str) -> ConfigError {
    ConfigError::new("TRUSTED_ISSUERS", problem)
}

fn entries(settings: &Settings) -> Result<Vec<Entry>, ConfigError> {
    let Some(json) = settings.optional("TRUSTED_ISSUERS") else { return Ok(Vec::new()) };
    serde_json::from_str(json).map_err(|_| {
        complaint("is not a JSON array of objects with issuer, jwks_url, audiences and rules (when, client, scopes)")
    })
}

fn keys_url(url: Option<&str>) -> Result<Uri, ConfigError> {
    url.and_then(secure_url).ok_or_else(|| complaint("has an issuer whose jwks_url is not an https:// URL"))
}

fn acceptance(audiences: Vec<String>, rules: Vec<Rule>) -> Result<Acceptance, ConfigError> {
    if audiences.is_empty() || audiences.iter().any(String::is_empty) || rules.is_empty() {
        return Err(complaint("has an issuer without audiences or without rules"));
    }
    let rules = rules.into_iter().map(|rule| {
        // Anybody can get a token from GitHub: a rule for a client says for which of them it is.
        if rule.client.is_some() && rule.when.is_empty() {
            return Err(complaint("has a rule for a client without conditions"));
        }
        if rule.client.as_deref().is_some_and(|client| !is_name(client)) {
            return Err(complaint("has a rule for a client whose name no client can have"));
        }
        let scopes = Scopes::from_names(&rule.scopes)
            .map_err(|_| complaint("has a rule with a scope that no scope can be"))?;
        Ok((rule, scopes))
    });
    Ok(Acceptance { people_alone: false, rules: rules.collect::<Result<_, _>>()?, audiences })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::forge::Forge;
    use serde_json::json;

    const NOW: u64 = 1_000_000;
    const IDS: &str = "ours.apps.googleusercontent.com,mobile.apps.googleusercontent.com";
    const KEYS: (&str, &str) = ("GOOGLE_JWKS_URL", "https://keys.example");

    fn judge(issuers: &TrustedIssuers, claims: &Value) -> Result<Vouched, JwtError> {
        let forge = Forge::new();
        let jwt = forge.verify(&forge.token(r#"{"alg":"EdDSA","typ":"JWT"}"#, &claims.to_string()))?;
        let named = jwt.claims.string("iss").ok_or(JwtError::InvalidClaim("iss"))?;
        let known =
            issuers.0.iter().find(|known| known.is_called(named)).ok_or(JwtError::InvalidClaim("iss"))?;
        known.judge(&jwt, NOW)
    }

    fn google(hosted_domains: &str) -> TrustedIssuers {
        let pairs = [
            KEYS,
            ("GOOGLE_CLIENT_IDS", IDS),
            ("GOOGLE_HOSTED_DOMAINS", hosted_domains),
            ("GOOGLE_SCOPES", "a"),
        ];
        TrustedIssuers::google_alone(&pairs.into_iter().collect()).unwrap()
    }

    fn with(issuers: &TrustedIssuers, name: &str, value: Value) -> Result<Vouched, JwtError> {
        let mut claims = json!({
            "iss": "https://accounts.google.com", "azp": "mobile.apps.googleusercontent.com",
            "aud": "ours.apps.googleusercontent.com", "sub": "10769150350006150715113082367", "hd": "example.com",
            "email": "ada@example.com", "email_verified": true, "iat": NOW, "exp": NOW + 3600,
        });
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value,
        }
        judge(issuers, &claims)
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
            let vouched = with(&google(""), "iss", issuer.clone());
            assert_eq!(vouched.is_ok(), good, "{issuer}");
            assert!(vouched.is_err() || vouched.unwrap().issuer == GOOGLE[0]);
        }
    }

    #[test]
    fn googles_audience_and_authorized_party_are_ours() {
        for (name, value, good) in [
            ("aud", json!("mobile.apps.googleusercontent.com"), true),
            ("aud", json!("theirs.apps.googleusercontent.com"), false),
            ("aud", json!(["ours.apps.googleusercontent.com"]), false),
            ("aud", json!(null), false),
            ("azp", json!(null), true),
            ("azp", json!("10769150350006150715113082367"), false),
            ("azp", json!("theirs.apps.googleusercontent.com"), false),
            ("azp", json!(["ours.apps.googleusercontent.com"]), false),
        ] {
            assert_eq!(with(&google(""), name, value.clone()).is_ok(), good, "{name} {value}");
        }
    }

    #[test]
    fn without_client_ids_nobody_signs_in() {
        let none = TrustedIssuers::google_alone(&[KEYS].into_iter().collect()).unwrap();
        assert_eq!(with(&none, "aud", json!("")), Err(JwtError::InvalidClaim("aud")));
        assert!(!none.trusts(GOOGLE[0]) && google("").trusts(GOOGLE[0]));
    }

    #[test]
    fn the_hosted_domain_counts_when_it_is_restricted() {
        let restricted = google("Example.com,example.org");
        assert!(with(&restricted, "x", json!(1)).is_ok());
        assert!(with(&google(""), "hd", json!(null)).is_ok());
        for domain in
            [json!(null), json!("evil.example"), json!("example.com.evil.example"), json!(["example.com"])]
        {
            assert_eq!(
                with(&restricted, "hd", domain.clone()),
                Err(JwtError::InvalidClaim("hd")),
                "{domain}"
            );
        }
    }

    #[test]
    fn an_email_counts_only_when_it_is_verified() {
        assert_eq!(with(&google(""), "x", json!(1)).unwrap().email.as_deref(), Some("ada@example.com"));
        for verified in [json!(null), json!(false), json!("true"), json!(1)] {
            assert_eq!(
                with(&google(""), "email_verified", verified.clone()).unwrap().email,
                None,
                "{verified}"
            );
        }
    }

    #[test]
    fn a_life_is_an_hour_and_the_leeway_at_most() {
        assert!(with(&google(""), "exp", json!(NOW + 3600 + LEEWAY)).is_ok());
        assert!(with(&google(""), "exp", json!(NOW + 3600 + LEEWAY + 1)).is_err());
    }

    #[test]
    fn the_subject_is_needed() {
        for subject in [json!(null), json!(""), json!(1), json!("x".repeat(256))] {
            assert!(with(&google(""), "sub", subject.clone()).is_err(), "{subject}");
        }
    }

    fn trusted(json: &Value) -> Result<TrustedIssuers, ConfigError> {
        let json = json.to_string();
        TrustedIssuers::from_settings(&[KEYS, ("TRUSTED_ISSUERS", json.as_str())].into_iter().collect())
    }

    fn entry(rules: &Value) -> Value {
        json!([{"issuer": "https://ci.example", "jwks_url": "https://ci.example/keys", "audiences": ["us"], "rules": rules}])
    }

    #[test]
    fn the_first_rule_that_matches_counts() {
        let issuers = trusted(&entry(&json!([
            {"when": {"repository": "acme/shop", "ref": ["refs/heads/main", "refs/heads/next"]}, "client": "deploy", "scopes": ["deploy"]},
            {"when": {"/nested~1claim/team": "blue"}, "client": "blue"},
            {"when": {"email": "ci@example.com"}, "client": "mail"},
            {"when": {"person": true}, "scopes": ["read"]},
        ])))
        .unwrap();
        let verdict = |more: Value| {
            let mut claims = json!({"iss": "https://ci.example", "aud": ["us", "others"], "sub": "1", "iat": NOW, "exp": NOW + 300});
            claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            judge(&issuers, &claims).map(|vouched| (vouched.client, vouched.scopes.to_string()))
        };
        let deploy = Ok((Some("deploy".to_owned()), "deploy".to_owned()));
        assert_eq!(verdict(json!({"repository": "acme/shop", "ref": "refs/heads/next"})), deploy);
        assert_eq!(verdict(json!({"nested/claim": {"team": "blue"}})).unwrap().0.as_deref(), Some("blue"));
        assert_eq!(verdict(json!({"person": true})), Ok((None, "read".to_owned())));
        let mail = json!({"email": "ci@example.com", "email_verified": true});
        assert_eq!(verdict(mail).unwrap().0.as_deref(), Some("mail"));
        for other in [
            json!({"email": "ci@example.com"}),
            json!({"email": "ci@example.com", "email_verified": "true"}),
            json!({"repository": "acme/shop"}),
            json!({"repository": "acme/shop", "ref": "refs/heads/evil"}),
            json!({"repository": "acme/shop-evil", "ref": "refs/heads/main"}),
            json!({"repository": ["acme/shop"], "ref": "refs/heads/main"}),
            json!({"nested/claim": {"team": "red"}}),
            json!({"person": "true"}),
            json!({"person": true, "aud": "others"}),
            json!({"person": true, "aud": ["us", 1]}),
            json!({"person": true, "exp": NOW + 86_401}),
        ] {
            assert!(verdict(other.clone()).is_err(), "{other}");
        }
    }

    #[test]
    fn a_bad_configuration_is_refused() {
        let rule = json!({"when": {"a": "b"}, "client": "c"});
        assert!(trusted(&entry(&json!([rule]))).is_ok());
        let mut without_keys = entry(&json!([rule]));
        without_keys[0]["jwks_url"] = json!("http://ci.example/keys");
        let twice = json!([entry(&json!([rule]))[0], entry(&json!([rule]))[0]]);
        let google = |more: Value| {
            let mut google = json!({"issuer": GOOGLE[0], "audiences": ["us"], "rules": [rule]});
            google.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!([google])
        };
        assert!(trusted(&google(json!({}))).is_ok());
        for bad in [
            json!({}),
            json!([1]),
            entry(&json!([])),
            entry(&json!([{"client": "c"}])),
            entry(&json!([{"when": {"a": "b"}, "client": "c d"}])),
            entry(&json!([{"when": {"a": "b"}, "scopes": ["a b"]}])),
            entry(&json!([{"if": {"a": "b"}}])),
            without_keys,
            twice,
            google(json!({"jwks_url": "https://keys.example"})),
            google(json!({"audiences": []})),
        ] {
            assert!(trusted(&bad).is_err(), "{bad}");
        }
    }
}
