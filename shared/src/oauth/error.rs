//! The vocabulary of OAuth, and the error response (RFC 6749 §5.2).

use std::error::Error;
use std::fmt;

use lambda_http::http::{HeaderValue, StatusCode, header};
use lambda_http::{Body, Response};
use serde::Serialize;

use crate::oauth::response::json_response;

/// `Retry-After` while a service is unavailable, in seconds. Invariant: no shorter than the backoff of any cache,
/// within which a retry would get the same response.
pub const RETRY_AFTER: u64 = 5;

/// The kind of an error, which determines its code and status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is malformed (RFC 6749 §5.2).
    InvalidRequest,
    /// As `InvalidRequest`, for an unsupported content type (RFC 9110 §15.5.16).
    UnsupportedMediaType,
    /// As `InvalidRequest`, for a body that is too long (RFC 9110 §15.5.14).
    ContentTooLarge,
    /// As `InvalidRequest`, for an unsupported method (RFC 9110 §15.5.6).
    MethodNotAllowed,
    /// As `InvalidRequest`, for an unknown path.
    NotFound,
    /// Client authentication failed (RFC 6749 §5.2).
    InvalidClient,
    /// The grant is invalid, expired, revoked or another client's (RFC 6749 §5.2).
    InvalidGrant,
    /// As `InvalidGrant`, for a sign-in with a password or an ID token.
    SignInFailed,
    /// The client may not use this grant (RFC 6749 §5.2).
    UnauthorizedClient,
    /// The endpoint does not support this grant (RFC 6749 §5.2).
    UnsupportedGrantType,
    /// The scope is malformed or exceeds the granted scope (RFC 6749 §5.2).
    InvalidScope,
    /// The resource is not allowed for the client (RFC 8707 §2).
    InvalidTarget,
    /// The DPoP proof is invalid or replayed (RFC 9449 §5).
    InvalidDpopProof,
    /// A rate limit is exceeded (RFC 6585 §4).
    TooManyRequests,
    /// A service is unavailable, and nothing was granted. RFC 6749 §4.1.2.1 has the name.
    TemporarilyUnavailable,
}

impl ErrorKind {
    /// Every kind.
    pub const ALL: [Self; 15] = [
        Self::InvalidRequest,
        Self::UnsupportedMediaType,
        Self::ContentTooLarge,
        Self::MethodNotAllowed,
        Self::NotFound,
        Self::InvalidClient,
        Self::InvalidGrant,
        Self::SignInFailed,
        Self::UnauthorizedClient,
        Self::UnsupportedGrantType,
        Self::InvalidScope,
        Self::InvalidTarget,
        Self::InvalidDpopProof,
        Self::TooManyRequests,
        Self::TemporarilyUnavailable,
    ];

