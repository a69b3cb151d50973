//! Form and JSON bodies, Basic and bearer credentials, and responses that must not be cached.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lambda_http::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use lambda_http::{Body, Request, RequestExt, Response};
use secrecy::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::oauth::error::{ErrorKind, OAuthError};

/// Maximum length of a body, in bytes: far above valid requests, and small enough to parse quickly. The error
/// description names it.
const MAX_BODY: usize = 32 * 1024;

/// Accepted charsets of forms and JSON. All are read as UTF-8: an encoded form is ASCII in any charset (WHATWG URL
/// §5.1), and JSON is UTF-8 (RFC 8259 §8.1). Invariant: each charset is a superset of ASCII, so that another parser of
/// the same bytes finds the same parameters.
const CHARSETS: [&str; 5] = ["utf-8", "utf8", "us-ascii", "iso-8859-1", "windows-1252"];

/// The fields of a form. There is no `Debug`, because fields may be secrets.
pub struct Form {
    fields: BTreeMap<String, String>,
    targets: BTreeSet<String>,
}

impl Form {
    /// Parses an `application/x-www-form-urlencoded` body (RFC 6749 §3.2): a duplicate parameter is an error, and an
    /// empty one counts as omitted. `resource` and `audience` may be repeated (RFC 8707 §2, RFC 8693 §2.1).
    pub fn read(request: &Request) -> Result<Self, OAuthError> {
        let body = body(request, "application/x-www-form-urlencoded")?;
        let (mut fields, mut targets) = (BTreeMap::new(), BTreeSet::new());
        for (name, value) in form_urlencoded::parse(body.as_bytes()) {
            // The parser writes the replacement character in place of bytes that are not UTF-8.
            if name.contains('\u{fffd}') || value.contains('\u{fffd}') {
                return Err(OAuthError::invalid_request("request body is not valid UTF-8"));
            }
            if ["resource", "audience"].contains(&name.as_ref()) {
                if !value.is_empty() {
                    targets.insert(value.into_owned());
                }
                continue;
            }
            match fields.entry(name.into_owned()) {
                Entry::Occupied(_) => return Err(OAuthError::invalid_request("duplicate parameter")),
                Entry::Vacant(entry) => entry.insert(value.into_owned()),
            };
        }
        fields.retain(|_, value| !value.is_empty());
        Ok(Self { fields, targets })
    }

    /// The requested audience. `resource` and `audience` are two names of one parameter.
    ///
    /// # Errors
    /// `invalid_target` for several different values, because a token has one audience.
    pub fn target(&self) -> Result<Option<&str>, OAuthError> {
        let mut targets = self.targets.iter().map(String::as_str);
        match (targets.next(), targets.next()) {
            (target, None) => Ok(target),
            _ => Err(OAuthError::new(
                ErrorKind::InvalidTarget,
                "multiple resource or audience values; request one token for each",
            )),
        }
    }

    /// The value of a field.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    /// Removes the value of a field and returns it as a secret.
    pub fn secret(&mut self, name: &str) -> Option<SecretString> {
        self.fields.remove(name).map(SecretString::from)
    }
}

/// Parses an `application/json` body with an object. Serde would also accept an array.
pub fn read_json<T: DeserializeOwned>(request: &Request) -> Result<T, OAuthError> {
    let body = body(request, "application/json")?;
    if !body.trim_ascii_start().starts_with('{') {
        return Err(OAuthError::invalid_request("request body is not a JSON object"));
    }
    serde_json::from_str(body)
        .map_err(|_| OAuthError::invalid_request("request body does not match the expected JSON schema"))
}

/// Whether the body has this media type.
pub fn is_content_type(request: &Request, media_type: &str) -> bool {
    content_type(request).is_some_and(|(found, _)| found.eq_ignore_ascii_case(media_type))
}

/// The media type and its parameters, unchanged.
fn content_type(request: &Request) -> Option<(&str, &str)> {
    let value = request.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    let (media_type, parameters) = value.split_once(';').unwrap_or((value, ""));
    Some((media_type.trim(), parameters))
}

