//! Where each key stands, and a drawing of it.

use std::collections::BTreeMap;

use serde::Serialize;
use shared::signing::signing_secret::KeyDocument;
use shared::trust::key_schedule::{KeySchedule, ScheduledKey};
use shared::trust::published_keys::PublishedKey;

use crate::admin::output::{Report, optional_time, table, time};

/// How much of a key's id tells it from the others.
const SHORT_ID: usize = 8;

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// Published, and not in use yet: it has no turn.
    Published,
    /// In use, and not its turn yet.
    Upcoming,
    /// Signs.
    Signing,
    /// Signs no more, or was overtaken before it did; what it signed is accepted.
    Retiring,
    /// What it signed is refused.
    Retired,
    /// Ended before its time.
    Revoked,
    /// Would sign, but the secret does not hold it.
    Lost,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Upcoming => "upcoming",
            Self::Signing => "signing",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
            Self::Revoked => "revoked",
            Self::Lost => "lost",
        }
    }
}

/// The keys of a deployment.
#[derive(Serialize)]
pub struct Timeline {
    keys: Vec<Shown>,
    #[serde(skip)]
    drawing: String,
}

/// A key without its private half. Times are in seconds since 1970.
#[derive(Serialize)]
struct Shown {
    kid: String,
    algorithm: &'static str,
    state: State,
    published_at: u64,
    signs_from: Option<u64>,
    retires_at: Option<u64>,
}

impl Timeline {
    /// Of the keys that are published, some of which the secret holds.
    pub fn of(keys: &KeySchedule<PublishedKey>, held: &KeyDocument, now: u64) -> Self {
        let ids = |key: &PublishedKey| key.kid.clone();
        let all: Vec<ScheduledKey<String>> = keys.iter().map(|timed| timed.map(ids)).collect();
        let holds = |key_id: &String| held.holds(key_id);
        let shown = keys.iter().enumerate().map(|(index, timed)| Shown {
            kid: timed.key.kid.clone(),
            algorithm: timed.key.algorithm().map_or("unknown", |algorithm| algorithm.name()),
            state: if timed.revoked { State::Revoked } else { state(&all, index, &holds, now) },
            published_at: timed.published_at,
            signs_from: timed.signs_from,
            retires_at: timed.retires_at,
        });
        Self { keys: shown.collect(), drawing: draw(&all, &holds, now) }
    }
}

/// Where the key of that index stood then, as long as nobody had revoked it. Of those that may sign, the last
/// one that is held does.
fn state(keys: &[ScheduledKey<String>], index: usize, held: &impl Fn(&String) -> bool, now: u64) -> State {
    let Some((timed, later)) = keys.get(index..).and_then(<[_]>::split_first) else { return State::Retired };
    let is_over = |timed: &ScheduledKey<String>| timed.retires_at.is_some_and(|retires_at| retires_at <= now);
    let has_turn =
        |timed: &ScheduledKey<String>| timed.signs_from.is_some_and(|from| from <= now) && !is_over(timed);
    if is_over(timed) {
        return State::Retired;
    }
    let Some(signs_from) = timed.signs_from else { return State::Published };
    if now < signs_from {
        let earlier =
            |other: &ScheduledKey<String>| other.signs_from.is_some_and(|other| other <= signs_from);
        return if later.iter().any(earlier) { State::Retiring } else { State::Upcoming };
    }
    if later.iter().any(|other| has_turn(other) && held(&other.key)) {
        State::Retiring
    } else if held(&timed.key) {
        State::Signing
    } else {
        State::Lost
    }
}

/// A line for each moment at which something changes, oldest first, and a column for each key.
fn draw(keys: &[ScheduledKey<String>], held: &impl Fn(&String) -> bool, now: u64) -> String {
    let mut moments: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for timed in keys {
        let short: String = timed.key.chars().take(SHORT_ID).collect();
        let mut note = |at, words: &str| moments.entry(at).or_default().push(format!("{short} {words}"));
        match timed.signs_from {
            Some(signs_from) if signs_from <= timed.published_at => {
                note(timed.published_at, "is published and signs");
            }
            signs_from => {
                note(timed.published_at, "is published");
                if let Some(signs_from) =
                    signs_from.filter(|from| timed.retires_at.is_none_or(|end| *from < end))
                {
                    note(signs_from, "signs");
                }
            }
        }
        if let Some(retires_at) = timed.retires_at {
            note(retires_at, if timed.revoked { "is revoked" } else { "retires" });
        }
    }
    moments.entry(now).or_default().insert(0, "now".to_owned());
    let line = |(at, words): (&u64, &Vec<String>)| {
        let lane = |(index, timed): (usize, &ScheduledKey<String>)| match timed.published_at > *at {
            true => ' ',
            false => glyph(state(keys, index, held, *at)),
        };
        let lanes: Vec<String> = keys.iter().enumerate().map(|key| lane(key).to_string()).collect();
        format!("{}  {}  {}\n", time(*at), lanes.join(" "), words.join(", "))
    };
    moments.iter().map(line).collect()
}

