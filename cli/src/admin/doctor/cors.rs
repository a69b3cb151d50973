//! CORS: whether pages of every origin may call the API.
//!
//! CloudFormation keeps a parameter's value when a new template has another default, so the running API is asked.

use axum::http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, Method};

use super::check::Check;
use super::http::{HttpAnswer, HttpClient};

/// The check's name.
pub const NAME: &str = "allowed origins";

/// An origin that no deployment allows by name (RFC 6761 §6.4).
const UNKNOWN_ORIGIN: &str = "https://doctor.invalid";

/// Sends the preflight request of a page of [`UNKNOWN_ORIGIN`].
///
/// # Errors
/// The reason why there is no answer.
pub async fn probe(http: &HttpClient, url: &str) -> Result<HttpAnswer, String> {
    let headers = [
        (ORIGIN, HeaderValue::from_static(UNKNOWN_ORIGIN)),
        (ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("POST")),
    ];
    let headers = HeaderMap::from_iter(headers);
    http.send_with(Method::OPTIONS, &format!("{url}/oauth2/token"), headers).await
}

/// Checks the answer.
pub fn check(answer: &Result<HttpAnswer, String>) -> Check {
    let allowed = match answer {
        Ok(answer) => answer.allowed_origin.as_deref(),
        Err(reason) => return Check::not_checked(NAME, format!("the API does not answer ({reason})")),
    };
    if !matches!(allowed, Some("*" | UNKNOWN_ORIGIN)) {
        return Check::ok(NAME, "pages of unknown origins can't call the API");
    }
    Check::warning(
        NAME,
        "pages of every origin can call the API (AllowedOrigins=*, the default of earlier releases)",
        "Deploy with `--parameter-overrides AllowedOrigins=https://app.example.com`, the origins of your pages, or \
         with AllowedOrigins=\"\". An update without the parameter keeps the old value",
    )
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::*;
    use axum::http::StatusCode;
    use std::time::Duration;

    #[test]
    fn api_that_allows_every_origin_is_a_warning() {
        for (allowed, status) in [
            (Some("*"), Status::Warning),
            (Some(UNKNOWN_ORIGIN), Status::Warning),
            (Some("https://app.example.com"), Status::Ok),
            (None, Status::Ok),
        ] {
            let answer = HttpAnswer {
                status: StatusCode::NO_CONTENT,
                took: Duration::ZERO,
                clocks: None,
                cdn: None,
                allowed_origin: allowed.map(str::to_owned),
                body: Vec::new(),
            };
            assert_eq!(check(&Ok(answer)).status, status, "{allowed:?}");
        }
        assert_eq!(check(&Err("refused".to_owned())).status, Status::NotChecked);
    }
}
