//! The example protected resource: says what the authorizer said of the caller, and nothing else.

use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use serde_json::json;
use shared::wire::context::caller;
use shared::wire::http::json_response;

/// Answers one request.
pub async fn handle(request: Request) -> Response<Body> {
    let caller = caller(&request);
    if caller.is_empty() {
        // The route has no authorizer: nobody is known, so nothing is shown.
        return json_response(StatusCode::UNAUTHORIZED, &json!({"message": "Unauthorized"}));
    }
    json_response(StatusCode::OK, &caller)
}
