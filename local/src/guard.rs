//! The guard in front of every server of the local stack.
//!
//! Any page in the developer's browser can send requests to this machine. The browser names a page of another site in
//! `Origin`, at least if the page posts something or reads the answer. With DNS rebinding, the page's host name resolves
//! to this machine. To the browser the request is same-origin, so a `GET` has no `Origin`. Its `Host` has the page's
//! name.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderValue, Response, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use serde_json::json;

use super::access_key::{AccessKey, SignatureError};

/// The loopback names. The port is not compared, because a page can't choose it, and a tunnel to this machine may have
/// another one.
const NAMES: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// The longest body of a signed request, in bytes: DynamoDB's own limit.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// The callers of a server.
pub enum Guard {
    /// Programs and browser pages. CORS decides which pages may read the answer.
    Pages,
    /// Programs only.
    Programs,
    /// Programs with the access key only.
    KeyHolders(AccessKey),
}

impl Guard {
    /// Puts the guard in front of a router.
    pub fn before(self, router: Router) -> Router {
        router.layer(from_fn_with_state(Arc::new(self), check_request))
    }

    /// Checks everything but the access key.
    fn check(&self, request: &Parts) -> Result<(), Rejection> {
        if !is_for_this_machine(request) {
            return Err(Rejection::Host);
        }
        match self {
            Self::Programs | Self::KeyHolders(_) if request.headers.contains_key(ORIGIN) => {
                Err(Rejection::Origin)
            }
            _ => Ok(()),
        }
    }
}

async fn check_request(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response<Body> {
    let (parts, body) = request.into_parts();
    if let Err(refusal) = guard.check(&parts) {
        return refusal.into_response();
    }
    let Guard::KeyHolders(key) = &*guard else { return next.run(Request::from_parts(parts, body)).await };
    let Ok(body) = to_bytes(body, MAX_BODY).await else { return Rejection::Body.into_response() };
    match key.verify(&parts, &body) {
        Ok(()) => next.run(Request::from_parts(parts, body.into())).await,
        Err(unproven) => Rejection::Unproven(unproven).into_response(),
    }
}

/// Whether the single `Host` of a request, and the host of its target if any, is this machine.
fn is_for_this_machine(request: &Parts) -> bool {
    let is_ours = |authority: &Authority| {
        let host = authority.host();
        !authority.as_str().contains('@') && NAMES.iter().any(|name| host.eq_ignore_ascii_case(name))
    };
    let mut hosts = request.headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let host = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    host.as_ref().is_some_and(is_ours) && request.uri.authority().is_none_or(is_ours)
}

/// Why a request is rejected.
enum Rejection {
    Host,
    Origin,
    Body,
    Unproven(SignatureError),
}

impl Rejection {
    /// The error response of AWS JSON 1.0 and 1.1, which has the error code in `__type`. The statuses for the access key
    /// are DynamoDB's
    /// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>).
    fn into_response(self) -> Response<Body> {
        let (status, kind, message) = match self {
            Self::Host => (
                StatusCode::MISDIRECTED_REQUEST,
                "AccessDeniedException",
                "this server of `latchkey dev` accepts the hosts 127.0.0.1, localhost and [::1] only. Use one of them in \
                 the URL",
            ),
            Self::Origin => (
                StatusCode::FORBIDDEN,
                "AccessDeniedException",
                "this server of `latchkey dev` rejects requests of browser pages. Remove the Origin header",
            ),
            Self::Body => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "ValidationException",
                "the body is longer than 16 MiB, or incomplete",
            ),
            Self::Unproven(SignatureError::Unsigned) => (
                StatusCode::BAD_REQUEST,
                "MissingAuthenticationTokenException",
                "the request is not signed. Source the dev.env of the running `latchkey dev`, and use an AWS SDK or the \
                 AWS CLI",
            ),
            Self::Unproven(SignatureError::OtherKey) => (
                StatusCode::BAD_REQUEST,
                "UnrecognizedClientException",
                "the request is signed with an access key of another `latchkey dev`. Source the running one's dev.env \
                 again",
            ),
            Self::Unproven(SignatureError::BadSignature) => (
                StatusCode::BAD_REQUEST,
                "InvalidSignatureException",
                "the signature does not match AWS_SECRET_ACCESS_KEY of the running `latchkey dev`. Source its dev.env \
                 again",
            ),
        };
        let mut response = Response::new(Body::from(json!({"__type": kind, "message": message}).to_string()));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(guard: &Guard, target: &str, headers: &[(&str, &str)]) -> Option<u16> {
        let mut request = Request::post(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        guard.check(&parts).err().map(|refusal| refusal.into_response().status().as_u16())
    }

    #[test]
    fn only_a_host_of_this_machine_is_served() {
        for host in [
            "127.0.0.1:3000",
            "localhost:3000",
            "LOCALHOST:3000",
            "[::1]:3000",
            "localhost",
            "127.0.0.1:8080",
        ] {
            assert_eq!(status(&Guard::Pages, "/", &[("host", host)]), None, "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:3000",
            "127.0.0.1.evil.example:3000",
            "localhost.evil.example",
            "localhost.",
            "localhost:3000@evil.example",
            "evil@localhost:3000",
            "127.1:3000",
            "2130706433:3000",
            "[::ffff:127.0.0.1]:3000",
            "0.0.0.0:3000",
            "10.0.0.1:3000",
            "",
        ] {
            assert_eq!(status(&Guard::Pages, "/", &[("host", host)]), Some(421), "{host}");
        }
        assert_eq!(status(&Guard::Pages, "/", &[]), Some(421));
        assert_eq!(status(&Guard::Pages, "/", &[("host", "localhost"), ("host", "localhost")]), Some(421));
        let good = [("host", "localhost")];
        assert_eq!(status(&Guard::Pages, "http://localhost:3000/", &good), None);
        assert_eq!(status(&Guard::Pages, "http://evil.example/", &good), Some(421));
    }

    #[test]
    fn a_page_is_served_by_the_gateway_alone() {
        let key = AccessKey::restored_or_new(&Default::default());
        for origin in ["https://evil.example", "http://localhost:3000", "null", ""] {
            let headers = [("host", "localhost:3000"), ("origin", origin)];
            assert_eq!(status(&Guard::Pages, "/", &headers), None, "{origin}");
            assert_eq!(status(&Guard::Programs, "/", &headers), Some(403), "{origin}");
            assert_eq!(status(&Guard::KeyHolders(key.clone()), "/", &headers), Some(403), "{origin}");
        }
    }
}