fn glyph(state: State) -> char {
    match state {
        State::Published | State::Upcoming => '╎',
        State::Signing => '┃',
        State::Retiring => '│',
        State::Retired | State::Revoked => '╵',
        State::Lost => '?',
    }
}

impl Report for Timeline {
    fn for_people(&self) -> String {
        let row = |key: &Shown| {
            [
                key.kid.clone(),
                key.algorithm.to_owned(),
                key.state.word().to_owned(),
                time(key.published_at),
                optional_time(key.signs_from),
                optional_time(key.retires_at),
            ]
        };
        let header = ["kid", "algorithm", "state", "published", "signs from", "retires"];
        let nothing = "There is no signing key yet: `latchkey signing-key rotate` makes the first.";
        let table = table(header, self.keys.iter().map(row).collect(), nothing);
        if self.keys.is_empty() {
            return table;
        }
        let legend = "╎ published   ┃ signs   │ what it signed is accepted   ╵ retired";
        format!("{table}\n{}\n{legend}\n", self.drawing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timed(key: &str, published_at: u64, signs_from: u64, retires_at: Option<u64>) -> ScheduledKey<String> {
        ScheduledKey {
            key: key.to_owned(),
            published_at,
            signs_from: Some(signs_from),
            retires_at,
            revoked: false,
        }
    }

    #[test]
    fn a_key_waits_until_it_signs_or_is_overtaken() {
        let first = timed("first", 0, 100, Some(200));
        let state = |later: &[ScheduledKey<String>], now| {
            let keys: Vec<_> = [first.clone()].into_iter().chain(later.iter().cloned()).collect();
            super::state(&keys, 0, &|_| true, now)
        };
        assert_eq!(state(&[], 99), State::Upcoming);
        assert_eq!(state(&[timed("", 0, 101, None)], 99), State::Upcoming);
        assert_eq!(state(&[timed("", 0, 100, None)], 99), State::Retiring);
        assert_eq!(state(&[timed("", 0, 150, None)], 149), State::Signing);
        assert_eq!(state(&[timed("", 0, 150, None)], 150), State::Retiring);
        assert_eq!(state(&[], 200), State::Retired);
        let unused = ScheduledKey { signs_from: None, ..timed("", 0, 0, None) };
        assert_eq!(super::state(&[unused], 0, &|_| true, 1_000_000), State::Published);
    }

    #[test]
    fn a_key_that_the_secret_does_not_hold_leaves_its_turn_to_the_one_before() {
        let keys = [timed("first", 0, 0, Some(300)), timed("second", 50, 100, None)];
        let states =
            |held: &[&str]| [0, 1].map(|index| state(&keys, index, &|key| held.contains(&key.as_str()), 150));
        assert_eq!(states(&["first", "second"]), [State::Retiring, State::Signing]);
        assert_eq!(states(&["first"]), [State::Signing, State::Lost]);
    }

    #[test]
    fn the_drawing_has_a_line_for_each_change() {
        let keys = [timed("first-key", 0, 0, Some(300)), timed("second-key", 50, 100, None)];
        assert_eq!(
            draw(&keys, &|_| true, 70),
            "1970-01-01T00:00:00Z  ┃    first-ke is published and signs\n\
             1970-01-01T00:00:50Z  ┃ ╎  second-k is published\n\
             1970-01-01T00:01:10Z  ┃ ╎  now\n\
             1970-01-01T00:01:40Z  │ ┃  second-k signs\n\
             1970-01-01T00:05:00Z  ╵ ┃  first-ke retires\n"
        );
    }
}
