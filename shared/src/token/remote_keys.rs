//! The keys of other issuers: fetched from their JWKS URL, cached as they ask, never trusted further.

use std::collections::BTreeMap;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use lambda_http::http::{HeaderMap, Method, StatusCode, Uri, header};
use serde::Deserialize;

use super::jwt::{JwtError, UnverifiedJwt, VerifiedJwt};
use super::key::PublicKey;
use crate::cache::{Cache, Limits, Loaded, Unavailable, chain};
use crate::https::Https;
use crate::wire::members::Members;

/// The longest JWKS that is read, in bytes. Google's has about 1,500.
const MAX_JWKS: usize = 256 * 1024;

/// The longest that a fetch may take. Invariant: well below the functions' own 10 s.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Bounds for what `Cache-Control` asks for, in seconds: often enough to learn of a revoked key, seldom
/// enough to be no burden; and what holds when it says nothing.
const MIN_FRESH: u64 = 60;
const MAX_FRESH: u64 = 86_400;
const DEFAULT_FRESH: u64 = 300;

/// Keys go on serving for a day while their issuer can't be reached, and an unknown key id is looked
/// for once a minute. A fetch that failed is tried again soon: until one succeeds nobody can sign in.
const LIMITS: Limits = Limits { usable_for: 86_400, cool_down: 60, after_failure: 2 };

/// Why a token of another issuer was not verified.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// The token is bad.
    #[error(transparent)]
    Token(#[from] JwtError),
    /// The issuer's keys can't be had.
    #[error("the issuer's keys: {0}")]
    Keys(#[from] Unavailable),
}

/// Why a fetch failed.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    TimedOut,
    #[error("{0}")]
    Unreachable(String),
    #[error("status {0}")]
    Status(StatusCode),
    #[error("the body is no JWKS of at most {MAX_JWKS} bytes")]
    Malformed,
}

type Keys = BTreeMap<String, PublicKey>;

/// The keys behind one JWKS URL.
pub struct RemoteKeys {
    url: Uri,
    https: Https,
    cache: Cache<Keys>,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Members>,
}

impl RemoteKeys {
    /// Nothing is fetched yet. Plain http is followed for the laptop's stand-in alone: a deployment's
    /// URL is held to https by its configuration.
    pub fn new(url: Uri) -> Self {
        Self { url, https: Https::to_anyone(), cache: Cache::new(LIMITS) }
    }

    /// Fetches the keys. A failure is left to the first token.
    pub async fn warm_up(&self, now: u64) {
        let _ = self.cache.get(now, async || self.fetch().await).await;
    }

    /// Checks a token's signature with the key that it names.
    pub async fn verify(&self, jwt: UnverifiedJwt<'_>, now: u64) -> Result<VerifiedJwt, IssuerError> {
        let key_id = jwt.key_id().ok_or(JwtError::UnknownKey)?.to_owned();
        let mut keys = self.cache.get(now, async || self.fetch().await).await?;
        if !keys.contains_key(&key_id) {
            keys = self.cache.renewed(now, &keys, async || self.fetch().await).await?;
        }
        let key = keys.get(&key_id).ok_or(JwtError::UnknownKey)?;
        Ok(jwt.verify(key)?)
    }

    async fn fetch(&self) -> Result<Loaded<Keys>, FetchError> {
        tokio::time::timeout(TIMEOUT, self.fetch_untimed()).await.map_err(|_| FetchError::TimedOut)?
    }

    /// A redirect is a status like any other than 200: it is not followed.
    async fn fetch_untimed(&self) -> Result<Loaded<Keys>, FetchError> {
        let answer = self.https.send(Method::GET, self.url.clone()).await;
        let answer = answer.map_err(|error| FetchError::Unreachable(chain(&error)))?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        let fresh_for = fresh_for(answer.headers());
        let body =
            Limited::new(answer.into_body(), MAX_JWKS).collect().await.map_err(|_| FetchError::Malformed)?;
        let jwks: Jwks = serde_json::from_slice(&body.to_bytes()).map_err(|_| FetchError::Malformed)?;
        let value: Keys = jwks.keys.iter().filter_map(named_key).collect();
        if value.is_empty() {
            return Err(FetchError::Malformed);
        }
        Ok(Loaded { value, fresh_for })
    }
}

/// A key that we can use and its id. Others may stand beside it (RFC 7517 §5): they are passed over.
fn named_key(jwk: &Members) -> Option<(String, PublicKey)> {
    Some((jwk.string("kid")?.to_owned(), PublicKey::from_jwk(jwk).ok()?))
}

/// RFC 9111 §4.2: `max-age` less `Age`, within our bounds.
fn fresh_for(headers: &HeaderMap) -> u64 {
    let text = |name| {
        headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok()).unwrap_or_default()
    };
    let directives = text(header::CACHE_CONTROL).split(',').map(str::trim);
    let max_age = directives.filter_map(|directive| {
        let (name, value) = directive.split_once('=')?;
        name.eq_ignore_ascii_case("max-age").then(|| value.trim_matches('"').parse::<u64>().ok())?
    });
    let age = text(header::AGE).parse().unwrap_or(0);
    max_age.min().map_or(DEFAULT_FRESH, |max_age| max_age.saturating_sub(age)).clamp(MIN_FRESH, MAX_FRESH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_control_is_obeyed_within_bounds() {
        for (cache_control, age, seconds) in [
            ("public, max-age=19845, must-revalidate", "0", 19_845),
            ("public, max-age=19845", "845", 19_000),
            ("Max-Age=\"600\"", "", 600),
            ("max-age=1", "", MIN_FRESH),
            ("max-age=600", "700", MIN_FRESH),
            ("max-age=9999999", "", MAX_FRESH),
            ("max-age=x", "", DEFAULT_FRESH),
            ("no-store", "", DEFAULT_FRESH),
            ("", "", DEFAULT_FRESH),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CACHE_CONTROL, cache_control.parse().unwrap());
            headers.insert(header::AGE, age.parse().unwrap());
            assert_eq!(fresh_for(&headers), seconds, "{cache_control} {age}");
        }
    }
}
