//! Cross-origin requests: whether the pages of any origin may call the API.
//!
//! CloudFormation keeps a parameter's value when a new template has another default, so only the running API tells.

use axum::http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, Method};

use super::check::Check;
use super::http::{Answer, Http};

/// The check's name.
pub const NAME: &str = "allowed origins";

/// An origin that no deployment allows by its name (RFC 6761 §6.4).
const STRANGER: &str = "https://doctor.invalid";

/// Sends the preflight request of a page of [`STRANGER`].
///
/// # Errors
/// Why there is no answer, in words.
pub async fn probe(http: &Http, url: &str) -> Result<Answer, String> {
    let headers = [
        (ORIGIN, HeaderValue::from_static(STRANGER)),
        (ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("POST")),
    ];
    let headers = HeaderMap::from_iter(headers);
    http.send_with(Method::OPTIONS, &format!("{url}/oauth2/token"), headers).await
}

/// Judges the answer.
pub fn validate(answer: &Result<Answer, String>) -> Check {
    let allowed = match answer {
        Ok(answer) => answer.allowed_origin.as_deref(),
        Err(reason) => return Check::not_checked(NAME, format!("the API does not answer ({reason})")),
    };
    if !matches!(allowed, Some("*" | STRANGER)) {
        return Check::ok(NAME, "the API does not let pages of unknown origins call it");
    }
    Check::warning(
        NAME,
        "the API lets pages of every origin call it (AllowedOrigins=*, the default of earlier releases)",
        "deploy with the origins of your own pages, `--parameter-overrides \
         AllowedOrigins=https://app.example.com`, or with none, AllowedOrigins=\"\": an update keeps the old value",
    )
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::*;
    use axum::http::StatusCode;
    use std::time::Duration;

    #[test]
    fn api_that_allows_every_origin_is_warned_of() {
        for (allowed, status) in [
            (Some("*"), Status::Warning),
            (Some(STRANGER), Status::Warning),
            (Some("https://app.example.com"), Status::Ok),
            (None, Status::Ok),
        ] {
            let answer = Answer {
                status: StatusCode::NO_CONTENT,
                took: Duration::ZERO,
                clocks: None,
                cdn: None,
                allowed_origin: allowed.map(str::to_owned),
                body: Vec::new(),
            };
            assert_eq!(validate(&Ok(answer)).status, status, "{allowed:?}");
        }
        assert_eq!(validate(&Err("refused".to_owned())).status, Status::NotChecked);
    }
}
