//! Whether a proxy stands before the API: then all callers come from its address, unless the API trusts it.

use super::check::Check;
use super::http::Answer;

/// The check's name.
const NAME: &str = "proxy";

/// Judges the answers of the API. Whether the stack trusts a proxy can't be seen from outside.
pub fn validate<'a>(answers: impl Iterator<Item = &'a Answer>) -> Check {
    let networks: Vec<_> = answers.map(|answer| answer.cdn).collect();
    if networks.is_empty() {
        return Check::not_checked(NAME, "the API was not asked, or does not answer");
    }
    match networks.into_iter().flatten().next() {
        None => Check::ok(NAME, "no content delivery network shows before the API"),
        Some(network) => Check::warning(
            NAME,
            format!(
                "{network} is before the API: without the parameter ProxySecret all callers share the attempt limits \
                 of one address, and a hundred wrong passwords lock everyone out"
            ),
            "set ProxySecret and DisableDefaultEndpoint, unless they are set: docs/deploy.md",
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
    fn a_content_delivery_network_is_a_warning_with_a_remedy() {
        let answer = |cdn| Answer {
            status: StatusCode::OK,
            took: Duration::ZERO,
            clocks: None,
            cdn,
            allowed_origin: None,
            body: Vec::new(),
        };
        let judged = |networks: &[Option<&'static str>]| {
            let answers: Vec<_> = networks.iter().map(|network| answer(*network)).collect();
            validate(answers.iter())
        };
        assert_eq!(judged(&[]).status, Status::NotChecked);
        assert_eq!(judged(&[None, None]).status, Status::Ok);
        let warning = judged(&[None, Some("CloudFront")]);
        assert_eq!(warning.status, Status::Warning);
        assert!(warning.detail.contains("CloudFront") && warning.advice.unwrap().contains("ProxySecret"));
    }
}
