//! The keys of other issuers: fetched from their JWKS URL, cached as they ask, never trusted further.

use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use lambda_http::http::{HeaderMap, Method, StatusCode, Uri, header};

use crate::jose::jwt::{JwtError, UnverifiedJwt, VerifiedJwt};
use crate::jose::key_set::KeySet;
use crate::runtime::cache::{Cache, Limits, Loaded, Unavailable, display_chain};
use crate::runtime::https::Https;

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
    /// There is an answer at the JWKS URL of that host, without a key that we can use.
    #[error("the JWKS at {0} holds no usable key")]
    NoUsableKey(String),
    /// The issuer's keys can't be had.
    #[error(transparent)]
    Keys(#[from] Unavailable),
}

/// Why a fetch failed.
#[derive(Debug, thiserror::Error)]
#[error("the JWKS at {host}: {problem}")]
struct FetchError {
    host: String,
    problem: String,
}

impl Https {
    /// A client that trusts Mozilla's roots, as browsers do. It is here so that only functions that read JWKS URLs link
    /// them.
    pub fn with_public_roots() -> Self {
        Self::new(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect())
    }
}

/// The keys behind one JWKS URL.
pub struct RemoteKeys {
    url: Uri,
    https: Https,
    cache: Cache<KeySet>,
}

impl RemoteKeys {
    /// Nothing is fetched yet. Plain http is followed for the laptop's stand-in alone: a deployment's
    /// URL is held to https by its configuration.
    pub fn new(url: Uri) -> Self {
        Self { url, https: Https::with_public_roots(), cache: Cache::new(LIMITS) }
    }

    /// Fetches the keys. A failure is left to the first token.
    pub async fn warm_up(&self, now: u64) {
        let _ = self.cache.get(now, async || self.fetch(now).await).await;
    }

    /// Checks a token's signature with the key that it names. It waits for one fetch at most, its own or another's.
    pub async fn verify(&self, jwt: UnverifiedJwt<'_>, now: u64) -> Result<VerifiedJwt, IssuerError> {
        let keys = match self.cache.ready(now) {
            Some(keys) => {
                let keys = keys?;
                match keys.choose(&jwt) {
                    Some(_) => keys,
                    None => self.cache.reload(now, &keys, async || self.fetch(now).await).await?,
                }
            }
            None => self.cache.get(now, async || self.fetch(now).await).await?,
        };
        if keys.is_empty() {
            return Err(IssuerError::NoUsableKey(self.host()));
        }
        let key = keys.choose(&jwt).ok_or(JwtError::UnknownKey)?;
        Ok(jwt.verify(key)?)
    }

    fn host(&self) -> String {
        self.url.host().unwrap_or_default().to_owned()
    }

    async fn fetch(&self, now: u64) -> Result<Loaded<KeySet>, FetchError> {
        let fetched = tokio::time::timeout(TIMEOUT, self.fetch_untimed()).await;
        let fetched = fetched.unwrap_or_else(|_| Err(format!("no answer within {} s", TIMEOUT.as_secs())));
        let loaded = fetched.and_then(|loaded| match loaded.value.is_empty() {
            // Good keys go on serving.
            true if self.cache.age(now).is_some_and(|age| age < LIMITS.usable_for) => {
                Err("no usable key".to_owned())
            }
            // The answer is no outage. It is asked for again as soon as after one.
            true => Ok(Loaded { fresh_for: LIMITS.after_failure, ..loaded }),
            false => Ok(loaded),
        });
        loaded.map_err(|problem| FetchError { host: self.host(), problem })
    }

    /// A redirect is a status like any other than 200: it is not followed.
    async fn fetch_untimed(&self) -> Result<Loaded<KeySet>, String> {
        let answer = self.https.send(Method::GET, self.url.clone()).await;
        let answer = answer.map_err(|error| display_chain(&error))?;
        if answer.status() != StatusCode::OK {
            return Err(format!("status {}", answer.status()));
        }
        let fresh_for = fresh_for(answer.headers());
        let body = Limited::new(answer.into_body(), MAX_JWKS).collect().await;
        let body = body.map_err(|error| format!("no body of at most {MAX_JWKS} bytes: {error}"))?;
        Ok(Loaded { value: KeySet::read(&body.to_bytes()), fresh_for })
    }
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