/// The body of a POST, after the checks of method, media type, charset, length and encoding.
fn body<'a>(request: &'a Request, media_type: &str) -> Result<&'a str, OAuthError> {
    if request.method() != Method::POST {
        return Err(OAuthError::new(ErrorKind::MethodNotAllowed, "method not allowed; use POST"));
    }
    let supported = content_type(request).is_some_and(|(found, parameters)| {
        found.eq_ignore_ascii_case(media_type) && has_known_charset(parameters)
    });
    if !supported {
        return Err(OAuthError::new(ErrorKind::UnsupportedMediaType, "unsupported content type or charset"));
    }
    let body: &[u8] = request.body();
    if body.len() > MAX_BODY {
        return Err(OAuthError::new(ErrorKind::ContentTooLarge, "request body exceeds 32 KiB"));
    }
    str::from_utf8(body).map_err(|_| OAuthError::invalid_request("request body is not valid UTF-8"))
}

/// Whether each `charset` parameter is one of [`CHARSETS`]. Unknown parameters are ignored (RFC 9110 §8.3.1). `;` and
/// `=` in quotes belong to a value (§5.6.6).
fn has_known_charset(parameters: &str) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    let mut parameters = parameters.split(|char| {
        quoted ^= char == '"' && !escaped;
        escaped = quoted && char == '\\' && !escaped;
        char == ';' && !quoted
    });
    parameters.all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim().trim_matches('"');
        !name.trim().eq_ignore_ascii_case("charset")
            || CHARSETS.iter().any(|charset| charset.eq_ignore_ascii_case(value))
    })
}

/// Rejects a request with any of these parameters in the query, which ends up in logs and histories (RFC 6749 §2.3.1).
pub fn refuse_in_query(request: &Request, names: &[&str]) -> Result<(), OAuthError> {
    let query = request.query_string_parameters_ref();
    let found = query.is_some_and(|query| query.iter().any(|(name, _)| names.contains(&name)));
    if found {
        Err(OAuthError::invalid_request("credentials must not be sent in the query string"))
    } else {
        Ok(())
    }
}

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

