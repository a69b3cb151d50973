//! Trusted issuers, whose tokens are exchanged for ours.
//!
//! Google is one of them. `TRUSTED_ISSUERS` configures the others. Each issuer has keys, the audiences that its tokens
//! must be for, and claim rules, which map a token to a client or a user and its scopes.

use lambda_http::http::Uri;
use serde::Deserialize;
use serde_json::Value;

use crate::clients::remote_keys::{IssuerError, RemoteKeys};
use crate::federation::audience::Audience;
use crate::federation::claim_rule::ClaimRule;
use crate::federation::identity::FederatedIdentity;
use crate::federation::issuer::{AcceptedAudiences, GOOGLE, STANDARD, TrustedIssuer};
use crate::jose::jwt::{JwtError, UnverifiedJwt};
use crate::jose::strict_object::Distinct;
use crate::oauth::scope::Scopes;
use crate::runtime::settings::{ConfigError, JwksUrls, NO_ISSUER, Settings, is_issuer};

/// Maximum length of a subject token, in bytes.
const MAX_SUBJECT_TOKEN: usize = 16 * 1024;

/// Google's issuer.
const GOOGLE_ISSUER: &str = "https://accounts.google.com";

/// An entry of `TRUSTED_ISSUERS`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerEntry {
    issuer: String,
    jwks_url: Option<String>,
    audiences: Vec<String>,
    rules: Vec<ClaimRule>,
}

/// All trusted issuers.
pub struct TrustedIssuers(Vec<TrustedIssuer>);

impl TrustedIssuers {
    /// The issuer of `/google`, from `GOOGLE_CLIENT_IDS`, `GOOGLE_HOSTED_DOMAINS`, `GOOGLE_SCOPES` and
    /// `GOOGLE_JWKS_URL`. Without a client id it accepts no token.
    pub fn google_only(settings: &Settings) -> Result<Self, ConfigError> {
        let keys = RemoteKeys::new(settings.google_jwks_url()?);
        let mut google = TrustedIssuer::new(GOOGLE_ISSUER.to_owned(), GOOGLE, keys);
        google.accepted.extend(google_sign_in(settings, &mut google.audiences)?);
        Ok(Self(vec![google]))
    }

    /// Adds the issuers of `TRUSTED_ISSUERS`, a JSON array of objects with `issuer`, `jwks_url`, `audiences` and
    /// `rules`. An entry for Google extends the other variables.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let mut issuers = Self::google_only(settings)?.0;
        for entry in entries(settings)? {
            let IssuerEntry { issuer, jwks_url, audiences, rules } = entry;
            match issuers.iter_mut().find(|known| known.name == issuer) {
                Some(google)
                    if issuer == GOOGLE_ISSUER && google.accepted.len() < 2 && jwks_url.is_none() =>
                {
                    google.accept(&audiences, rules).map_err(config_error)?;
                }
                Some(_) if issuer == GOOGLE_ISSUER => {
                    return Err(config_error(
                        "lists Google twice or with a jwks_url; set GOOGLE_JWKS_URL instead",
                    ));
                }
                Some(_) => return Err(config_error("lists an issuer twice")),
                None => {
                    if settings.optional("ISSUER") == Some(issuer.as_str()) {
                        return Err(config_error(
                            "lists this deployment's own issuer, whose tokens are refreshed and not exchanged",
                        ));
                    }
                    if !is_issuer(&issuer) {
                        return Err(config_error(&format!("has an issuer that is {NO_ISSUER}")));
                    }
                    let keys = RemoteKeys::new(keys_url(jwks_url.as_deref(), settings.jwks_urls())?);
                    let mut issuer = TrustedIssuer::new(issuer, STANDARD, keys);
                    issuer.accept(&audiences, rules).map_err(config_error)?;
                    issuers.push(issuer);
                }
            }
        }
        Ok(Self(issuers))
    }

    /// Loads the keys of a single issuer before the first request. With several issuers it is unknown which one is
    /// needed first.
    pub async fn warm_up(&self, now: u64) {
        if let [only] = self.0.as_slice() {
            only.keys.warm_up(now).await;
        }
    }

    /// The scopes that this issuer's rules give to any user today; none for an issuer that is not trusted.
    pub fn user_scopes(&self, issuer: &str) -> Option<Scopes> {
        let issuer = self.0.iter().find(|known| known.name == issuer && !known.accepted.is_empty())?;
        let rules = issuer.accepted.iter().flat_map(|accepted| &accepted.rules);
        let of_users = rules.filter(|(rule, _)| rule.client.is_none());
        Some(of_users.fold(Scopes::default(), |all, (_, scopes)| all.union(scopes)))
    }

    /// Verifies a subject token of this type (RFC 8693 §3).
    pub async fn verify(
        &self,
        token: &str,
        token_type: &str,
        now: u64,
    ) -> Result<FederatedIdentity, IssuerError> {
        let jwt = UnverifiedJwt::parse_foreign(token, MAX_SUBJECT_TOKEN)?;
        let named = jwt.unverified_issuer().ok_or(JwtError::InvalidClaim("iss"))?;
        let known = self.0.iter().find(|known| known.has_name(&named));
        known.ok_or(JwtError::InvalidClaim("iss"))?.verify(jwt, token_type, now).await
    }
}

