//! The key schedule with the state of each key.

use serde::Serialize;
use shared::signing::signing_secret::KeyDocument;
use shared::trust::key_schedule::{KeySchedule, ScheduledKey};
use shared::trust::published_keys::PublishedKey;

use crate::admin::output::{List, Report};

/// The state of a key. The names in JSON are those of release 0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum KeyState {
    /// Pending without an activation time, because a rotation is incomplete.
    Published,
    /// Pending.
    Upcoming,
    /// Active.
    Signing,
    /// Does not sign, and its tokens are accepted.
    Retiring,
    /// Its tokens are rejected.
    Retired,
    /// Revoked before it retired.
    Revoked,
    /// Due to sign, but not in the signing secret.
    Lost,
}

impl KeyState {
    fn word(self) -> &'static str {
        match self {
            Self::Published | Self::Upcoming => "pending",
            Self::Signing => "active",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
            Self::Revoked => "revoked",
            Self::Lost => "missing",
        }
    }
}

/// The key schedule of a deployment.
#[derive(Serialize)]
pub struct Schedule {
    keys: Vec<Shown<KeyState>>,
}

/// A public key. Times are in seconds since 1970.
#[derive(Serialize)]
struct Shown<S> {
    kid: String,
    algorithm: &'static str,
    state: S,
    published_at: u64,
    signs_from: Option<u64>,
    retires_at: Option<u64>,
}

impl Schedule {
    /// The schedule of the published keys. `held` are the private keys in the signing secret.
    pub fn of(keys: &KeySchedule<PublishedKey>, held: &KeyDocument, now: u64) -> Self {
        let states = states(keys, |kid| held.holds(kid), now);
        let shown = keys.iter().zip(states).map(|(scheduled, state)| Shown {
            kid: scheduled.key.kid.clone(),
            algorithm: scheduled.key.algorithm().map_or("unknown", |algorithm| algorithm.name()),
            state,
            published_at: scheduled.published_at,
            signs_from: scheduled.signs_from,
            retires_at: scheduled.retires_at,
        });
        Self { keys: shown.collect() }
    }
}

/// The states in the order of the keys. Of the keys that may sign, the newest one that the secret holds is active.
fn states(keys: &KeySchedule<PublishedKey>, held: impl Fn(&str) -> bool, now: u64) -> Vec<KeyState> {
    let newest_first: Vec<_> = keys.eligible_signers(now).map(|key| key.kid.as_str()).collect();
    let active = newest_first.iter().position(|kid| held(kid));
    let all: Vec<_> = keys.iter().collect();
    let overtaken = |index: usize, scheduled: &ScheduledKey<PublishedKey>| {
        let later = all.iter().skip(index + 1).filter_map(|later| later.signs_from);
        later.min().is_some_and(|earliest| scheduled.signs_from.is_none_or(|from| earliest <= from))
    };
    let state = |(index, scheduled): (usize, &&ScheduledKey<PublishedKey>)| {
        let place = newest_first.iter().position(|kid| *kid == scheduled.key.kid);
        match place {
            _ if scheduled.revoked => KeyState::Revoked,
            _ if scheduled.has_retired(now) => KeyState::Retired,
            _ if scheduled.is_pending(now) && scheduled.signs_from.is_none() => KeyState::Published,
            _ if scheduled.is_pending(now) && !overtaken(index, scheduled) => KeyState::Upcoming,
            Some(place) if active == Some(place) => KeyState::Signing,
            Some(place) if active.is_none_or(|active| place < active) => KeyState::Lost,
            _ => KeyState::Retiring,
        }
    };
    all.iter().enumerate().map(state).collect()
}

impl Report for Schedule {
    fn render_text(&self) -> String {
        let rows = self.keys.iter().map(|key| Shown {
            kid: key.kid.clone(),
            algorithm: key.algorithm,
            state: key.state.word(),
            published_at: key.published_at,
            signs_from: key.signs_from,
            retires_at: key.retires_at,
        });
        let empty = "There is no signing key. `latchkey signing-key rotate` creates one.";
        List { rows: rows.collect(), empty }.render_text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys that become active at these times, each published at 0.
    fn schedule(keys: &[(&str, u64)]) -> KeySchedule<PublishedKey> {
        let mut schedule = KeySchedule::default();
        for (kid, lead) in keys {
            schedule.publish(PublishedKey { kid: (*kid).to_owned(), jwk: String::new() }, 0);
            schedule.activate_pending(|_| true, 0, *lead);
        }
        schedule
    }

    #[test]
    fn newest_key_of_the_secret_that_may_sign_is_active() {
        use KeyState::{Lost, Retired, Retiring, Signing, Upcoming};
        let two = schedule(&[("first", 0), ("second", 100)]);
        let held = |kids: &'static [&str]| move |kid: &str| kids.contains(&kid);
        assert_eq!(states(&two, held(&["first", "second"]), 99), [Signing, Upcoming]);
        assert_eq!(states(&two, held(&["first", "second"]), 100), [Retiring, Signing]);
        assert_eq!(states(&two, held(&["first"]), 100), [Signing, Lost], "the first is the fallback");
        assert_eq!(states(&two, held(&[]), 100), [Lost, Lost]);
        assert_eq!(states(&two, held(&["second"]), 1_000_000), [Retired, Signing]);
    }

    #[test]
    fn pending_key_that_a_later_one_overtakes_is_retiring() {
        let three = schedule(&[("first", 0), ("second", 200), ("third", 100)]);
        let expected = [KeyState::Signing, KeyState::Retiring, KeyState::Upcoming];
        assert_eq!(states(&three, |_| true, 50), expected);
    }

    #[test]
    fn incomplete_rotation_leaves_a_published_key() {
        let mut keys = schedule(&[("first", 0)]);
        keys.publish(PublishedKey { kid: "second".to_owned(), jwk: String::new() }, 10);
        assert_eq!(states(&keys, |_| true, 1_000_000), [KeyState::Signing, KeyState::Published]);
    }
}
