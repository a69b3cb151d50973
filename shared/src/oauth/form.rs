//! Form bodies.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use lambda_http::Request;
use secrecy::SecretString;

use crate::oauth::body::body;
use crate::oauth::error::{ErrorKind, OAuthError};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::body::{CHARSETS, MAX_BODY, is_content_type, read_json};
    use lambda_http::Body;
    use lambda_http::http::{Method, header};

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
    fn duplicate_parameters_are_rejected_and_empty_ones_ignored() {
        assert_eq!(form("a=1&a=2").err(), Some(ErrorKind::InvalidRequest));
        assert_eq!(form("a=&a=2").err(), Some(ErrorKind::InvalidRequest));
        assert_eq!(form("a=&b=2").unwrap().text("a"), None);
    }

    #[test]
    fn resource_and_audience_must_name_one_target() {
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
    fn a_form_that_is_not_utf8_is_rejected() {
        assert_eq!(form("a=%ff").err(), Some(ErrorKind::InvalidRequest));
        assert_eq!(form("%ff=a").err(), Some(ErrorKind::InvalidRequest));
        assert_eq!(form("resource=%ff").err(), Some(ErrorKind::InvalidRequest));
    }

    #[test]
    fn a_form_requires_its_media_type_and_an_ascii_compatible_charset() {
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
    fn a_body_is_read_as_utf8_in_any_charset() {
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
    fn a_body_over_32_kib_is_rejected() {
        let body = |length: usize| format!("a={}", "x".repeat(length - 2));
        assert!(form(&body(MAX_BODY)).is_ok());
        assert_eq!(form(&body(MAX_BODY + 1)).err(), Some(ErrorKind::ContentTooLarge));
    }
}
