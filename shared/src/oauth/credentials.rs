//! The `Authorization` header: Basic and bearer credentials.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lambda_http::http::{HeaderMap, header};
use secrecy::SecretString;

use crate::oauth::error::OAuthError;

/// Client id and client secret of `Authorization: Basic`.
pub struct BasicCredentials {
    /// Client id.
    pub id: String,
    /// Client secret.
    pub secret: SecretString,
}

/// The credentials of the `Authorization` header.
pub enum Credentials {
    /// No such header.
    Missing,
    /// `Basic` (RFC 7617), with form-decoded parts (RFC 6749 §2.3.1).
    Basic(BasicCredentials),
    /// `Bearer` (RFC 6750 §2.1).
    Bearer(SecretString),
    /// Another scheme.
    Other,
}

impl Credentials {
    /// Parses the header. A duplicate or malformed header is an error.
    pub fn read(headers: &HeaderMap) -> Result<Self, OAuthError> {
        let malformed = || OAuthError::invalid_request("malformed Authorization header");
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let (value, second) = (values.next(), values.next());
        let Some(value) = value else { return Ok(Self::Missing) };
        if second.is_some() {
            return Err(malformed());
        }
        let (scheme, credentials) = value.to_str().ok().and_then(scheme).ok_or_else(malformed)?;
        if scheme.eq_ignore_ascii_case("basic") {
            basic(credentials).map(Self::Basic).ok_or_else(malformed)
        } else if scheme.eq_ignore_ascii_case("bearer") {
            Ok(Self::Bearer(credentials.into()))
        } else {
            Ok(Self::Other)
        }
    }
}

/// The scheme of an `Authorization` header and the rest, separated by one or more spaces (`1*SP`, RFC 9110 §11.4).
pub fn scheme(value: &str) -> Option<(&str, &str)> {
    value.split_once(' ').map(|(scheme, credentials)| (scheme, credentials.trim_start_matches(' ')))
}

fn basic(credentials: &str) -> Option<BasicCredentials> {
    let text = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some(BasicCredentials { id: form_decode(id), secret: form_decode(secret).into() })
}

/// Decodes one `application/x-www-form-urlencoded` value. Ids and secrets have only characters that are the same with
/// and without encoding.
fn form_decode(text: &str) -> String {
    // As the value of a field without a name. `&` would end the value, and is not allowed in ids and secrets.
    form_urlencoded::parse(format!("={}", text.replace('&', "%26")).as_bytes())
        .map(|(_, value)| value.into_owned())
        .next()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::http::HeaderValue;
    use secrecy::ExposeSecret;

    fn credentials(value: &str) -> Result<Credentials, OAuthError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        Credentials::read(&headers)
    }

    #[test]
    fn basic_credentials_are_accepted_encoded_and_raw() {
        for text in ["demo-client:lk_cs_1", "demo%2Dclient:lk%5Fcs%5F1"] {
            let header = format!("bAsIc {}", STANDARD.encode(text));
            let Ok(Credentials::Basic(basic)) = credentials(&header) else { panic!("{text}") };
            assert_eq!((basic.id.as_str(), basic.secret.expose_secret()), ("demo-client", "lk_cs_1"));
        }
    }

    #[test]
    fn extra_spaces_after_the_scheme_are_ignored() {
        let header = format!("Basic   {}", STANDARD.encode("a:b"));
        let Ok(Credentials::Basic(basic)) = credentials(&header) else { panic!("not read") };
        assert_eq!((basic.id.as_str(), basic.secret.expose_secret()), ("a", "b"));
        let Ok(Credentials::Bearer(token)) = credentials("Bearer  x") else { panic!("not read") };
        assert_eq!(token.expose_secret(), "x");
    }

    #[test]
    fn a_malformed_authorization_header_is_rejected() {
        for value in ["Basic", "Basic !", "Basic Zm9v", "Basic Zm9v,Basic Zm9v", "Basic /w==", "Basic\tYTpi"]
        {
            assert!(credentials(value).is_err(), "{value}");
        }
        let mut headers = HeaderMap::new();
        headers.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer a"));
        headers.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer a"));
        assert!(Credentials::read(&headers).is_err());
    }
}
