//! The signing keys: one is active and not old, the pending one is complete, and the authorizer has them all.

use std::time::Duration;

use humantime::format_duration;
use shared::trust::key_schedule::{KeySchedule, ScheduledKey};
use shared::trust::published_keys::PublishedKey;

use super::check::{Check, NotObserved, counted};
use crate::admin::output::time;

/// The maximum age of the newest key without automatic rotation, in days.
const MAX_AGE_DAYS: u64 = 180;

const DAY: u64 = 86_400;

const ROTATE: &str = "Run `latchkey signing-key rotate`";
/// The remedy for an incomplete rotation.
pub const COMPLETE: &str =
    "If no rotation is running, `latchkey signing-key rotate` completes the interrupted one";

const SNAPSHOT: &str = "trust snapshot";
const SIGNING: &str = "signing key";
const NEXT: &str = "next key";
const AGE: &str = "key age";

/// Checks the key schedule against the ids of the keys that the secret holds. `has_key` is whether the authorizer has a
/// key, and `rotates_every` the secret's rotation interval in days. Each argument is one observation.
pub fn check(
    schedule: Result<&KeySchedule<PublishedKey>, &NotObserved>,
    held: Result<&[String], &NotObserved>,
    has_key: impl Fn(&str) -> bool,
    rotates_every: Option<u64>,
    now: u64,
) -> [Check; 4] {
    let schedule = match schedule {
        Ok(schedule) => schedule,
        Err(not_observed) => {
            let [signing, next, age] = [SIGNING, NEXT, AGE].map(|name| not_observed.not_checked(name));
            return [not_observed.check(SNAPSHOT), signing, next, age];
        }
    };
    let [signing, next] = match held {
        Ok(held) => [signing(schedule, held, now), next(schedule, held, now)],
        Err(not_observed) => [SIGNING, NEXT].map(|name| not_observed.not_checked(name)),
    };
    [snapshot(schedule, has_key, now), signing, next, age(schedule, rotates_every, now)]
}

fn snapshot(schedule: &KeySchedule<PublishedKey>, has_key: impl Fn(&str) -> bool, now: u64) -> Check {
    let trusted: Vec<_> = schedule.iter().filter(|scheduled| scheduled.is_trusted(now)).map(id).collect();
    let unknown: Vec<_> = trusted.iter().copied().filter(|kid| !has_key(kid)).collect();
    if trusted.is_empty() {
        return Check::problem(SNAPSHOT, "no key is published. The authorizer rejects every token", ROTATE);
    }
    if unknown.is_empty() {
        return Check::ok(
            SNAPSHOT,
            format!("the authorizer has every key of the key schedule, {}", counted(trusted.len(), "key")),
        );
    }
    let detail = format!("the authorizer lacks {}. It rejects the tokens of these keys", unknown.join(", "));
    Check::problem(SNAPSHOT, detail, ROTATE)
}

fn signing(schedule: &KeySchedule<PublishedKey>, held: &[String], now: u64) -> Check {
    let may_sign: Vec<_> = schedule.eligible_signers(now).map(|key| &key.kid).collect();
    match (may_sign.first(), may_sign.iter().find(|kid| held.contains(kid))) {
        (Some(due), Some(signs)) if due == signs => Check::ok(SIGNING, format!("{signs} is active")),
        (Some(due), Some(signs)) => Check::warning(
            SIGNING,
            format!("the active key {due} is missing from the secret. {signs} signs as a temporary fallback"),
            ROTATE,
        ),
        (Some(due), None) => Check::problem(
            SIGNING,
            format!("the active key {due} is missing from the secret. Every sign-in answers 503"),
            "Check that TABLE_NAME and SIGNING_SECRET_ID are of one stack. If so, run `latchkey signing-key rotate`",
        ),
        (None, _) => Check::problem(SIGNING, "no key is active. Every sign-in answers 503", ROTATE),
    }
}

fn next(schedule: &KeySchedule<PublishedKey>, held: &[String], now: u64) -> Check {
    let Some(next) = schedule.iter().filter(|scheduled| scheduled.is_pending(now)).last() else {
        return Check::ok(NEXT, "no key is pending");
    };
    let Some(from) = next.signs_from.map(time) else {
        let detail =
            format!("{} is published without an activation time. A rotation is incomplete", next.key.kid);
        return Check::warning(NEXT, detail, COMPLETE);
    };
    if held.contains(&next.key.kid) {
        return Check::ok(NEXT, format!("{} becomes active at {from}", next.key.kid));
    }
    Check::warning(
        NEXT,
        format!("{} becomes active at {from}, but is missing from the secret", next.key.kid),
        COMPLETE,
    )
}

