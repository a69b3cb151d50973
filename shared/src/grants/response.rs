//! The end of every grant: the answer to the caller and the line in the log.

use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use serde_json::Value;

use crate::cache::chain;
use crate::telemetry::{Decision, Outcome, Watch};
#[cfg(feature = "signing")]
use crate::token::issue::Issued;
use crate::wire::context::request_id;
use crate::wire::http::json_response;
use crate::wire::oauth::{ErrorKind, OAuthError};

/// Writes the answer to a request for a token, and one line about it into the log.
#[cfg(feature = "signing")]
pub fn respond(
    watch: &Watch<'_>,
    request: &Request,
    result: Result<Issued, OAuthError>,
    body: impl FnOnce(&Issued) -> Value,
) -> Response<Body> {
    match result {
        Ok(issued) => {
            let claims = &issued.claims;
            let (sub, client_id, jti) =
                (Some(&*claims.subject), Some(&*claims.client_id), Some(&*claims.token_id));
            watch.log(&Decision { sub, client_id, jti, ..decision(Outcome::Issued, request) });
            json_response(StatusCode::OK, &body(&issued))
        }
        Err(error) => refuse(watch, request, error),
    }
}

/// Writes the answer to a client that asked about a token or for its end, and one line about it into the log.
pub fn tell(
    watch: &Watch<'_>,
    outcome: Outcome,
    request: &Request,
    result: Result<(String, Value), OAuthError>,
) -> Response<Body> {
    match result {
        Ok((client_id, answer)) => {
            watch.log(&Decision { client_id: Some(&client_id), ..decision(outcome, request) });
            json_response(StatusCode::OK, &answer)
        }
        Err(error) => refuse(watch, request, error),
    }
}

/// Writes a rejection, and one line about it and its cause into the log.
pub fn refuse(watch: &Watch<'_>, request: &Request, error: OAuthError) -> Response<Body> {
    let failed = error.kind() == ErrorKind::TemporarilyUnavailable;
    let outcome = if failed { Outcome::Failed } else { Outcome::Refused };
    // Without a cause of its own, the public text says what failed.
    let cause = error.cause().map_or_else(|| error.description().to_owned(), |cause| chain(cause));
    let (reason, cause) = (Some(error.kind().code()), Some(cause));
    watch.log(&Decision {
        reason,
        sub: error.subject(),
        client_id: error.client(),
        cause: cause.as_deref(),
        ..decision(outcome, request)
    });
    error.into_response()
}

/// A line for the log about a request, to be filled in.
pub fn decision(outcome: Outcome, request: &Request) -> Decision<'_> {
    Decision { request_id: request_id(request), ..Decision::new(outcome) }
}
