//! The caller's address behind a trusted proxy, such as CloudFront.
//!
//! Behind a proxy, API Gateway sees the proxy's address for all callers. The proxy sends the caller's address in one
//! header and a secret in another. Without the secret, any caller could send the first header.

use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::{constant_time, digest};
use lambda_http::Request;
use lambda_http::http::HeaderName;
use secrecy::{ExposeSecret, SecretString};

use crate::runtime::call::Call;

/// The header with the proxy's secret.
pub const SECRET_HEADER: &str = "x-latchkey-proxy-secret";

/// The header in which CloudFront sends the caller's address and port
/// (docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/adding-cloudfront-headers.html).
pub const CLOUDFRONT: &str = "cloudfront-viewer-address";

/// Minimum length of the secret, in characters. Invariant: a random secret of this length can't be guessed.
pub const MIN_SECRET: usize = 32;

/// A trusted proxy, with the digest of its secret.
pub struct TrustedProxy {
    secret: digest::Digest,
    header: HeaderName,
}

impl TrustedProxy {
    /// The proxy with this secret, which sends the caller's address in this header.
    pub fn new(secret: &SecretString, header: HeaderName) -> Self {
        Self { secret: digest_of(secret.expose_secret().as_bytes()), header }
    }

    /// The caller's address, if the request came through the proxy and has one.
    fn caller(&self, call: Call<'_>) -> Option<IpAddr> {
        let sent = digest_of(single(call.request, SECRET_HEADER)?.as_bytes());
        constant_time::verify_slices_are_equal(sent.as_ref(), self.secret.as_ref()).ok()?;
        let value = single(call.request, self.header.as_str())?;
        match self.header.as_str() {
            CLOUDFRONT => with_port(value),
            "x-forwarded-for" => address(last_before_gateway(value, call.source_ip())),
            _ => address(value),
        }
    }
}

/// The source address of a request: as the trusted proxy sent it, else as API Gateway saw it.
pub fn source(call: Call<'_>, proxy: Option<&TrustedProxy>) -> String {
    let caller = proxy.and_then(|proxy| proxy.caller(call)).map(|address| address.to_string());
    caller.unwrap_or_else(|| call.source_ip().unwrap_or_default().to_owned())
}

fn digest_of(secret: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA256, secret)
}

/// The value of a header that occurs once.
fn single<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let mut values = request.headers().get_all(name).iter();
    let value = values.next()?.to_str().ok()?.trim();
    values.next().is_none().then_some(value)
}

/// The last address of a list, which the proxy has added. A caller can send the ones before. API Gateway adds the
/// address that it saw, which is the proxy's and is skipped.
fn last_before_gateway<'a>(list: &'a str, seen_by_gateway: Option<&str>) -> &'a str {
    let mut entries = list.rsplit(',').map(str::trim);
    let last = entries.next().unwrap_or_default();
    if Some(last) == seen_by_gateway { entries.next().unwrap_or_default() } else { last }
}

/// An address with a port. CloudFront sends an IPv6 address without brackets.
fn with_port(text: &str) -> Option<IpAddr> {
    let before = text.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
    before.and_then(|(address, _)| bare(address)).or_else(|| address(text))
}

/// An address with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    bare(text).or_else(|| text.parse().map(|address: SocketAddr| address.ip()).ok())
}

fn bare(text: &str) -> Option<IpAddr> {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    inner.unwrap_or(text).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_a_port() {
        for (text, expected) in [
            ("198.51.100.7", Some("198.51.100.7")),
            ("198.51.100.7:443", Some("198.51.100.7")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:443", Some("2001:db8::1")),
            ("", None),
            ("unknown", None),
            ("198.51.100.7, 192.0.2.1", None),
            ("198.51.100.7:", None),
            ("198.51.100.7:99999", None),
            ("[2001:db8::1", None),
            ("_hidden:80", None),
        ] {
            assert_eq!(address(text), expected.map(|text| text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn cloudfronts_ipv6_address_has_a_port_without_brackets() {
        for (text, expected) in [
            ("198.51.100.7:46532", Some("198.51.100.7")),
            ("2001:db8:1:2:3:4:5:6:46532", Some("2001:db8:1:2:3:4:5:6")),
            ("2001:db8::1:8080", Some("2001:db8::1")),
            ("2001:db8:::8080", Some("2001:db8::")),
            ("[2001:db8::1]:8080", Some("2001:db8::1")),
            ("198.51.100.7", Some("198.51.100.7")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("46532", None),
            ("", None),
        ] {
            assert_eq!(with_port(text), expected.map(|text| text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn the_address_added_by_the_proxy_is_taken_from_the_list() {
        for (list, counts) in [
            ("198.51.100.7", "198.51.100.7"),
            ("198.51.100.7, 192.0.2.1", "198.51.100.7"),
            ("203.0.113.9, 198.51.100.7, 192.0.2.1", "198.51.100.7"),
            ("203.0.113.9,198.51.100.7,192.0.2.1", "198.51.100.7"),
            ("203.0.113.9, 198.51.100.7", "198.51.100.7"),
            ("198.51.100.7, 192.0.2.1, 192.0.2.1", "192.0.2.1"),
            ("203.0.113.9, , 192.0.2.1", ""),
            ("192.0.2.1", ""),
        ] {
            assert_eq!(last_before_gateway(list, Some("192.0.2.1")), counts, "{list}");
        }
    }
}