    /// The `error` code.
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest
            | Self::UnsupportedMediaType
            | Self::ContentTooLarge
            | Self::MethodNotAllowed
            | Self::NotFound => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant | Self::SignInFailed => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::TooManyRequests | Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }

    /// The HTTP status.
    pub fn status(self) -> StatusCode {
        match self {
            Self::InvalidClient | Self::SignInFailed => StatusCode::UNAUTHORIZED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The header that the status requires.
    fn header(self) -> Option<(header::HeaderName, HeaderValue)> {
        match self {
            Self::InvalidClient => Some((
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(r#"Basic realm="latchkey", charset="UTF-8""#),
            )),
            Self::SignInFailed => {
                Some((header::WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer realm="latchkey""#)))
            }
            Self::MethodNotAllowed => Some((header::ALLOW, HeaderValue::from_static("POST"))),
            _ => None,
        }
    }
}

/// Error response (RFC 6749 §5.2).
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorResponse {
    /// Error code, for programs.
    pub error: &'static str,
    /// Fixed text for developers: what is wrong, and the remedy.
    pub error_description: &'static str,
}

/// An error: kind and description for the caller, cause for the log.
#[derive(Debug)]
pub struct OAuthError {
    kind: ErrorKind,
    description: &'static str,
    cause: Option<Box<dyn Error + Send + Sync>>,
    subject: Option<String>,
    client: Option<String>,
    retry_after: Option<u64>,
}

impl OAuthError {
    /// An error with its description: printable ASCII without `"` and `\` (RFC 6749 §5.2).
    pub fn new(kind: ErrorKind, description: &'static str) -> Self {
        Self { kind, description, cause: None, subject: None, client: None, retry_after: None }
    }

    /// A malformed request.
    pub fn invalid_request(description: &'static str) -> Self {
        Self::new(ErrorKind::InvalidRequest, description)
    }

    /// Failed client authentication. The description is the same for every cause, so that a caller can't tell them
    /// apart.
    pub fn invalid_client() -> Self {
        Self::new(ErrorKind::InvalidClient, "client authentication failed")
    }

    /// A service is unavailable. The log gets the cause, the caller does not.
    pub fn unavailable(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let error =
            Self::new(ErrorKind::TemporarilyUnavailable, "service temporarily unavailable; retry later");
        Self { retry_after: Some(RETRY_AFTER), ..error.with_cause(cause) }
    }

    /// An exceeded rate limit, with the seconds until the next request is allowed.
    pub fn too_many_requests(description: &'static str, retry_after: u64) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(ErrorKind::TooManyRequests, description) }
    }

    /// Adds the user to the log entry. The user must exist.
    pub fn with_subject(mut self, subject: &str) -> Self {
        self.subject = Some(subject.to_owned());
        self
    }

    /// Adds the client to the log entry.
    pub fn with_client_id(mut self, client_id: &str) -> Self {
        self.client = Some(client_id.to_owned());
        self
    }

    /// Adds the cause to the log entry: the claim, key or check that failed. The caller does not see it.
    pub fn with_cause(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The user of the log entry.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// The client of the log entry.
    pub fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The cause, for the log.
    pub fn cause(&self) -> Option<&(dyn Error + Send + Sync)> {
        self.cause.as_deref()
    }

    /// The `error_description`.
    pub fn description(&self) -> &'static str {
        self.description
    }

    /// The error response.
    pub fn into_response(self) -> Response<Body> {
        let body = ErrorResponse { error: self.kind.code(), error_description: self.description };
        let mut response = json_response(self.kind.status(), &body);
        if let Some((name, value)) = self.kind.header() {
            response.headers_mut().insert(name, value);
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl fmt::Display for OAuthError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.kind.code(), self.description)
    }
}

impl Error for OAuthError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_kind_has_its_status_and_headers() {
        for kind in ErrorKind::ALL {
            let response = OAuthError::new(kind, "text").into_response();
            let headers = response.headers();
            assert_eq!(response.status(), kind.status());
            assert_eq!(headers[header::CACHE_CONTROL], "no-store");
            assert_eq!(headers[header::PRAGMA], "no-cache");
            assert_eq!(headers[header::CONTENT_TYPE], "application/json");
            assert_eq!(headers.contains_key(header::WWW_AUTHENTICATE), kind.status() == 401, "{kind:?}");
            assert!(kind.status().is_client_error() || kind.status() == 503, "{kind:?}");
        }
    }

    #[test]
    fn a_rate_limited_response_has_retry_after() {
        let response = OAuthError::too_many_requests("text", 17).into_response();
        assert_eq!(
            (response.status().as_u16(), &response.headers()[header::RETRY_AFTER]),
            (429, &"17".parse().unwrap())
        );
    }

    #[test]
    fn the_cause_is_not_in_the_response() {
        let response = OAuthError::unavailable("canary").into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "5");
        let Body::Text(body) = response.body() else { panic!("text") };
        assert_eq!(
            body,
            r#"{"error":"temporarily_unavailable","error_description":"service temporarily unavailable; retry later"}"#
        );
    }
}
