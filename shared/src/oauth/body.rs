//! Bodies of requests: media type, charset, length and JSON.

use lambda_http::http::{Method, header};
use lambda_http::{Request, RequestExt};
use serde::de::DeserializeOwned;

use crate::oauth::error::{ErrorKind, OAuthError};

/// Maximum length of a body, in bytes: far above valid requests, and small enough to parse quickly. The error
/// description names it.
pub(super) const MAX_BODY: usize = 32 * 1024;

/// Accepted charsets of forms and JSON. All are read as UTF-8: an encoded form is ASCII in any charset (WHATWG URL
/// §5.1), and JSON is UTF-8 (RFC 8259 §8.1). Invariant: each charset is a superset of ASCII, so that another parser of
/// the same bytes finds the same parameters.
pub(super) const CHARSETS: [&str; 5] = ["utf-8", "utf8", "us-ascii", "iso-8859-1", "windows-1252"];

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
pub(super) fn body<'a>(request: &'a Request, media_type: &str) -> Result<&'a str, OAuthError> {
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
pub fn reject_in_query(request: &Request, names: &[&str]) -> Result<(), OAuthError> {
    let query = request.query_string_parameters_ref();
    let found = query.is_some_and(|query| query.iter().any(|(name, _)| names.contains(&name)));
    if found {
        Err(OAuthError::invalid_request("credentials must not be sent in the query string"))
    } else {
        Ok(())
    }
}
