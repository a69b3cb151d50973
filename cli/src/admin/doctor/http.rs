//! Requests to the API, without credentials, without redirects and with a timeout.

use std::time::{Duration, Instant};

use axum::http::{HeaderMap, Method, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use jiff::fmt::rfc2822;
use shared::runtime::cache::display_chain;
use shared::runtime::clock;
use shared::runtime::https::Https;

/// The timeout of a request.
const TIMEOUT: Duration = Duration::from_secs(4);

/// The longest answer that is read, in bytes. Our longest is Swagger UI's script with 400 KiB.
const MAX_BODY: usize = 1024 * 1024;

/// An HTTP client.
#[derive(Clone)]
pub struct HttpClient(Https);

/// An answer of the API.
pub struct HttpAnswer {
    /// The status.
    pub status: StatusCode,
    /// The time from the request to the end of the body.
    pub took: Duration,
    /// The sender's clock, and ours at the answer's arrival, in seconds since 1970.
    pub clocks: Option<(u64, u64)>,
    /// The content delivery network, if headers show one.
    pub cdn: Option<&'static str>,
    /// The origin whose pages may read the answer.
    pub allowed_origin: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpClient {
    /// A client for http and https.
    pub fn new() -> Self {
        Self(Https::with_public_roots())
    }

    /// Sends a request with an empty body.
    ///
    /// # Errors
    /// The reason why there is no answer.
    pub async fn send(&self, method: Method, url: &str) -> Result<HttpAnswer, String> {
        self.send_with(method, url, HeaderMap::new()).await
    }

    /// Sends a request with these headers and an empty body.
    ///
    /// # Errors
    /// The reason why there is no answer.
    pub async fn send_with(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
    ) -> Result<HttpAnswer, String> {
        let begun = Instant::now();
        let exchange = async {
            let url = url.parse().map_err(|_| format!("{url} is not a URL"))?;
            let answer =
                self.0.send_with(method, url, headers).await.map_err(|error| display_chain(&error))?;
            let (parts, body) = answer.into_parts();
            let clocks = date(&parts.headers).map(|date| (date, clock::now()));
            let cdn = cdn(&parts.headers);
            let allowed_origin = parts.headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
            let allowed_origin = allowed_origin.and_then(|origin| origin.to_str().ok()).map(str::to_owned);
            let body = Limited::new(body, MAX_BODY).collect().await;
            let body = body.map_err(|_| "the body is incomplete or too long".to_owned())?;
            let body = body.to_bytes().to_vec();
            Ok(HttpAnswer { status: parts.status, took: begun.elapsed(), clocks, cdn, allowed_origin, body })
        };
        let out_of_time = |_| Err(format!("no answer within {} s", TIMEOUT.as_secs()));
        tokio::time::timeout(TIMEOUT, exchange).await.unwrap_or_else(out_of_time)
    }
}

/// The sender's clock. A cache sent the answer `Age` seconds after its `Date` (RFC 9111 §4.2.3).
fn date(headers: &HeaderMap) -> Option<u64> {
    let text = |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    // An HTTP date is one of mail's date forms (RFC 9110 §5.6.7).
    let date = rfc2822::parse(text(header::DATE)?).ok()?.timestamp().as_second();
    let age = text(header::AGE).and_then(|age| age.parse().ok()).unwrap_or(0);
    u64::try_from(date).ok()?.checked_add(age)
}

/// The content delivery network in front of the API, by the headers that it adds. An HTTP API without one sends none
/// of them.
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
    fn headers_show_the_content_delivery_network() {
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
    fn date_plus_age_is_the_senders_clock() {
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
