//! This machine's clock, on which revocations and AWS signatures depend.

use std::time::Duration;

use humantime::format_duration;
use shared::jose::jwt::LEEWAY;

use super::check::Check;
use super::http::HttpAnswer;

/// AWS rejects a signed request whose time differs by more than this, in seconds
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/signature-v4-troubleshooting.html>).
const SIGNATURES_LEEWAY: u64 = 300;

const NAME: &str = "clock";

/// Checks the clock with the first answer that has a date.
pub fn check<'a>(mut answers: impl Iterator<Item = &'a HttpAnswer>) -> Check {
    match answers.find_map(|answer| answer.clocks) {
        Some((theirs, ours)) => compare(theirs, ours),
        None => Check::not_checked(NAME, "no answer has a date"),
    }
}

fn compare(theirs: u64, ours: u64) -> Check {
    let off = ours.abs_diff(theirs);
    let how = if ours > theirs { "fast" } else { "slow" };
    let off_by = format!("this machine's clock is {} {how}", format_duration(Duration::from_secs(off)));
    let advice = "Synchronise the system clock (NTP)";
    if off <= LEEWAY {
        Check::ok(NAME, format!("this machine's clock differs from the API's by {off} s"))
    } else if off <= SIGNATURES_LEEWAY {
        Check::warning(
            NAME,
            format!("{off_by}. Rotations from this machine apply too early or too late"),
            advice,
        )
    } else {
        Check::problem(NAME, format!("{off_by}. AWS rejects requests that it signs"), advice)
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::*;

    #[test]
    fn clock_may_differ_by_the_leeway_of_tokens() {
        for (ours, status) in [
            (1000, Status::Ok),
            (1000 + LEEWAY, Status::Ok),
            (1000 - LEEWAY, Status::Ok),
            (1000 + LEEWAY + 1, Status::Warning),
            (1000 - LEEWAY - 1, Status::Warning),
            (1000 + SIGNATURES_LEEWAY, Status::Warning),
            (1000 + SIGNATURES_LEEWAY + 1, Status::Problem),
        ] {
            assert_eq!(compare(1000, ours).status, status, "{ours}");
        }
        assert!(compare(1000, 1090).detail.contains("1m 30s fast"));
        assert!(compare(1000, 910).detail.contains("1m 30s slow"));
        assert_eq!(check(std::iter::empty()).status, Status::NotChecked);
    }
}
