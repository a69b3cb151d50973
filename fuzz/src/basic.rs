//! The `Authorization` header with any value, and Basic credentials with any text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lambda_http::http::{HeaderMap, HeaderValue, header};
use secrecy::ExposeSecret;
use shared::oauth::credentials::Credentials;

use crate::text::form_decoded;

/// The target.
pub fn run(data: &[u8]) {
    if let Some((id, secret)) = read(data) {
        let end = data.iter().position(|byte| *byte == b' ').expect("a scheme");
        let blanks = data[end..].iter().take_while(|byte| **byte == b' ').count();
        let encoded = &data[end + blanks..];
        let decoded = STANDARD.decode(encoded).expect("accepted credentials are base64");
        assert_eq!(parts(&decoded), Some((id.clone(), secret.clone())));
        // In the form of a client that form-encodes id and secret (RFC 6749 §2.3.1).
        let pair =
            [&id, &secret].map(|text| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>());
        assert_eq!(read(header_of(pair.join(":").as_bytes()).as_bytes()), Some((id, secret)));
    }
    let expected = std::str::from_utf8(data).ok().and_then(|_| parts(data));
    assert_eq!(read(header_of(data).as_bytes()), expected);
}

fn header_of(credentials: &[u8]) -> String {
    format!("Basic {}", STANDARD.encode(credentials))
}

/// Id and secret, if the header is accepted as Basic credentials.
fn read(value: &[u8]) -> Option<(String, String)> {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, HeaderValue::from_bytes(value).ok()?);
    let Ok(Credentials::Basic(basic)) = Credentials::read(&headers) else { return None };
    // A second header is rejected, whatever its value.
    headers.append(header::AUTHORIZATION, HeaderValue::from_static("Basic Og=="));
    assert!(Credentials::read(&headers).is_err());
    Some((basic.id, basic.secret.expose_secret().to_owned()))
}

/// Id and secret by an independent reading: the parts before and after the first colon.
fn parts(credentials: &[u8]) -> Option<(String, String)> {
    let colon = credentials.iter().position(|byte| *byte == b':')?;
    let decoded = |bytes: &[u8]| String::from_utf8_lossy(&form_decoded(bytes)).into_owned();
    Some((decoded(&credentials[..colon]), decoded(&credentials[colon + 1..])))
}