/// The rule for Google sign-in with our client ids, restricted to our hosted domains if there are any.
fn google_sign_in(
    settings: &Settings,
    audiences: &mut Vec<Audience>,
) -> Result<Option<AcceptedAudiences>, ConfigError> {
    let audiences = Audience::add(audiences, &settings.list("GOOGLE_CLIENT_IDS"));
    let audiences = audiences.map_err(|problem| ConfigError::new("GOOGLE_CLIENT_IDS", problem))?;
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
        .map_err(|_| ConfigError::new("GOOGLE_SCOPES", "contains an invalid scope"))?;
    let rule = ClaimRule { when: restriction.into_iter().collect(), client: None, scopes: Vec::new() };
    Ok(Some(AcceptedAudiences { users_only: true, audiences, rules: vec![(rule, scopes)] }))
}

fn config_error(problem: &str) -> ConfigError {
    ConfigError::new("TRUSTED_ISSUERS", problem)
}

fn entries(settings: &Settings) -> Result<Vec<IssuerEntry>, ConfigError> {
    let Some(json) = settings.optional("TRUSTED_ISSUERS") else { return Ok(Vec::new()) };
    let entries = serde_json::from_str(json).and_then(|Distinct(json)| serde_json::from_value(json));
    entries.map_err(|_| {
        config_error(
            "must be a JSON array of objects with issuer, jwks_url, audiences and rules (when, client, scopes), \
             without duplicate members",
        )
    })
}

