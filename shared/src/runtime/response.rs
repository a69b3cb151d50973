//! The response to a request and its log entry.

use lambda_http::http::StatusCode;
use lambda_http::{Body, Response};
use serde_json::Value;

use crate::oauth::error::{ErrorKind, OAuthError};
use crate::oauth::response::json_response;
use crate::runtime::cache::display_chain;
use crate::runtime::call::Call;
use crate::runtime::telemetry::{LogRecord, Outcome, RequestLog};

/// The response to a revocation or introspection request, with its log entry.
pub fn client_response(
    request_log: &RequestLog<'_>,
    outcome: Outcome,
    call: Call<'_>,
    result: Result<(String, Value), OAuthError>,
) -> Response<Body> {
    match result {
        Ok((client_id, answer)) => {
            request_log.log(&LogRecord { client_id: Some(&client_id), ..log_record(outcome, call) });
            json_response(StatusCode::OK, &answer)
        }
        Err(error) => error_response(request_log, call, error),
    }
}

/// An error response, with its log entry and cause.
pub fn error_response(request_log: &RequestLog<'_>, call: Call<'_>, error: OAuthError) -> Response<Body> {
    let failed = error.kind() == ErrorKind::TemporarilyUnavailable;
    let outcome = if failed { Outcome::Failed } else { Outcome::Refused };
    // Without a cause, the public text is the cause.
    let cause = error.cause().map_or_else(|| error.description().to_owned(), |cause| display_chain(cause));
    let (reason, cause) = (Some(error.kind().code()), Some(cause));
    request_log.log(&LogRecord {
        reason,
        sub: error.subject(),
        client_id: error.client(),
        cause: cause.as_deref(),
        ..log_record(outcome, call)
    });
    error.into_response()
}

/// The log entry of a request, with the outcome only.
pub fn log_record(outcome: Outcome, call: Call<'_>) -> LogRecord<'_> {
    LogRecord { request_id: call.request_id(), ..LogRecord::new(outcome) }
}
