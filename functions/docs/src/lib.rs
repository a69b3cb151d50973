//! Serves the OpenAPI document at `/openapi.json` and Swagger UI at `/docs`.
//!
//! All content is in the binary. This function uses no store.

mod document;
mod file;

use lambda_http::http::{HeaderValue, header};
use lambda_http::{Body, Request, Response};
use shared::oauth::error::{ErrorKind, OAuthError};
use shared::runtime::call::Call;
use shared::runtime::response::{error_response, log_record};
use shared::runtime::settings::{ConfigError, Settings};
use shared::runtime::telemetry::{Outcome, Telemetry};

use self::file::File;

/// The page may load and call this API only, and no other page may frame it (<https://www.w3.org/TR/CSP3/>). The style
/// sheet of Swagger UI contains its icons as `data:` URLs.
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The page names its files by relative paths. The paths in the document start at the root of the domain.
const PAGE: &str = include_str!("page/index.html");
const INITIALIZER: &str = include_str!("page/swagger-initializer.js");

/// Dependencies of this function: the files by route path.
pub struct Deps {
    files: [(&'static str, File); 5],
    telemetry: Telemetry,
}

impl Deps {
    /// Builds the dependencies from the settings. `DEPLOY_EXAMPLES` adds the example routes to the document.
    ///
    /// # Errors
    /// A value of `DEPLOY_EXAMPLES` other than `true` and `false`.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let document = document::describe(settings.deploy_examples()?);
        let document = serde_json::to_string(&document).unwrap_or_default();
        const SCRIPT: &str = "text/javascript; charset=utf-8";
        Ok(Self {
            files: [
                ("/openapi.json", File::text("application/json", document)),
                ("/docs", File::text("text/html; charset=utf-8", PAGE)),
                ("/docs/swagger-initializer.js", File::text(SCRIPT, INITIALIZER)),
                ("/docs/swagger-ui-bundle.js", file::embedded!(SCRIPT, "swagger-ui-bundle.js")),
                ("/docs/swagger-ui.css", file::embedded!("text/css; charset=utf-8", "swagger-ui.css")),
            ],
            telemetry: Telemetry::from_settings("docs", settings),
        })
    }

    fn find(&self, call: Call<'_>) -> Option<&File> {
        let wanted = call.route_path();
        self.files.iter().find(|(path, _)| *path == wanted).map(|(_, file)| file)
    }
}

/// Handles one request.
pub async fn handle(deps: &Deps, request: Request, now: u64) -> Response<Body> {
    let request_log = deps.telemetry.begin(now);
    let call = Call::new(&request, now);
    match deps.find(call) {
        Some(file) => {
            request_log.log(&log_record(Outcome::Served, call));
            let mut response = file.answer(&request);
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
            headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            response
        }
        None => {
            let error = OAuthError::new(ErrorKind::NotFound, "not found");
            error_response(&request_log, call, error)
        }
    }
}