fn age(schedule: &KeySchedule<PublishedKey>, rotates_every: Option<u64>, now: u64) -> Check {
    let Some(newest) = schedule.iter().map(|scheduled| scheduled.published_at).max() else {
        return Check::not_checked(AGE, "the key schedule is empty");
    };
    let age = now.saturating_sub(newest);
    let days = format_duration(Duration::from_secs(age - age % DAY));
    let created = if age < DAY { "today".to_owned() } else { format!("{days} ago, on {}", time(newest)) };
    let created = format!("the newest key was created {created}");
    // The check of the rotation finds a late one. This finds rotations that succeed without creating a key.
    let old = rotates_every.map_or(MAX_AGE_DAYS, |days| days.saturating_mul(2));
    if age <= old.saturating_mul(DAY) {
        Check::ok(AGE, created)
    } else {
        Check::warning(AGE, created, ROTATE)
    }
}

fn id(scheduled: &ScheduledKey<PublishedKey>) -> &str {
    &scheduled.key.kid
}

#[cfg(test)]
mod tests {
    use super::super::check::Status::{self, NotChecked, Ok as Well, Problem, Warning};
    use super::*;

    const LEAD: u64 = 4 * 3600;

    fn schedule(keys: &[(&str, u64, u64)]) -> KeySchedule<PublishedKey> {
        let mut schedule = KeySchedule::default();
        for (kid, now, from) in keys {
            schedule.publish(PublishedKey { kid: (*kid).to_owned(), jwk: String::new() }, *now);
            schedule.activate_pending(|_| true, *now, *from - *now);
        }
        schedule
    }

    fn statuses(schedule: &KeySchedule<PublishedKey>, held: &[&str], now: u64) -> [Status; 4] {
        let held: Vec<_> = held.iter().map(|kid| (*kid).to_owned()).collect();
        check(Ok(schedule), Ok(&held), |_| true, None, now).map(|check| check.status)
    }

    #[test]
    fn active_key_must_be_in_the_secret() {
        assert_eq!(statuses(&schedule(&[]), &[], 0), [Problem, Problem, Well, NotChecked]);
        let one = schedule(&[("first", 0, 0)]);
        assert_eq!(statuses(&one, &["first"], 0), [Well; 4]);
        assert_eq!(statuses(&one, &["other"], 0), [Well, Problem, Well, Well]);
        let two = schedule(&[("first", 0, 0), ("second", 100, 100 + LEAD)]);
        assert_eq!(statuses(&two, &["first", "second"], 200), [Well; 4]);
        assert_eq!(statuses(&two, &["first"], 200), [Well, Well, Warning, Well], "interrupted");
        assert_eq!(
            statuses(&two, &["first"], 100 + LEAD),
            [Well, Warning, Well, Well],
            "the first is the fallback"
        );
        assert_eq!(statuses(&two, &["second"], 100 + LEAD), [Well; 4]);
        let mut unused = schedule(&[("first", 0, 0)]);
        unused.publish(PublishedKey { kid: "second".to_owned(), jwk: String::new() }, 100);
        assert_eq!(statuses(&unused, &["first"], 200), [Well, Well, Warning, Well], "interrupted earlier");
    }

    #[test]
    fn key_is_old_after_half_a_year_or_two_rotation_intervals() {
        let one = schedule(&[("first", 0, 0)]);
        let held = ["first".to_owned()];
        let old = |days, now| check(Ok(&one), Ok(&held), |_| true, days, now)[3].status;
        assert_eq!((old(None, MAX_AGE_DAYS * DAY), old(None, MAX_AGE_DAYS * DAY + 1)), (Well, Warning));
        assert_eq!((old(Some(30), 60 * DAY), old(Some(30), 60 * DAY + 1)), (Well, Warning));
        assert_eq!(old(Some(365), 400 * DAY), Well);
    }

    #[test]
    fn key_that_the_authorizer_lacks_is_a_problem() {
        let two = schedule(&[("first", 0, 0), ("second", 100, 100 + LEAD)]);
        let held = ["first", "second"].map(str::to_owned);
        let [snapshot, ..] = check(Ok(&two), Ok(&held), |kid| kid == "first", None, 200);
        assert!(snapshot.status == Problem && snapshot.detail.contains("lacks second."), "{snapshot:?}");
    }

    #[test]
    fn keys_are_not_checked_without_table_or_secret() {
        let not_observed = NotObserved::skipped("no table");
        for check in check(Err(&not_observed), Ok(&[]), |_| true, None, 0) {
            assert_eq!((check.status, check.detail.as_str()), (NotChecked, "no table"));
        }
        let one = schedule(&[("first", 0, 0)]);
        let checks = check(Ok(&one), Err(&not_observed), |_| true, None, 0);
        assert_eq!(checks.map(|check| check.status), [Well, NotChecked, NotChecked, Well]);
    }
}
