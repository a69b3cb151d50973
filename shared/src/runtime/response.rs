//! The response to a request and its log entry.

use lambda_http::http::StatusCode;
use lambda_http::{Body, Response};
use serde_json::Value;

use crate::oauth::error::{ErrorKind, OAuthError};
use crate::oauth::response::json_response;
use crate::runtime::cache::display_chain;
use crate::runtime::call::Call;
use crate::runtime::telemetry::{Decision, Outcome, RequestLog};

/// The response to a revocation or introspection request, with its log entry.
pub fn client_response(
    watch: &RequestLog<'_>,
    outcome: Outcome,
    call: Call<'_>,
    result: Result<(String, Value), OAuthError>,
) -> Response<Body> {
    match result {
        Ok((client_id, answer)) => {
            watch.log(&Decision { client_id: Some(&client_id), ..decision(outcome, call) });
            json_response(StatusCode::OK, &answer)
        }
        Err(error) => error_response(watch, call, error),
    }
}

/// An error response, with its log entry and cause.
pub fn error_response(watch: &RequestLog<'_>, call: Call<'_>, error: OAuthError) -> Response<Body> {
    let failed = error.kind() == ErrorKind::TemporarilyUnavailable;
    let outcome = if failed { Outcome::Failed } else { Outcome::Refused };
    // Without a cause, the public text is the cause.
    let cause = error.cause().map_or_else(|| error.description().to_owned(), |cause| display_chain(cause));
    let (reason, cause) = (Some(error.kind().code()), Some(cause));
    watch.log(&Decision {
        reason,
        sub: error.subject(),
        client_id: error.client(),
        cause: cause.as_deref(),
        ..decision(outcome, call)
    });
    error.into_response()
}

/// The log entry of a request, with the outcome only.
pub fn decision(outcome: Outcome, call: Call<'_>) -> Decision<'_> {
    Decision { request_id: call.request_id(), ..Decision::new(outcome) }
}
