//! The JWKS of other issuers and of clients, fetched from a URL and cached as `Cache-Control` says.

use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use lambda_http::http::{HeaderMap, Method, StatusCode, Uri, header};

use crate::jose::jwt::{JwtError, UnverifiedJwt, VerifiedJwt};
use crate::jose::key_set::KeySet;
use crate::runtime::cache::{Cache, Limits, Loaded, Unavailable, display_chain};
use crate::runtime::https::Https;

/// Maximum length of a JWKS, in bytes. Google's has about 1,500.
const MAX_JWKS: usize = 256 * 1024;

/// Timeout of a fetch. Invariant: well below the functions' timeout of 10 s.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Bounds of `max-age`, in seconds. A shorter time would load the issuer's server, a longer one would delay the
/// detection of a revoked key. The default applies without `max-age`.
const MIN_FRESH: u64 = 60;
const MAX_FRESH: u64 = 86_400;
const DEFAULT_FRESH: u64 = 300;

/// A stale JWKS is used for a day while its server is down. An unknown key id leads to a reload at most once a minute.
/// A failed fetch is repeated soon, because sign-ins may depend on it.
const LIMITS: Limits = Limits { usable_for: 86_400, cool_down: 60, after_failure: 2 };

/// Why a token of another issuer was not verified.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// The token is invalid.
    #[error(transparent)]
    Token(#[from] JwtError),
    /// The JWKS of that host was loaded and contains no usable key.
    #[error("JWKS at {0} contains no usable key")]
    NoUsableKey(String),
    /// The JWKS is unavailable.
    #[error(transparent)]
    Keys(#[from] Unavailable),
}

/// Why a fetch failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot load the JWKS at {host}: {problem}")]
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

/// The keys of one JWKS URL.
pub struct RemoteKeys {
    url: Uri,
    https: Https,
    cache: Cache<KeySet>,
}

impl RemoteKeys {
    /// Nothing is fetched yet. Plain http is for the stand-in issuer of the local stack. The settings of a deployment
    /// allow https only.
    pub fn new(url: Uri) -> Self {
        Self { url, https: Https::with_public_roots(), cache: Cache::new(LIMITS) }
    }

    /// Fetches the keys. If this fails, the first token fetches them.
    pub async fn warm_up(&self, now: u64) {
        let _ = self.cache.get(now, async || self.fetch(now).await).await;
    }

    /// Verifies the signature of a token with the key that it names. It waits for at most one fetch, by itself or by a
    /// concurrent call.
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
            // The previous keys stay in use.
            true if self.cache.age(now).is_some_and(|age| age < LIMITS.usable_for) => {
                Err("it contains no usable key".to_owned())
            }
            // The server responded, so this is not an outage. The JWKS is reloaded as soon as after a failure.
            true => Ok(Loaded { fresh_for: LIMITS.after_failure, ..loaded }),
            false => Ok(loaded),
        });
        loaded.map_err(|problem| FetchError { host: self.host(), problem })
    }

    /// A redirect is an error like any status other than 200.
    async fn fetch_untimed(&self) -> Result<Loaded<KeySet>, String> {
        let answer = self.https.send(Method::GET, self.url.clone()).await;
        let answer = answer.map_err(|error| display_chain(&error))?;
        if answer.status() != StatusCode::OK {
            return Err(format!("status {}", answer.status()));
        }
        let fresh_for = fresh_for(answer.headers());
        let body = Limited::new(answer.into_body(), MAX_JWKS).collect().await;
        let body =
            body.map_err(|error| format!("cannot read a body of at most {MAX_JWKS} bytes: {error}"))?;
        Ok(Loaded { value: KeySet::read(&body.to_bytes()), fresh_for })
    }
}

/// RFC 9111 §4.2: `max-age` minus `Age`, within our bounds.
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
    fn cache_control_is_honoured_within_bounds() {
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
