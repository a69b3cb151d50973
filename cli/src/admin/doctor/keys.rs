//! The signing keys: that one signs, that it isn't old, that the next is there, and that whoever checks tokens
//! knows them all.

use std::time::Duration;

use humantime::format_duration;
use shared::trust::key_schedule::{KeySchedule, ScheduledKey};
use shared::trust::published_keys::PublishedKey;

use super::check::{Check, Missed, counted};
use crate::admin::output::time;

/// When a key that nothing rotates by itself should have had a successor, in days.
const OLD: u64 = 180;

const DAY: u64 = 86_400;

const ROTATE: &str = "`latchkey signing-key rotate` makes a new one";

/// Judges the timeline of the keys, with the ids of those that the secret holds. `knows` is what the
/// authorizer makes of the trust bundle, and `rotates_every` how often the secret rotates, in days.
pub fn validate(
    timeline: Result<&KeySchedule<PublishedKey>, &Missed>,
    held: Result<&[String], &Missed>,
    knows: impl Fn(&str) -> bool,
    rotates_every: Option<u64>,
    now: u64,
) -> [Check; 4] {
    const NAMES: [&str; 4] = ["trust bundle", "signing key", "next key", "key age"];
    let timeline = match timeline {
        Ok(timeline) => timeline,
        Err(missed) => {
            let mut checks = NAMES.map(|name| missed.not_checked(name));
            checks[0] = missed.check(NAMES[0]);
            return checks;
        }
    };
    let [signing, next] = match held {
        Ok(held) => [signing(NAMES[1], timeline, held, now), next(NAMES[2], timeline, held, now)],
        Err(missed) => [NAMES[1], NAMES[2]].map(|name| missed.not_checked(name)),
    };
    [known(NAMES[0], timeline, knows, now), signing, next, age(NAMES[3], timeline, rotates_every, now)]
}

fn known(
    name: &'static str,
    timeline: &KeySchedule<PublishedKey>,
    knows: impl Fn(&str) -> bool,
    now: u64,
) -> Check {
    let trusted: Vec<_> = timeline.iter().filter(|timed| timed.is_trusted(now)).map(id).collect();
    let unknown: Vec<_> = trusted.iter().copied().filter(|kid| !knows(kid)).collect();
    if trusted.is_empty() {
        return Check::problem(name, "no key is published: every token is refused", ROTATE);
    }
    if unknown.is_empty() {
        return Check::ok(
            name,
            format!("the authorizer knows every key of the timeline, {}", counted(trusted.len(), "key")),
        );
    }
    let detail = format!("the authorizer does not know {}: what it signed is refused", unknown.join(", "));
    Check::problem(name, detail, ROTATE)
}

fn signing(name: &'static str, timeline: &KeySchedule<PublishedKey>, held: &[String], now: u64) -> Check {
    let turns: Vec<_> = timeline.eligible_signers(now).map(|key| &key.kid).collect();
    match (turns.first(), turns.iter().find(|kid| held.contains(kid))) {
        (Some(turn), Some(signs)) if turn == signs => Check::ok(name, format!("{signs} signs")),
        (Some(turn), Some(signs)) => Check::warning(
            name,
            format!(
                "it is the turn of {turn}, which the secret does not hold: {signs} stands in, not for long"
            ),
            ROTATE,
        ),
        (Some(turn), None) => Check::problem(
            name,
            format!("it is the turn of {turn}, which the secret does not hold: every sign-in answers 503"),
            "are TABLE_NAME and SIGNING_SECRET_ID of one stack? If so, `latchkey signing-key rotate` makes a new key",
        ),
        (None, _) => Check::problem(name, "no key signs now: every sign-in answers 503", ROTATE),
    }
}

fn next(name: &'static str, timeline: &KeySchedule<PublishedKey>, held: &[String], now: u64) -> Check {
    let Some(next) = timeline.iter().filter(|timed| timed.is_pending(now)).last() else {
        return Check::ok(name, "none is on its way");
    };
    let Some(from) = next.signs_from.map(time) else {
        let detail =
            format!("{} is published, and not in use: a rotation is under way, or stopped", next.key.kid);
        return Check::warning(
            name,
            detail,
            "if it stopped, `latchkey signing-key rotate` carries on with it",
        );
    };
    if held.contains(&next.key.kid) {
        return Check::ok(name, format!("{} signs from {from} on", next.key.kid));
    }
    Check::warning(
        name,
        format!("{} is to sign from {from} on, and the secret does not hold it", next.key.kid),
        "if no rotation is under way, `latchkey signing-key rotate` carries on with the one that was interrupted",
    )
}

