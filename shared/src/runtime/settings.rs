//! Settings: the environment, read once at start and parsed into types.
//!
//! A function reads only the settings that it uses. A missing or invalid setting stops it at init, with an error that
//! names the variable and never contains its value.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use lambda_http::http::Uri;
use secrecy::{ExposeSecret, SecretString};

use crate::jose::algorithm::Algorithm;
use crate::jose::strict_object::StrictObject;
use crate::oauth::error::OAuthError;
use crate::oauth::scope::Scopes;
use crate::runtime::call::Call;
use crate::runtime::proxy::{CLOUDFRONT, MIN_SECRET, TrustedProxy};

/// Maximum lifetime of an access token, in seconds (a day).
///
/// Invariant: the trust snapshot keeps a revocation at least this long, so that no token outlives its revocation.
pub const MAX_ACCESS_TOKEN_TTL: u64 = 86_400;

const DAY: u64 = 86_400;

/// The source of the `iss` claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// A fixed URL.
    Fixed(String),
    /// `https://` and the domain that API Gateway received the request on.
    OwnDomain,
}

impl Issuer {
    /// A URL of this API as the caller wrote it. The scheme is https, except on the local stack.
    pub fn own_url(&self, domain: &str, path: &str) -> String {
        let plain = matches!(self, Self::Fixed(url) if url.starts_with("http://"));
        format!("{}://{domain}{path}", if plain { "http" } else { "https" })
    }

    /// The issuer for a request.
    ///
    /// # Errors
    /// The request has no domain, and no issuer is configured.
    pub fn of_call(&self, call: Call<'_>) -> Result<Cow<'_, str>, OAuthError> {
        self.resolve(call.domain()).ok_or_else(|| {
            OAuthError::unavailable(
                "cannot determine the issuer: ISSUER is unset and the request has no domain",
            )
        })
    }

    /// The issuer for a request to `domain`, or none if it is unknown.
    pub fn resolve(&self, domain: Option<&str>) -> Option<Cow<'_, str>> {
        match self {
            Self::Fixed(url) => Some(Cow::Borrowed(url)),
            Self::OwnDomain => domain.map(|domain| Cow::Owned(format!("https://{domain}"))),
        }
    }
}

/// The environment as pairs. Tests pass their own.
pub struct Settings(BTreeMap<String, String>);

/// A missing or invalid setting.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{name}: {problem}")]
pub struct ConfigError {
    name: &'static str,
    problem: String,
}

