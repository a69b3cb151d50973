//! This machine's clock: tokens and AWS's signatures are good for a while only.

use std::time::Duration;

use humantime::format_duration;
use shared::jose::jwt::LEEWAY;

use super::check::Check;
use super::http::Answer;

/// AWS refuses a signed request whose time is further off than this, in seconds
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/signature-v4-troubleshooting.html>).
const SIGNATURES_LEEWAY: u64 = 300;

const NAME: &str = "clock";

/// Judges by the first answer that tells the time.
pub fn validate<'a>(mut answers: impl Iterator<Item = &'a Answer>) -> Check {
    match answers.find_map(|answer| answer.clocks) {
        Some((theirs, ours)) => compare(theirs, ours),
        None => Check::not_checked(NAME, "nobody told the time"),
    }
}

fn compare(theirs: u64, ours: u64) -> Check {
    let off = ours.abs_diff(theirs);
    let how = if ours > theirs { "fast" } else { "slow" };
    let off_by = format!("this machine's clock is {} {how}", format_duration(Duration::from_secs(off)));
    let advice = "let the system set its clock by the network (NTP)";
    if off <= LEEWAY {
        Check::ok(NAME, format!("this machine's clock and the API's differ by {off} s"))
    } else if off <= SIGNATURES_LEEWAY {
        Check::warning(
            NAME,
            format!("{off_by}: what is revoked or rotated from here counts too early or too late"),
            advice,
        )
    } else {
        Check::problem(NAME, format!("{off_by}: AWS refuses what is signed here"), advice)
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::*;

    #[test]
    fn a_clock_may_be_off_by_as_much_as_tokens_allow() {
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
        assert_eq!(validate(std::iter::empty()).status, Status::NotChecked);
    }
}