fn age(
    name: &'static str,
    timeline: &KeySchedule<PublishedKey>,
    rotates_every: Option<u64>,
    now: u64,
) -> Check {
    let Some(newest) = timeline.iter().map(|timed| timed.published_at).max() else {
        return Check::not_checked(name, "there is no key");
    };
    let age = now.saturating_sub(newest);
    let days = format_duration(Duration::from_secs(age - age % DAY));
    let made = if age < DAY { "today".to_owned() } else { format!("{days} ago, on {}", time(newest)) };
    let made = format!("the newest key was made {made}");
    // A rotation that is late tells by itself; this is for those that say they were carried out.
    let old = rotates_every.map_or(OLD, |days| days.saturating_mul(2));
    if age <= old.saturating_mul(DAY) { Check::ok(name, made) } else { Check::warning(name, made, ROTATE) }
}

fn id(timed: &ScheduledKey<PublishedKey>) -> &str {
    &timed.key.kid
}

#[cfg(test)]
mod tests {
    use super::super::check::Status::{self, NotChecked, Ok as Well, Problem, Warning};
    use super::*;

    const LEAD: u64 = 4 * 3600;

    fn timeline(keys: &[(&str, u64, u64)]) -> KeySchedule<PublishedKey> {
        let mut timeline = KeySchedule::default();
        for (kid, now, from) in keys {
            timeline.publish(PublishedKey { kid: (*kid).to_owned(), jwk: String::new() }, *now);
            timeline.activate_pending(|_| true, *now, *from - *now);
        }
        timeline
    }

    fn statuses(timeline: &KeySchedule<PublishedKey>, held: &[&str], now: u64) -> [Status; 4] {
        let held: Vec<_> = held.iter().map(|kid| (*kid).to_owned()).collect();
        validate(Ok(timeline), Ok(&held), |_| true, None, now).map(|check| check.status)
    }

    #[test]
    fn a_key_signs_whose_turn_it_is_and_that_the_secret_holds() {
        assert_eq!(statuses(&timeline(&[]), &[], 0), [Problem, Problem, Well, NotChecked]);
        let one = timeline(&[("first", 0, 0)]);
        assert_eq!(statuses(&one, &["first"], 0), [Well; 4]);
        assert_eq!(statuses(&one, &["other"], 0), [Well, Problem, Well, Well]);
        let two = timeline(&[("first", 0, 0), ("second", 100, 100 + LEAD)]);
        assert_eq!(statuses(&two, &["first", "second"], 200), [Well; 4]);
        assert_eq!(statuses(&two, &["first"], 200), [Well, Well, Warning, Well], "interrupted");
        assert_eq!(
            statuses(&two, &["first"], 100 + LEAD),
            [Well, Warning, Well, Well],
            "the first stands in"
        );
        assert_eq!(statuses(&two, &["second"], 100 + LEAD), [Well; 4]);
        let mut unused = timeline(&[("first", 0, 0)]);
        unused.publish(PublishedKey { kid: "second".to_owned(), jwk: String::new() }, 100);
        assert_eq!(statuses(&unused, &["first"], 200), [Well, Well, Warning, Well], "stopped earlier still");
    }

    #[test]
    fn a_key_is_old_after_half_a_year_or_two_rotations() {
        let one = timeline(&[("first", 0, 0)]);
        let held = ["first".to_owned()];
        let old = |days, now| validate(Ok(&one), Ok(&held), |_| true, days, now)[3].status;
        assert_eq!((old(None, OLD * DAY), old(None, OLD * DAY + 1)), (Well, Warning));
        assert_eq!((old(Some(30), 60 * DAY), old(Some(30), 60 * DAY + 1)), (Well, Warning));
        assert_eq!(old(Some(365), 400 * DAY), Well);
    }

    #[test]
    fn whoever_checks_tokens_knows_every_key() {
        let two = timeline(&[("first", 0, 0), ("second", 100, 100 + LEAD)]);
        let held = ["first", "second"].map(str::to_owned);
        let [snapshot, ..] = validate(Ok(&two), Ok(&held), |kid| kid == "first", None, 200);
        assert!(snapshot.status == Problem && snapshot.detail.contains("know second:"), "{snapshot:?}");
    }

    #[test]
    fn what_nobody_could_read_is_not_judged() {
        let missed = Missed::skipped("no table");
        for check in validate(Err(&missed), Ok(&[]), |_| true, None, 0) {
            assert_eq!((check.status, check.detail.as_str()), (NotChecked, "no table"));
        }
        let one = timeline(&[("first", 0, 0)]);
        let checks = validate(Ok(&one), Err(&missed), |_| true, None, 0);
        assert_eq!(checks.map(|check| check.status), [Well, NotChecked, NotChecked, Well]);
    }
}
