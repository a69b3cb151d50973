//! CORS of HTTP APIs: the gateway sets the headers and drops those of the functions
//! (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-cors.html>).

use axum::body::Body;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderName, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use sam_template::Cors;

/// `AllowedOrigins` of the local stack: pages of this machine on any port. API Gateway has no pattern for ports.
pub const LOOPBACK_ORIGINS: &str = "http://localhost,http://localhost:*,http://127.0.0.1,http://127.0.0.1:*";

/// The headers that only the gateway sets.
const OURS: [HeaderName; 6] = [
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_ALLOW_HEADERS,
    ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE,
];

/// The answer to an `OPTIONS` request. It has no permissions unless the request is a preflight request of an allowed
/// origin.
pub fn preflight(cors: &Cors, request: &HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if request.contains_key(ACCESS_CONTROL_REQUEST_METHOD) && allow_origin(cors, request, &mut response) {
        let max_age = cors.max_age.map(|seconds| seconds.to_string()).unwrap_or_default();
        let headers = response.headers_mut();
        insert(headers, ACCESS_CONTROL_ALLOW_METHODS, &cors.allow_methods.join(","));
        insert(headers, ACCESS_CONTROL_ALLOW_HEADERS, &cors.allow_headers.join(","));
        insert(headers, ACCESS_CONTROL_MAX_AGE, &max_age);
    }
    response
}

/// Replaces the function's CORS headers by those of the configuration.
pub fn decorate(cors: &Cors, request: &HeaderMap, response: &mut Response<Body>) {
    for name in OURS {
        response.headers_mut().remove(name);
    }
    if allow_origin(cors, request, response) {
        insert(response.headers_mut(), ACCESS_CONTROL_EXPOSE_HEADERS, &cors.expose_headers.join(","));
    }
}

/// Sets the headers for the request's origin, if it is allowed.
fn allow_origin(cors: &Cors, request: &HeaderMap, response: &mut Response<Body>) -> bool {
    let Some(origin) = request.get(ORIGIN).and_then(|origin| origin.to_str().ok()) else { return false };
    let allowed = |pattern: &str| match pattern {
        "*" => true,
        "http://*" | "https://*" => origin.starts_with(pattern.trim_end_matches('*')),
        exact => match exact.strip_suffix(":*") {
            Some(host) => {
                origin.strip_prefix(host).and_then(|rest| rest.strip_prefix(':')).is_some_and(is_port)
            }
            None => exact == origin,
        },
    };
    let Some(pattern) = cors.allow_origins.iter().find(|pattern| allowed(pattern)) else { return false };
    let headers = response.headers_mut();
    if pattern == "*" && !cors.allow_credentials {
        insert(headers, ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    } else {
        insert(headers, ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.append(VARY, HeaderValue::from_static("origin"));
    }
    if cors.allow_credentials {
        insert(headers, ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
    }
    true
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Sets a header, unless its value is empty.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let (false, Ok(value)) = (value.is_empty(), HeaderValue::from_str(value)) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(origins: &[&str], allow_credentials: bool) -> Cors {
        Cors {
            allow_origins: origins.iter().map(|&origin| origin.to_owned()).collect(),
            allow_methods: vec!["GET".to_owned(), "POST".to_owned()],
            allow_headers: vec!["authorization".to_owned()],
            expose_headers: vec!["retry-after".to_owned()],
            max_age: Some(300),
            allow_credentials,
        }
    }

    fn request(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    fn header(response: &Response<Body>, name: HeaderName) -> Option<&str> {
        response.headers().get(name)?.to_str().ok()
    }

    #[test]
    fn preflight_request_gets_the_permissions() {
        let asked = request(&[(ORIGIN, "https://app.example"), (ACCESS_CONTROL_REQUEST_METHOD, "POST")]);
        let response = preflight(&cors(&["*"], false), &asked);
        assert_eq!(response.status(), 204);
        assert_eq!(header(&response, ACCESS_CONTROL_ALLOW_ORIGIN), Some("*"));
        assert_eq!(header(&response, ACCESS_CONTROL_ALLOW_METHODS), Some("GET,POST"));
        assert_eq!(header(&response, ACCESS_CONTROL_ALLOW_HEADERS), Some("authorization"));
        assert_eq!(header(&response, ACCESS_CONTROL_MAX_AGE), Some("300"));
    }

    #[test]
    fn other_options_request_gets_no_permissions() {
        for asked in [
            request(&[]),
            request(&[(ORIGIN, "https://app.example")]),
            request(&[(ACCESS_CONTROL_REQUEST_METHOD, "POST")]),
            request(&[(ORIGIN, "https://evil.example"), (ACCESS_CONTROL_REQUEST_METHOD, "POST")]),
        ] {
            let response = preflight(&cors(&["https://app.example"], false), &asked);
            assert_eq!(response.status(), 204);
            assert!(response.headers().is_empty() || asked.len() == 2, "{:?}", response.headers());
            assert_eq!(header(&response, ACCESS_CONTROL_ALLOW_METHODS), None);
        }
    }

    #[test]
    fn origin_matches_exactly_by_scheme_or_with_any_port() {
        for (pattern, origin, allowed) in [
            ("https://app.example", "https://app.example", true),
            ("https://app.example", "https://app.example.evil", false),
            ("https://app.example", "http://app.example", false),
            ("https://*", "https://any.example", true),
            ("https://*", "http://any.example", false),
            ("http://localhost:*", "http://localhost:5173", true),
            ("http://localhost:*", "http://localhost:", false),
            ("http://local*", "http://local5", false),
            ("http://localhost:*", "http://localhost", false),
            ("http://localhost:*", "http://localhost:5173.evil.example", false),
            ("http://localhost:*", "http://localhost.evil.example:5173", false),
            ("http://localhost:*", "https://localhost:5173", false),
        ] {
            let mut response = Response::new(Body::empty());
            decorate(&cors(&[pattern], true), &request(&[(ORIGIN, origin)]), &mut response);
            assert_eq!(header(&response, ACCESS_CONTROL_ALLOW_ORIGIN), allowed.then_some(origin));
            assert_eq!(header(&response, ACCESS_CONTROL_ALLOW_CREDENTIALS), allowed.then_some("true"));
            assert_eq!(header(&response, VARY), allowed.then_some("origin"));
        }
    }

    #[test]
    fn cors_headers_of_the_function_are_dropped() {
        let mut response = Response::new(Body::empty());
        insert(response.headers_mut(), ACCESS_CONTROL_ALLOW_ORIGIN, "https://evil.example");
        decorate(&cors(&["https://app.example"], false), &request(&[]), &mut response);
        assert!(response.headers().is_empty());
    }
}