impl ConfigError {
    /// An error about a variable. `problem` must not contain its value.
    pub fn new(name: &'static str, problem: impl Into<String>) -> Self {
        Self { name, problem: problem.into() }
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Settings {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(pairs: T) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl Settings {
    /// The environment of the process, without variables that are not UTF-8.
    pub fn from_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// The value of a variable. An empty value counts as missing.
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of a variable, or an error if it is missing.
    pub fn required(&self, name: &'static str) -> Result<&str, ConfigError> {
        self.optional(name).ok_or_else(|| ConfigError::new(name, "is not set"))
    }

    /// `TABLE_NAME`: the DynamoDB table.
    pub fn table_name(&self) -> Result<&str, ConfigError> {
        self.required("TABLE_NAME")
    }

    /// `SIGNING_SECRET_ID`: name or ARN of the signing secret.
    pub fn signing_secret_id(&self) -> Result<&str, ConfigError> {
        self.required("SIGNING_SECRET_ID")
    }

    /// `ISSUER`: the `iss` claim. If empty, the issuer is the domain of each request.
    pub fn issuer(&self) -> Result<Issuer, ConfigError> {
        match self.optional("ISSUER") {
            None => Ok(Issuer::OwnDomain),
            Some(url) if is_issuer(url) => Ok(Issuer::Fixed(url.to_owned())),
            Some(_) => Err(ConfigError::new("ISSUER", format!("is {NO_ISSUER}"))),
        }
    }

    /// `GOOGLE_JWKS_URL`: the URL of Google's JWKS.
    pub fn google_jwks_url(&self) -> Result<Uri, ConfigError> {
        const NAME: &str = "GOOGLE_JWKS_URL";
        self.jwks_urls()
            .parse(self.required(NAME)?)
            .ok_or_else(|| ConfigError::new(NAME, "must be an https:// URL without user name and fragment"))
    }

    /// Which JWKS URLs of clients and trusted issuers are accepted.
    pub fn jwks_urls(&self) -> JwksUrls {
        JwksUrls { local: self.optional("ISSUER").is_some_and(|issuer| issuer.starts_with("http://")) }
    }

    /// `STRICT_ASSERTION_AUDIENCE`: `true` if an assertion must name our issuer as its only audience, as the revision
    /// of RFC 7523 requires. Default `false`.
    pub fn strict_assertion_audience(&self) -> Result<bool, ConfigError> {
        self.switch("STRICT_ASSERTION_AUDIENCE", Some("false"))
    }

    /// Whether tokens of other issuers can be exchanged: `GOOGLE_CLIENT_IDS` or `TRUSTED_ISSUERS` is set.
    pub fn trusts_issuers(&self) -> bool {
        ["GOOGLE_CLIENT_IDS", "TRUSTED_ISSUERS"].iter().any(|name| self.optional(name).is_some())
    }

    /// `AUDIENCE`: a comma-separated list. The first is the default (RFC 9068 §3).
    pub fn audiences(&self) -> Result<Vec<String>, ConfigError> {
        let audiences = self.list("AUDIENCE");
        if audiences.is_empty() {
            return Err(ConfigError::new("AUDIENCE", "lists no audience"));
        }
        Ok(audiences)
    }

    /// `ACCESS_TOKEN_TTL_SECONDS`: 60 to [`MAX_ACCESS_TOKEN_TTL`], default 900.
    pub fn access_token_ttl(&self) -> Result<u64, ConfigError> {
        self.seconds("ACCESS_TOKEN_TTL_SECONDS", 900, 60..=MAX_ACCESS_TOKEN_TTL)
    }

    /// `REFRESH_TOKEN_TTL_SECONDS`: lifetime of a token family, a minute to a year, default 30 days. 0 disables refresh
    /// tokens.
    pub fn refresh_token_ttl(&self) -> Result<Option<u64>, ConfigError> {
        if self.optional("REFRESH_TOKEN_TTL_SECONDS") == Some("0") {
            return Ok(None);
        }
        self.seconds("REFRESH_TOKEN_TTL_SECONDS", 30 * DAY, 60..=366 * DAY).map(Some)
    }

    /// `REFRESH_TOKEN_IDLE_SECONDS`: how long a refresh token is valid without use, a minute to a year, default 7 days.
    pub fn refresh_token_idle(&self) -> Result<u64, ConfigError> {
        self.seconds("REFRESH_TOKEN_IDLE_SECONDS", 7 * DAY, 60..=366 * DAY)
    }

    /// `TRUST_REFRESH_SECONDS`: how often the authorizer reloads the trust snapshot, 1 to 300, default 15.
    pub fn trust_refresh(&self) -> Result<u64, ConfigError> {
        self.seconds("TRUST_REFRESH_SECONDS", 15, 1..=300)
    }

    /// `SIGNING_ALGORITHM`: `RS256` (default), `ES256` or `EdDSA`.
    pub fn signing_algorithm(&self) -> Result<Algorithm, ConfigError> {
        let name = self.optional("SIGNING_ALGORITHM").unwrap_or("RS256");
        Algorithm::for_signing(name)
            .ok_or_else(|| ConfigError::new("SIGNING_ALGORITHM", "must be RS256, ES256 or EdDSA"))
    }

    /// `PROXY_SECRET`: the secret of the trusted proxy, at least [`MIN_SECRET`] characters. Without it no proxy is
    /// trusted. `PROXY_ADDRESS_HEADER`: the header with the caller's address, default [`CLOUDFRONT`].
    pub fn trusted_proxy(&self) -> Result<Option<TrustedProxy>, ConfigError> {
        let Some(secret) = self.optional("PROXY_SECRET").map(SecretString::from) else { return Ok(None) };
        let text = secret.expose_secret();
        if text.len() < MIN_SECRET || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ConfigError::new(
                "PROXY_SECRET",
                "must be at least 32 printable ASCII characters without spaces: use `openssl rand -hex 32`",
            ));
        }
        let header = self.optional("PROXY_ADDRESS_HEADER").unwrap_or(CLOUDFRONT).parse();
        let header =
            header.map_err(|_| ConfigError::new("PROXY_ADDRESS_HEADER", "is not a valid header name"))?;
        Ok(Some(TrustedProxy::new(&secret, header)))
    }

    /// `DEPLOY_EXAMPLES`: whether the example routes are deployed, `true` or `false`.
    pub fn deploy_examples(&self) -> Result<bool, ConfigError> {
        self.switch("DEPLOY_EXAMPLES", None)
    }

    /// `ROUTE_SCOPES` or `ADDED_ROUTE_SCOPES`: a JSON object from route key (`GET /todo`) to its scopes.
    pub fn route_scopes(&self, name: &'static str) -> Result<BTreeMap<String, Scopes>, ConfigError> {
        let complaint = |problem: &str| ConfigError::new(name, problem);
        let Some(json) = self.optional(name) else {
            return Ok(BTreeMap::new());
        };
        let members = serde_json::from_str(json).map(StrictObject::into_object);
        let routes: BTreeMap<String, Vec<String>> =
            members.and_then(serde_json::from_value).map_err(|_| {
                complaint(
                    r#"must be a JSON object such as {"GET /todo":["todo:read"]}, without duplicate routes"#,
                )
            })?;
        routes
            .into_iter()
            .map(|(route, scopes)| {
                let scopes =
                    Scopes::from_names(&scopes).map_err(|_| complaint("contains an invalid scope"))?;
                Ok((route, scopes))
            })
            .collect()
    }

    /// A comma-separated list, without surrounding spaces and empty entries.
    pub fn list(&self, name: &str) -> Vec<String> {
        self.optional(name)
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .map(str::to_owned)
            .collect()
    }

    fn switch(&self, name: &'static str, default: Option<&str>) -> Result<bool, ConfigError> {
        match self.optional(name).or(default) {
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(_) => Err(ConfigError::new(name, "must be true or false")),
            None => Err(ConfigError::new(name, "is not set")),
        }
    }

    fn seconds(
        &self,
        name: &'static str,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Result<u64, ConfigError> {
        let Some(text) = self.optional(name) else { return Ok(default) };
        text.parse().ok().filter(|seconds| range.contains(seconds)).ok_or_else(|| {
            ConfigError::new(
                name,
                format!("must be a number of seconds from {} to {}", range.start(), range.end()),
            )
        })
    }
}

/// Which JWKS URLs of clients and trusted issuers are accepted.
#[derive(Clone, Copy)]
pub struct JwksUrls {
    /// Whether this is the local stack, whose issuer has a plain http URL. On Lambda, the Runtime API listens on
    /// localhost, and its answers must not be read as keys.
    local: bool,
}

impl JwksUrls {
    /// Parses a JWKS URL, which may have a query. An https URL of this machine is harmless, because no trusted
    /// authority issues certificates for such a name.
    pub fn parse(self, url: &str) -> Option<Uri> {
        secure_url(url).filter(|url| self.local || url.scheme_str() == Some("https"))
    }
}

/// The rule for issuer URLs.
pub const NO_ISSUER: &str = "not an https:// URL without user name, query and fragment";

/// Whether a URL is a valid issuer (RFC 8414 §2, OpenID Connect Core §2).
pub fn is_issuer(url: &str) -> bool {
    secure_url(url).is_some() && !url.contains('?')
}

/// Parses an https URL without fragment and user name. A user name could be mistaken for the host.
///
/// Plain http is for the local stack only (RFC 8414 §2).
pub fn secure_url(url: &str) -> Option<Uri> {
    let bare = url.bytes().all(|byte| byte.is_ascii_graphic()) && !url.contains('#');
    let uri: Uri = Some(url).filter(|_| bare)?.parse().ok()?;
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
    let is_secure = match authority.host() {
        "" => false,
        "127.0.0.1" | "localhost" if url.starts_with("http://") => true,
        _ => url.starts_with("https://"),
    };
    is_secure.then_some(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        pairs.iter().copied().collect()
    }

    #[test]
    fn a_missing_setting_is_named() {
        let error = settings(&[("TABLE_NAME", "")]).table_name().unwrap_err();
        assert_eq!(error.to_string(), "TABLE_NAME: is not set");
    }

    #[test]
    fn an_invalid_setting_is_named_without_its_value() {
        let error = settings(&[("ACCESS_TOKEN_TTL_SECONDS", "canary")]).access_token_ttl().unwrap_err();
        assert_eq!(
            error.to_string(),
            "ACCESS_TOKEN_TTL_SECONDS: must be a number of seconds from 60 to 86400"
        );
    }

    #[test]
    fn lifetimes_are_bounded() {
        for (text, good) in [("59", false), ("60", true), ("86400", true), ("86401", false), ("-1", false)] {
            let result = settings(&[("ACCESS_TOKEN_TTL_SECONDS", text)]).access_token_ttl();
            assert_eq!(result.is_ok(), good, "{text}");
        }
    }

    #[test]
    fn the_issuer_is_an_https_url_or_the_local_stack() {
        for (url, good) in [
            ("https://auth.example.com", true),
            ("https://auth.example.com/path", true),
            ("http://127.0.0.1:3000", true),
            ("http://localhost:3000", true),
            ("http://localhost.example.com", false),
            ("http://localhost:x@evil.example", false),
            ("HTTP://localhost:3000", false),
            ("HTTPS://auth.example.com", false),
            ("https://ours.example@evil.example", false),
            ("http://auth.example.com", false),
            ("https://", false),
            ("https://a?b", false),
            ("https://a#b", false),
            ("https://a b", false),
        ] {
            assert_eq!(settings(&[("ISSUER", url)]).issuer().is_ok(), good, "{url}");
        }
    }

    #[test]
    fn a_jwks_url_may_have_a_query_and_be_local_on_the_local_stack_alone() {
        let parse =
            |issuer: &str, url: &str| settings(&[("ISSUER", issuer)]).jwks_urls().parse(url).is_some();
        for (url, good) in [
            ("https://login.example.com/keys?appid=1", true),
            ("https://login.example.com/keys?appid=1&b=@", true),
            ("https://login.example.com/keys", true),
            ("https://login.example.com/keys#1", false),
            ("https://me@login.example.com/keys", false),
            ("https://login.example.com@evil.example/keys", false),
            ("http://login.example.com/keys?localhost", false),
            ("http://169.254.169.254/latest", false),
            ("file:///etc/passwd", false),
        ] {
            for issuer in ["", "https://auth.example.com", "http://127.0.0.1:3000"] {
                assert_eq!(parse(issuer, url), good, "{issuer} {url}");
            }
        }
        for url in ["http://localhost:9001/2018-06-01/runtime/invocation/next", "http://127.0.0.1/keys"] {
            assert!(parse("http://127.0.0.1:3000", url) && parse("http://localhost:3000", url), "{url}");
            assert!(!parse("", url) && !parse("https://auth.example.com", url), "{url}");
        }
    }

    #[test]
    fn a_short_proxy_secret_is_rejected_without_its_value() {
        let proxy = |secret: &str, header: &str| {
            let settings = settings(&[("PROXY_SECRET", secret), ("PROXY_ADDRESS_HEADER", header)]);
            settings.trusted_proxy().map(|proxy| proxy.is_some())
        };
        let good = "0123456789abcdef0123456789abcdef";
        assert_eq!(proxy("", "X-Forwarded-For"), Ok(false));
        for header in ["", "X-Forwarded-For", "cf-connecting-ip"] {
            assert_eq!(proxy(good, header), Ok(true), "{header}");
        }
        for (secret, header) in [(&good[1..], ""), ("0123456789abcdef 0123456789abcdef", ""), (good, "a b")] {
            let error = proxy(secret, header).unwrap_err().to_string();
            assert!(error.starts_with("PROXY_") && !error.contains("0123"), "{error}");
        }
    }

    #[test]
    fn verify_only_algorithms_are_rejected_for_signing() {
        for (name, good) in [("RS256", true), ("ES256", true), ("EdDSA", true), ("ES384", false), ("", true)]
        {
            assert_eq!(settings(&[("SIGNING_ALGORITHM", name)]).signing_algorithm().is_ok(), good, "{name}");
        }
    }

    #[test]
    fn the_strict_audience_is_off_by_default() {
        let strict = |value| settings(&[("STRICT_ASSERTION_AUDIENCE", value)]).strict_assertion_audience();
        assert_eq!((strict(""), strict("false"), strict("true")), (Ok(false), Ok(false), Ok(true)));
        assert!(strict("yes").is_err());
    }

    #[test]
    fn the_first_audience_is_the_default() {
        let audiences = settings(&[("AUDIENCE", " a , ,b")]).audiences().unwrap();
        assert_eq!(audiences, ["a", "b"]);
    }

    #[test]
    fn route_scopes_must_be_scopes() {
        let read = |json| settings(&[("ROUTE_SCOPES", json)]).route_scopes("ROUTE_SCOPES");
        assert!(read(r#"{"GET /todo":["todo:read"]}"#).is_ok());
        let twice = r#"{"GET /todo":["a"],"GET /todo":[]}"#;
        for bad in ["[]", "{", r#"{"GET /todo":"todo:read"}"#, r#"{"GET /todo":["a b"]}"#, twice] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
