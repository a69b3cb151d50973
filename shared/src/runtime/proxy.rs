//! The caller's address behind a proxy that is trusted, such as CloudFront.
//!
//! Behind a proxy, API Gateway sees one address for all callers. The proxy names the caller's in a header, and shows
//! by a secret in another that the request comes through it: anyone can send the first.

use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::{constant_time, digest};
use lambda_http::Request;
use lambda_http::http::HeaderName;
use secrecy::{ExposeSecret, SecretString};

use crate::runtime::call::Call;

/// The header with the proxy's secret.
pub const SECRET_HEADER: &str = "x-latchkey-proxy-secret";

/// The header in which CloudFront names the caller: address and port
/// (docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/adding-cloudfront-headers.html).
pub const CLOUDFRONT: &str = "cloudfront-viewer-address";

/// The shortest secret, in characters. Invariant: too long to be guessed, if it is random.
pub const MIN_SECRET: usize = 32;

/// A proxy that is trusted. Of its secret only the digest is kept.
pub struct TrustedProxy {
    secret: digest::Digest,
    header: HeaderName,
}

impl TrustedProxy {
    /// One that sends this secret and names callers in this header.
    pub fn new(secret: &SecretString, header: HeaderName) -> Self {
        Self { secret: digest_of(secret.expose_secret().as_bytes()), header }
    }

    /// The caller's address, if the request comes through the proxy and the proxy names one.
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

/// Where a request comes from: what the trusted proxy says, if there is one and the request came through it, else what
/// API Gateway saw.
pub fn source(call: Call<'_>, proxy: Option<&TrustedProxy>) -> String {
    let caller = proxy.and_then(|proxy| proxy.caller(call)).map(|address| address.to_string());
    caller.unwrap_or_else(|| call.source_ip().unwrap_or_default().to_owned())
}

fn digest_of(secret: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA256, secret)
}

/// A header that was sent once.
fn single<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let mut values = request.headers().get_all(name).iter();
    let value = values.next()?.to_str().ok()?.trim();
    values.next().is_none().then_some(value)
}

/// The last address of a list: the proxy's own word. What stands before it may be the caller's. API Gateway adds the
/// address that it saw itself, the proxy's: that one is passed over.
fn last_before_gateway<'a>(list: &'a str, seen_by_gateway: Option<&str>) -> &'a str {
    let mut entries = list.rsplit(',').map(str::trim);
    let last = entries.next().unwrap_or_default();
    if Some(last) == seen_by_gateway { entries.next().unwrap_or_default() } else { last }
}

/// An address that has a port behind it: CloudFront puts no brackets around one of IPv6.
fn with_port(text: &str) -> Option<IpAddr> {
    let before = text.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
    before.and_then(|(address, _)| bare(address)).or_else(|| address(text))
}

/// An address, with a port or without: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
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
    fn an_address_has_a_port_or_none() {
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
    fn cloudfront_puts_a_port_behind_an_address_without_brackets() {
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
    fn of_a_list_the_proxys_own_word_counts() {
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
