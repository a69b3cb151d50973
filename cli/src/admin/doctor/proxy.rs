//! A proxy in front of the API, whose address all callers share unless the API trusts it.

use super::check::Check;
use super::http::HttpAnswer;

/// The check's name.
const NAME: &str = "proxy";

/// Checks the answers of the API. They don't show whether the stack trusts the proxy.
pub fn check<'a>(answers: impl Iterator<Item = &'a HttpAnswer>) -> Check {
    let networks: Vec<_> = answers.map(|answer| answer.cdn).collect();
    if networks.is_empty() {
        return Check::not_checked(NAME, "no answer of the API to check");
    }
    match networks.into_iter().flatten().next() {
        None => Check::ok(NAME, "the API's answers show no content delivery network"),
        Some(network) => Check::warning(
            NAME,
            format!(
                "{network} is in front of the API. Without the parameter ProxySecret all callers share the attempt \
                 limit of one address, and a hundred wrong passwords lock out every user"
            ),
            "Set ProxySecret and DisableDefaultEndpoint, if they are not set. See docs/deploy.md",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::StatusCode;

    use super::super::check::Status;
    use super::*;

    #[test]
    fn content_delivery_network_is_a_warning_with_a_remedy() {
        let answer = |cdn| HttpAnswer {
            status: StatusCode::OK,
            took: Duration::ZERO,
            clocks: None,
            cdn,
            allowed_origin: None,
            body: Vec::new(),
        };
        let checked = |networks: &[Option<&'static str>]| {
            let answers: Vec<_> = networks.iter().map(|network| answer(*network)).collect();
            check(answers.iter())
        };
        assert_eq!(checked(&[]).status, Status::NotChecked);
        assert_eq!(checked(&[None, None]).status, Status::Ok);
        let warning = checked(&[None, Some("CloudFront")]);
        assert_eq!(warning.status, Status::Warning);
        assert!(warning.detail.contains("CloudFront") && warning.advice.unwrap().contains("ProxySecret"));
    }
}