/// A JSON response that must not be cached (RFC 6749 §5.1).
pub fn json_response(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    let mut response = Response::new(Body::from(serde_json::to_string(body).unwrap_or_default()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn post(content_type: &str, body: &str) -> Request {
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = Method::POST;
        request.headers_mut().insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        request
    }

    fn form(body: &str) -> Result<Form, ErrorKind> {
        Form::read(&post("application/x-www-form-urlencoded", body)).map_err(|error| error.kind())
    }

    #[test]
    fn a_repeated_parameter_is_refused_and_an_empty_one_is_as_left_out() {
        assert_eq!(form("a=1&a=2").err(), Some(ErrorKind::InvalidRequest));
        assert_eq!(form("a=&a=2").err(), Some(ErrorKind::InvalidRequest));
        assert_eq!(form("a=&b=2").unwrap().text("a"), None);
    }

    #[test]
    fn resource_and_audience_name_one_target() {
        for (body, target) in [
            ("a=1", Ok(None)),
            ("resource=&audience=", Ok(None)),
            ("resource=x", Ok(Some("x"))),
            ("resource=x&resource=x&resource=", Ok(Some("x"))),
            ("audience=x&resource=x&audience=x", Ok(Some("x"))),
            ("resource=x&resource=y", Err(ErrorKind::InvalidTarget)),
            ("audience=x&audience=y", Err(ErrorKind::InvalidTarget)),
            ("resource=x&audience=y", Err(ErrorKind::InvalidTarget)),
        ] {
            let form = form(body).unwrap();
            assert_eq!(form.target().map_err(|error| error.kind()), target, "{body}");
        }
    }

    #[test]
    fn a_form_that_is_not_utf8_is_refused() {
        assert_eq!(form("a=%ff").err(), Some(ErrorKind::InvalidRequest));
        assert_eq!(form("%ff=a").err(), Some(ErrorKind::InvalidRequest));
        assert_eq!(form("resource=%ff").err(), Some(ErrorKind::InvalidRequest));
    }

    #[test]
    fn a_form_has_its_media_type_and_a_charset_that_agrees_with_ascii() {
        for (content_type, good) in [
            ("application/x-www-form-urlencoded", true),
            ("Application/X-WWW-Form-Urlencoded; charset=UTF-8", true),
            ("application/x-www-form-urlencoded;charset=\"utf-8\";", true),
            ("application/x-www-form-urlencoded; charset=ISO-8859-1", true),
            ("application/x-www-form-urlencoded; charset=utf8", true),
            ("application/x-www-form-urlencoded; Charset = \"Windows-1252\"", true),
            ("application/x-www-form-urlencoded; charset=us-ascii; charset=utf-8", true),
            ("application/x-www-form-urlencoded; boundary=x", true),
            ("application/x-www-form-urlencoded; odata.metadata=minimal; charset=utf-8;; q", true),
            ("application/x-www-form-urlencoded; a=\"b; charset=utf-7\"", true),
            ("application/x-www-form-urlencoded; a=\"b\\\"; charset=utf-7\"", true),
            ("application/x-www-form-urlencoded; a=\"\\\"\"; charset=utf-7", false),
            ("application/x-www-form-urlencoded; charset=utf-7", false),
            ("application/x-www-form-urlencoded; charset=utf-16", false),
            ("application/x-www-form-urlencoded; charset=", false),
            ("application/x-www-form-urlencoded; charset", false),
            ("application/x-www-form-urlencoded; charset=utf-8; charset=utf-7", false),
            ("application/x-www-form-urlencoded; a=\"b\"; charset=utf-7", false),
            ("application/x-www-form-urlencoded, application/x-www-form-urlencoded", false),
            ("application/json", false),
            ("multipart/form-data; boundary=x", false),
            ("", false),
        ] {
            let result = Form::read(&post(content_type, "a=b")).map_err(|error| error.kind());
            assert_eq!(result.err(), (!good).then_some(ErrorKind::UnsupportedMediaType), "{content_type}");
        }
    }

    #[test]
    fn a_body_is_utf8_whatever_charset_it_names() {
        let read = |content_type: &str, body: &[u8]| {
            let mut request = post(content_type, "");
            *request.body_mut() = Body::from(body);
            match is_content_type(&request, "application/json") {
                true => read_json::<serde_json::Value>(&request).map(drop),
                false => Form::read(&request).map(drop),
            }
        };
        for charset in CHARSETS {
            let form = format!("application/x-www-form-urlencoded; charset={charset}");
            let json = format!("application/json; charset={charset}");
            for (content_type, body, good) in [
                (&form, b"a=%C3%A9".as_slice(), true),
                (&form, "a=\u{e9}".as_bytes(), true),
                (&form, b"a=%E9", false),
                (&form, b"a=\xe9", false),
                (&json, "{\"a\":\"\u{e9}\"}".as_bytes(), true),
                (&json, b"{\"a\":\"\xe9\"}", false),
            ] {
                let kind = read(content_type, body).map_err(|error| error.kind()).err();
                assert_eq!(kind, (!good).then_some(ErrorKind::InvalidRequest), "{content_type} {body:?}");
            }
        }
    }

    #[test]
    fn a_body_may_be_32_kib_and_not_a_byte_more() {
        let body = |length: usize| format!("a={}", "x".repeat(length - 2));
        assert!(form(&body(MAX_BODY)).is_ok());
        assert_eq!(form(&body(MAX_BODY + 1)).err(), Some(ErrorKind::ContentTooLarge));
    }

    fn credentials(value: &str) -> Result<Credentials, OAuthError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        Credentials::read(&headers)
    }

    #[test]
    fn basic_reads_the_same_encoded_and_raw() {
        for text in ["demo-client:lk_cs_1", "demo%2Dclient:lk%5Fcs%5F1"] {
            let header = format!("bAsIc {}", STANDARD.encode(text));
            let Ok(Credentials::Basic(basic)) = credentials(&header) else { panic!("{text}") };
            assert_eq!((basic.id.as_str(), basic.secret.expose_secret()), ("demo-client", "lk_cs_1"));
        }
    }

    #[test]
    fn several_blanks_after_the_scheme_are_as_one() {
        let header = format!("Basic   {}", STANDARD.encode("a:b"));
        let Ok(Credentials::Basic(basic)) = credentials(&header) else { panic!("not read") };
        assert_eq!((basic.id.as_str(), basic.secret.expose_secret()), ("a", "b"));
        let Ok(Credentials::Bearer(token)) = credentials("Bearer  x") else { panic!("not read") };
        assert_eq!(token.expose_secret(), "x");
    }

    #[test]
    fn a_malformed_authorization_header_is_refused() {
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
