//! The example protected resource: says what the authorizer said of the caller, and nothing else.

use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use serde_json::json;
use shared::config::{ConfigError, Settings};
use shared::grants::response::decision;
use shared::telemetry::{Decision, Outcome, Telemetry};
use shared::wire::caller::Message;
use shared::wire::context::caller;
use shared::wire::http::json_response;

/// What this function needs.
pub struct Deps {
    telemetry: Telemetry,
}

impl Deps {
    /// From the environment.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        Ok(Self { telemetry: Telemetry::from_settings("whoami", settings) })
    }
}

/// Answers one request.
pub async fn handle(deps: &Deps, request: Request, now: u64) -> Response<Body> {
    let watch = deps.telemetry.watch(now);
    let Some(caller) = caller(&request) else {
        // The route has no authorizer: nobody is known, so nothing is shown.
        let reason = Some("missing_token");
        watch.log(&Decision { reason, ..decision(Outcome::Refused, &request) });
        return json_response(StatusCode::UNAUTHORIZED, &Message { message: "Unauthorized" });
    };
    watch.log(&decision(Outcome::Served, &request));
    json_response(StatusCode::OK, &json!(caller))
}
