//! The example protected resource: says what the authorizer said of the caller, and nothing else.

use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use serde_json::json;
use shared::oauth::authorizer_context::Message;
use shared::oauth::http::json_response;
use shared::runtime::call::Call;
use shared::runtime::response::decision;
use shared::runtime::settings::{ConfigError, Settings};
use shared::runtime::telemetry::{Decision, Outcome, Telemetry};

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
    let call = Call::new(&request, now);
    let Some(caller) = call.authorizer_context() else {
        // The route has no authorizer: nobody is known, so nothing is shown.
        let reason = Some("missing_token");
        watch.log(&Decision { reason, ..decision(Outcome::Refused, call) });
        return json_response(StatusCode::UNAUTHORIZED, &Message { message: "Unauthorized" });
    };
    watch.log(&decision(Outcome::Served, call));
    json_response(StatusCode::OK, &json!(caller))
}
