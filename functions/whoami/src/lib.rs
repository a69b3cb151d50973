//! The example protected resource. It returns the authorizer context.

use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use serde_json::json;
use shared::oauth::authorizer_context::Message;
use shared::oauth::response::json_response;
use shared::runtime::call::Call;
use shared::runtime::response::log_record;
use shared::runtime::settings::{ConfigError, Settings};
use shared::runtime::telemetry::{LogRecord, Outcome, Telemetry};

/// Dependencies of this function.
pub struct Deps {
    telemetry: Telemetry,
}

impl Deps {
    /// Builds the dependencies from the settings.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        Ok(Self { telemetry: Telemetry::from_settings("whoami", settings) })
    }
}

/// Handles one request.
pub async fn handle(deps: &Deps, request: Request, now: u64) -> Response<Body> {
    let request_log = deps.telemetry.begin(now);
    let call = Call::new(&request, now);
    let Some(caller) = call.authorizer_context() else {
        // The route has no authorizer, so there is no caller to return.
        let reason = Some("missing_token");
        request_log.log(&LogRecord { reason, ..log_record(Outcome::Refused, call) });
        return json_response(StatusCode::UNAUTHORIZED, &Message { message: "Unauthorized" });
    };
    request_log.log(&log_record(Outcome::Served, call));
    json_response(StatusCode::OK, &json!(caller))
}
