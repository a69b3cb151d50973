//! Requests to the API: without credentials, without redirects, and never for long.

use std::time::{Duration, Instant};

use axum::http::{HeaderMap, Method, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use jiff::fmt::rfc2822;
use shared::runtime::cache::display_chain;
use shared::runtime::clock;
use shared::runtime::https::Https;

/// How long a request may take. Somebody waits.
const TIMEOUT: Duration = Duration::from_secs(4);

/// The longest answer that is read, in bytes. Invariant: above the longest of ours, Swagger UI's script,
/// which has 400 KiB.
const MAX_BODY: usize = 1024 * 1024;

/// A client.
#[derive(Clone)]
pub struct Http(Https);

/// What came back.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// How long it took.
    pub took: Duration,
    /// The sender's clock, and ours when it came, in seconds since 1970.
    pub clocks: Option<(u64, u64)>,
    /// The content delivery network that it came through, if one shows.
    pub cdn: Option<&'static str>,
    /// The origin whose pages may read it.
    pub allowed_origin: Option<String>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Http {
    /// A client for http and https.
    pub fn new() -> Self {
        Self(Https::with_public_roots())
    }

    /// Sends a request with an empty body.
    ///
    /// # Errors
    /// Why there is no answer, in words.
    pub async fn send(&self, method: Method, url: &str) -> Result<Answer, String> {
        self.send_with(method, url, HeaderMap::new()).await
    }

    /// Sends a request with these headers and an empty body.
    ///
    /// # Errors
    /// Why there is no answer, in words.
    pub async fn send_with(&self, method: Method, url: &str, headers: HeaderMap) -> Result<Answer, String> {
        let begun = Instant::now();
        let exchange = async {
            let url = url.parse().map_err(|_| format!("{url} is no URL"))?;
            let answer =
                self.0.send_with(method, url, headers).await.map_err(|error| display_chain(&error))?;
            let (parts, body) = answer.into_parts();
            let clocks = date(&parts.headers).map(|date| (date, clock::now()));
            let cdn = cdn(&parts.headers);
            let allowed_origin = parts.headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
            let allowed_origin = allowed_origin.and_then(|origin| origin.to_str().ok()).map(str::to_owned);
            let body = Limited::new(body, MAX_BODY).collect().await;
            let body = body.map_err(|_| "its body breaks off, or is too long".to_owned())?;
            let body = body.to_bytes().to_vec();
            Ok(Answer { status: parts.status, took: begun.elapsed(), clocks, cdn, allowed_origin, body })
        };
        let out_of_time = |_| Err(format!("no answer within {} s", TIMEOUT.as_secs()));
        tokio::time::timeout(TIMEOUT, exchange).await.unwrap_or_else(out_of_time)
    }
}

/// The sender's clock. RFC 9111 §4.2.3: what a cache kept was sent `Age` seconds earlier.
fn date(headers: &HeaderMap) -> Option<u64> {
    let text = |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    // An HTTP date is one of those that mail has (RFC 9110 §5.6.7).
    let date = rfc2822::parse(text(header::DATE)?).ok()?.timestamp().as_second();
    let age = text(header::AGE).and_then(|age| age.parse().ok()).unwrap_or(0);
    u64::try_from(date).ok()?.checked_add(age)
}

/// The content delivery network that an answer came through, by the headers that each adds. None of them is in an
/// answer of an HTTP API that is called directly.
fn cdn(headers: &HeaderMap) -> Option<&'static str> {
    let has = |name: &str, part: &str| {
        let values = headers.get_all(name).iter();
        values.filter_map(|value| value.to_str().ok()).any(|value| value.to_ascii_lowercase().contains(part))
    };
    [
        ("CloudFront", "x-amz-cf-id", ""),
        ("CloudFront", "via", "cloudfront"),
        ("Cloudflare", "cf-ray", ""),
        ("Fastly", "x-served-by", "cache-"),
        ("Azure Front Door", "x-azure-ref", ""),
        ("Akamai", "akamai-grn", ""),
        ("Google Cloud", "via", "google"),
    ]
    .into_iter()
    .find_map(|(network, header, part)| has(header, part).then_some(network))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_delivery_network_is_known_by_its_headers() {
        for (name, value, network) in [
            ("x-amz-cf-id", "x", Some("CloudFront")),
            ("via", "1.1 abc.cloudfront.net (CloudFront)", Some("CloudFront")),
            ("cf-ray", "x-FRA", Some("Cloudflare")),
            ("x-served-by", "cache-fra-1", Some("Fastly")),
            ("x-azure-ref", "x", Some("Azure Front Door")),
            ("akamai-grn", "0.x", Some("Akamai")),
            ("via", "1.1 google", Some("Google Cloud")),
            ("apigw-requestid", "x", None),
            ("x-served-by", "host", None),
        ] {
            let headers = [(name.parse().unwrap(), value.parse().unwrap())].into_iter().collect();
            assert_eq!(cdn(&headers), network, "{name}: {value}");
        }
    }

    #[test]
    fn a_date_is_the_senders_clock() {
        let date = |pairs: &[(header::HeaderName, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
            date(&pairs.collect())
        };
        let noon = (header::DATE, "Sat, 21 Nov 2026 12:00:00 GMT");
        assert_eq!(date(std::slice::from_ref(&noon)), Some(1_795_262_400));
        assert_eq!(date(&[noon, (header::AGE, "90")]), Some(1_795_262_490));
        assert_eq!(date(&[(header::DATE, "yesterday")]), None);
        assert_eq!(date(&[]), None);
    }
}
