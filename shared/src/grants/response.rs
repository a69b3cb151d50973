//! The end of every grant: the answer to the caller and the line in the log.

use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use serde_json::Value;

use crate::cache::chain;
use crate::telemetry::{Decision, Outcome};
use crate::token::issue::Issued;
use crate::wire::context::request_id;
use crate::wire::http::json_response;
use crate::wire::oauth::{ErrorKind, OAuthError};

/// Writes the answer, and one line about it into the log.
pub fn respond(
    function: &'static str,
    request: &Request,
    result: Result<Issued, OAuthError>,
    body: impl FnOnce(&Issued) -> Value,
) -> Response<Body> {
    let decision = Decision {
        function,
        outcome: Outcome::Issued,
        reason: None,
        request_id: request_id(request),
        sub: None,
        client_id: None,
        jti: None,
        cause: None,
    };
    match result {
        Ok(issued) => {
            let claims = &issued.claims;
            let (sub, client_id, jti) =
                (Some(&*claims.subject), Some(&*claims.client_id), Some(&*claims.token_id));
            Decision { sub, client_id, jti, ..decision }.log();
            json_response(StatusCode::OK, &body(&issued))
        }
        Err(error) => {
            let failed = error.kind() == ErrorKind::TemporarilyUnavailable;
            let outcome = if failed { Outcome::Failed } else { Outcome::Refused };
            let cause = error.cause().map(|cause| chain(cause));
            let (reason, cause) = (Some(error.kind().code()), cause.as_deref());
            Decision { outcome, reason, sub: error.concerns(), cause, ..decision }.log();
            error.into_response()
        }
    }
}