fn keys_url(url: Option<&str>, allowed: JwksUrls) -> Result<Uri, ConfigError> {
    url.and_then(|url| allowed.parse(url))
        .ok_or_else(|| config_error("has an issuer whose jwks_url is not an https:// URL"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::federation::issuer::UNLISTED_AZP;
    use crate::jose::jwt::LEEWAY;
    use crate::jose::test_signer::TestSigner;
    use crate::oauth::identifiers::ID_TOKEN_TYPE;
    use serde_json::json;

    const NOW: u64 = 1_000_000;
    const IDS: &str = "ours.apps.googleusercontent.com,mobile.apps.googleusercontent.com";
    const KEYS: (&str, &str) = ("GOOGLE_JWKS_URL", "https://keys.example");

    fn validate(issuers: &TrustedIssuers, claims: &Value) -> Result<FederatedIdentity, JwtError> {
        validate_as(issuers, claims, r#","typ":"JWT""#, ID_TOKEN_TYPE)
    }

    /// With another `typ` and another token type.
    fn validate_as(
        issuers: &TrustedIssuers,
        claims: &Value,
        typ: &str,
        token_type: &str,
    ) -> Result<FederatedIdentity, JwtError> {
        let forge = TestSigner::new();
        let header = format!(r#"{{"alg":"EdDSA"{typ}}}"#);
        let jwt = forge.verify(&forge.token(&header, &claims.to_string()))?;
        let named = jwt.claims.string("iss").ok_or(JwtError::InvalidClaim("iss"))?;
        let known =
            issuers.0.iter().find(|known| known.has_name(named)).ok_or(JwtError::InvalidClaim("iss"))?;
        known.validate(&jwt, token_type, NOW)
    }

    fn google(hosted_domains: &str) -> TrustedIssuers {
        let pairs = [
            KEYS,
            ("GOOGLE_CLIENT_IDS", IDS),
            ("GOOGLE_HOSTED_DOMAINS", hosted_domains),
            ("GOOGLE_SCOPES", "a"),
        ];
        TrustedIssuers::google_only(&pairs.into_iter().collect()).unwrap()
    }

    fn with(issuers: &TrustedIssuers, name: &str, value: Value) -> Result<FederatedIdentity, JwtError> {
        let mut claims = json!({
            "iss": "https://accounts.google.com", "azp": "mobile.apps.googleusercontent.com",
            "aud": "ours.apps.googleusercontent.com", "sub": "10769150350006150715113082367", "hd": "example.com",
            "email": "ada@example.com", "email_verified": true, "iat": NOW, "exp": NOW + 3600,
        });
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value,
        }
        validate(issuers, &claims)
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
            let federated = with(&google(""), "iss", issuer.clone());
            assert_eq!(federated.is_ok(), good, "{issuer}");
            assert!(federated.is_err() || federated.unwrap().issuer == GOOGLE_ISSUER);
        }
    }

    #[test]
    fn googles_audience_and_authorized_party_must_be_ours() {
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
    fn an_unlisted_azp_is_rejected_with_the_remedy() {
        let rejected = with(&google(""), "azp", json!("phone.apps.googleusercontent.com"));
        assert_eq!(rejected, Err(JwtError::InvalidClaim(UNLISTED_AZP)));
        assert!(rejected.unwrap_err().to_string().contains("GOOGLE_CLIENT_IDS"));
        let listed = [KEYS, ("GOOGLE_CLIENT_IDS", "ours.apps.googleusercontent.com=web,phone=web")];
        let listed = TrustedIssuers::google_only(&listed.into_iter().collect()).unwrap();
        assert!(with(&listed, "azp", json!("phone")).is_ok(), "an id counts in either form");
    }

    #[test]
    fn an_audience_is_accepted_from_its_named_clients_or_first_party_sign_in() {
        let audiences = json!(["first-party", "https://a.example/?x=web", "both=web", "both=mobile"]);
        let rules = json!([{"when": {"sub": "job"}, "client": "web"}, {"scopes": ["read"]}]);
        let mut entry = entry(&rules);
        entry[0]["audiences"] = audiences;
        let issuers = trusted(&entry).unwrap();
        for (sub, audience, allowed_clients) in [
            ("user", json!("first-party"), [true, false, false, false]),
            ("user", json!("https://a.example/?x"), [false, true, false, false]),
            ("user", json!("both"), [false, true, true, false]),
            ("user", json!(["both", "other"]), [false, true, true, false]),
            ("user", json!(["first-party", "both"]), [false, false, false, false]),
            ("user", json!(["both", "https://a.example/?x"]), [false, true, false, false]),
            // A client's own token, for the rule that names it.
            ("job", json!("first-party"), [true, true, false, false]),
            ("job", json!("both"), [false, true, false, false]),
        ] {
            let claims = json!({"iss": "https://ci.example", "aud": audience, "sub": sub, "iat": NOW, "exp": NOW + 300});
            let federated = validate(&issuers, &claims).unwrap();
            let asked = [None, Some("web"), Some("mobile"), Some("first-party")];
            assert_eq!(
                asked.map(|client| federated.may_be_exchanged_by(client)),
                allowed_clients,
                "{claims}"
            );
        }
    }

    #[test]
    fn an_audience_with_ambiguous_clients_is_rejected() {
        for (google, trusted, good) in [
            ("a=web,a=mobile,a=web,b", "[]", true),
            ("a,a", r#"["a"]"#, true),
            ("a=web", r#"["a=web", "a=mobile", "b"]"#, true),
            ("a,a=web", "[]", false),
            ("a=web,a", "[]", false),
            ("a", r#"["a=web"]"#, false),
            ("a=web", r#"["a"]"#, false),
            ("", r#"["a", "a=web"]"#, false),
            ("a=", "[]", false),
            ("=web", "[]", false),
            ("a=latchkey", "[]", false),
            ("a=usr_1", "[]", false),
            ("", r#"["https://a.example/?x=y z"]"#, false),
        ] {
            let audiences: Value = serde_json::from_str(trusted).unwrap();
            let entry =
                json!([{"issuer": GOOGLE_ISSUER, "audiences": audiences, "rules": [{"when": {"sub": "1"}}]}]);
            let entry = if audiences == json!([]) { String::new() } else { entry.to_string() };
            let pairs = [KEYS, ("GOOGLE_CLIENT_IDS", google), ("TRUSTED_ISSUERS", entry.as_str())];
            assert_eq!(
                TrustedIssuers::from_settings(&pairs.into_iter().collect()).is_ok(),
                good,
                "{pairs:?}"
            );
        }
    }

    #[test]
    fn an_access_token_is_rejected_as_an_id_token() {
        use crate::oauth::identifiers::{ACCESS_TOKEN_TYPE, JWT_TYPE};
        let issuers = trusted(&entry(&json!([{"scopes": ["read"]}]))).unwrap();
        let claims =
            json!({"iss": "https://ci.example", "aud": "us", "sub": "1", "iat": NOW, "exp": NOW + 300});
        for (typ, as_id_token, as_access_token) in [
            ("", true, true),
            (r#","typ":"JWT""#, true, true),
            (r#","typ":"at+jwt""#, false, true),
            (r#","typ":"dpop+jwt""#, false, false),
            (r#","typ":"""#, false, false),
        ] {
            for (token_type, good) in [
                (ID_TOKEN_TYPE, as_id_token),
                (JWT_TYPE, as_access_token),
                (ACCESS_TOKEN_TYPE, as_access_token),
            ] {
                let result = validate_as(&issuers, &claims, typ, token_type);
                assert_eq!(result.is_ok(), good, "{typ} {token_type}");
            }
        }
    }

    #[test]
    fn every_token_is_rejected_without_configured_client_ids() {
        let none = TrustedIssuers::google_only(&[KEYS].into_iter().collect()).unwrap();
        assert_eq!(with(&none, "aud", json!("")), Err(JwtError::InvalidClaim("aud")));
        assert!(none.user_scopes(GOOGLE_ISSUER).is_none() && google("").user_scopes(GOOGLE_ISSUER).is_some());
    }

    #[test]
    fn the_hosted_domain_must_match_when_restricted() {
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
    fn an_unverified_email_is_ignored() {
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
    fn an_overlong_email_is_ignored() {
        let address = |length: usize| format!("{}@example.com", "a".repeat(length - "@example.com".len()));
        let email = |length| with(&google(""), "email", json!(address(length))).unwrap().email;
        assert_eq!(email(254), Some(address(254)));
        assert_eq!(email(255), None);
    }

    #[test]
    fn a_google_token_lives_at_most_an_hour_and_the_leeway() {
        assert!(with(&google(""), "exp", json!(NOW + 3600 + LEEWAY)).is_ok());
        assert!(with(&google(""), "exp", json!(NOW + 3600 + LEEWAY + 1)).is_err());
    }

    #[test]
    fn the_subject_is_required() {
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
    fn the_first_matching_rule_applies() {
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
            validate(&issuers, &claims).map(|federated| (federated.client, federated.scopes.to_string()))
        };
        let deploy = Ok((Some("deploy".to_owned()), "deploy".to_owned()));
        assert_eq!(verdict(json!({"repository": "acme/shop", "ref": "refs/heads/next"})), deploy);
        assert_eq!(verdict(json!({"nested/claim": {"team": "blue"}})).unwrap().0.as_deref(), Some("blue"));
        assert_eq!(verdict(json!({"person": true})), Ok((None, "read".to_owned())));
        assert!(verdict(json!({"person": true, "exp": NOW + STANDARD.max_ttl})).is_ok());
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
            json!({"person": true, "exp": NOW + STANDARD.max_ttl + 1}),
            json!({"person": true, "iat": "now"}),
        ] {
            assert!(verdict(other.clone()).is_err(), "{other}");
        }
    }

    #[test]
    fn an_invalid_configuration_is_rejected() {
        let rule = json!({"when": {"a": "b"}, "client": "c"});
        assert!(trusted(&entry(&json!([rule]))).is_ok());
        let mut without_keys = entry(&json!([rule]));
        without_keys[0]["jwks_url"] = json!("http://ci.example/keys");
        let issuer = |name: &str| {
            let mut entry = entry(&json!([rule]));
            entry[0]["issuer"] = json!(name);
            entry
        };
        let twice = json!([entry(&json!([rule]))[0], entry(&json!([rule]))[0]]);
        let google = |more: Value| {
            let mut google = json!({"issuer": GOOGLE_ISSUER, "audiences": ["us"], "rules": [rule]});
            google.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!([google])
        };
        assert!(trusted(&google(json!({}))).is_ok());
        let twice_within = entry(&json!([{"when": {"a": {"b": 1}}, "client": "c"}])).to_string();
        let twice_within = twice_within.replace(r#""b":1"#, r#""b":1,"b":2"#);
        let settings = [KEYS, ("TRUSTED_ISSUERS", twice_within.as_str())].into_iter().collect();
        assert!(TrustedIssuers::from_settings(&settings).is_err(), "{twice_within}");
        for bad in [
            json!({}),
            json!([1]),
            entry(&json!([])),
            entry(&json!([{"client": "c"}])),
            entry(&json!([{"when": {"a": null}, "scopes": []}])),
            entry(&json!([{"when": {"/a/b": [null, "prod"]}, "client": "c"}])),
            entry(&json!([{"when": {"a": {"b": null}}, "client": "c"}])),
            entry(&json!([{"when": {"a": "b"}, "client": "c d"}])),
            entry(&json!([{"when": {"a": "b"}, "scopes": ["a b"]}])),
            entry(&json!([{"if": {"a": "b"}}])),
            without_keys,
            twice,
            google(json!({"jwks_url": "https://keys.example"})),
            google(json!({"audiences": []})),
            google(json!({"audiences": [""]})),
            issuer("http://ci.example"),
            issuer("ci.example"),
            issuer("accounts.google.com"),
            issuer("https://ci.example?x=1"),
            issuer("https://ci.example#x"),
            issuer(""),
            entry(&json!([{"when": {"a": "b"}, "client": "latchkey"}])),
        ] {
            assert!(trusted(&bad).is_err(), "{bad}");
        }
    }
}
