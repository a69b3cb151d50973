//! The end of every grant: the answer to the caller and the line in the log.

#[cfg(feature = "signing")]
use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
#[cfg(feature = "signing")]
use serde_json::Value;

use crate::cache::chain;
use crate::telemetry::{Decision, Outcome};
#[cfg(feature = "signing")]
use crate::token::issue::Issued;
use crate::wire::context::request_id;
#[cfg(feature = "signing")]
use crate::wire::http::json_response;
use crate::wire::oauth::{ErrorKind, OAuthError};

/// Writes the answer to a request for a token, and one line about it into the log.
#[cfg(feature = "signing")]
pub fn respond(
    function: &'static str,
    request: &Request,
    result: Result<Issued, OAuthError>,
    body: impl FnOnce(&Issued) -> Value,
) -> Response<Body> {
    match result {
        Ok(issued) => {
            let claims = &issued.claims;
            let (sub, client_id, jti) =
                (Some(&*claims.subject), Some(&*claims.client_id), Some(&*claims.token_id));
            Decision { sub, client_id, jti, ..decision(function, Outcome::Issued, request) }.log();
            json_response(StatusCode::OK, &body(&issued))
        }
        Err(error) => refuse(function, request, error),
    }
}

/// Writes a refusal, and one line about it into the log.
pub fn refuse(function: &'static str, request: &Request, error: OAuthError) -> Response<Body> {
    let failed = error.kind() == ErrorKind::TemporarilyUnavailable;
    let outcome = if failed { Outcome::Failed } else { Outcome::Refused };
    let cause = error.cause().map(|cause| chain(cause));
    let (reason, cause) = (Some(error.kind().code()), cause.as_deref());
    let decision = decision(function, outcome, request);
    Decision { reason, sub: error.concerns(), cause, ..decision }.log();
    error.into_response()
}

/// A line for the log about a request, to be filled in.
pub fn decision<'a>(function: &'static str, outcome: Outcome, request: &'a Request) -> Decision<'a> {
    Decision {
        function,
        outcome,
        reason: None,
        request_id: request_id(request),
        sub: None,
        client_id: None,
        jti: None,
        cause: None,
    }
}
