//! The key schedule, as pure rules.
//!
//! A key is published and pending, then active, then retiring, and in the end retired. A revoked key is rejected at
//! once. Each time is set in advance, so that every function with the schedule switches keys at the same second, and no
//! step at that second can fail.

use serde::{Deserialize, Serialize};

use crate::jose::jwt::LEEWAY;
use crate::runtime::settings::MAX_ACCESS_TOKEN_TTL;

/// How long a function that lacks the active key may sign with the previous one, in seconds.
pub const FALLBACK_WINDOW: u64 = 3600;

/// How long after its signature a token is accepted at most, in seconds.
const MAX_TOKEN_ACCEPTANCE: u64 = MAX_ACCESS_TOKEN_TTL + LEEWAY;

/// How long a key stays trusted after its successor became active, in seconds. Invariant: no token outlives its signing
/// key.
const OVERLAP: u64 = FALLBACK_WINDOW + MAX_TOKEN_ACCEPTANCE;

/// How long a revoked key is kept in the schedule, in seconds. Invariant: longer than a pending version of the secret
/// can contain the key, so that a continued rotation does not publish it again.
const REMEMBERED: u64 = 400 * 86_400;

/// A key and its times, in seconds since 1970.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledKey<K> {
    /// The key.
    #[serde(flatten)]
    pub key: K,
    /// When the key is published.
    pub published_at: u64,
    /// When the key becomes active. None until its secret is current.
    pub signs_from: Option<u64>,
    /// When the key retires and its tokens are rejected. None until it has a successor.
    pub retires_at: Option<u64>,
    /// Whether the key is revoked, which is final: a wrong clock can't undo it.
    #[serde(default)]
    pub revoked: bool,
}

impl<K> ScheduledKey<K> {
    /// Whether tokens of the key are rejected.
    pub fn has_retired(&self, now: u64) -> bool {
        self.revoked || self.retires_at.is_some_and(|retires_at| retires_at <= now)
    }

    /// Whether tokens of the key may be accepted.
    pub fn is_trusted(&self, now: u64) -> bool {
        self.published_at <= now && !self.has_retired(now)
    }

    /// Whether the key is pending.
    pub fn is_pending(&self, now: u64) -> bool {
        !self.revoked && self.signs_from.is_none_or(|signs_from| now < signs_from)
    }

    /// Whether the key may sign: it is active, and stays trusted until its last token has expired.
    fn may_sign(&self, now: u64) -> bool {
        !self.is_pending(now)
            && self.is_trusted(now)
            && self.retires_at.is_none_or(|retires_at| now.saturating_add(MAX_TOKEN_ACCEPTANCE) <= retires_at)
    }

    /// The same schedule with another form of the key.
    pub fn map<L>(&self, form: impl FnOnce(&K) -> L) -> ScheduledKey<L> {
        ScheduledKey {
            key: form(&self.key),
            published_at: self.published_at,
            signs_from: self.signs_from,
            retires_at: self.retires_at,
            revoked: self.revoked,
        }
    }
}

/// The keys, oldest first.
///
/// Every change can be repeated, even after the clock was set back, and then changes nothing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeySchedule<K>(Vec<ScheduledKey<K>>);

impl<K> Default for KeySchedule<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K> KeySchedule<K> {
    /// The keys that may sign now, newest first. The first one is the active key. The others are the fallback of
    /// functions that lack it.
    pub fn eligible_signers(&self, now: u64) -> impl Iterator<Item = &K> {
        self.0.iter().rev().filter(move |scheduled| scheduled.may_sign(now)).map(|scheduled| &scheduled.key)
    }

    /// All keys with their times.
    pub fn iter(&self) -> impl Iterator<Item = &ScheduledKey<K>> {
        self.0.iter()
    }

    /// Publishes a key. It stays pending until it is scheduled.
    pub fn publish(&mut self, key: K, now: u64) {
        self.0.push(ScheduledKey {
            key,
            published_at: now,
            signs_from: None,
            retires_at: None,
            revoked: false,
        });
    }

    /// Schedules the newest available key to become active `lead` seconds after its publication, or now if no other
    /// available key can sign. Sets the retirement of its predecessors, and removes retired keys and keys that can't
    /// become active.
    pub fn activate_pending(&mut self, in_use: impl Fn(&K) -> bool, now: u64, lead: u64) {
        let Some(newest) = self.0.iter().rposition(|scheduled| !scheduled.revoked && in_use(&scheduled.key))
        else {
            return;
        };
        // Keys that sign now have no retirement time, or one that a lost successor has set.
        self.recompute_retirements(&in_use, now);
        let others_sign = self.0.iter().any(|scheduled| scheduled.may_sign(now) && in_use(&scheduled.key));
        if let Some(scheduled) = self.0.get_mut(newest)
            && scheduled.signs_from.is_none()
        {
            let after_lead = scheduled.published_at.saturating_add(lead).max(now);
            scheduled.signs_from = Some(if others_sign { after_lead } else { now });
        }
        let mut index = 0;
        self.0.retain(|scheduled| {
            index += 1;
            match scheduled.retires_at {
                Some(retires_at) if scheduled.revoked => now < retires_at.saturating_add(REMEMBERED),
                _ if scheduled.has_retired(now) => false,
                // An older pending key that was never scheduled, or is not available any longer, can't become active. A
                // newer one may be scheduled later.
                _ if scheduled.is_pending(now) && index <= newest => {
                    scheduled.signs_from.is_some() && in_use(&scheduled.key)
                }
                _ => true,
            }
        });
        self.recompute_retirements(&in_use, now);
    }

    /// Revokes a key. If no other available key can sign, the newest available one becomes active now.
    pub fn revoke(&mut self, is_it: impl Fn(&K) -> bool, in_use: impl Fn(&K) -> bool, now: u64) {
        for scheduled in self.0.iter_mut().filter(|scheduled| !scheduled.revoked && is_it(&scheduled.key)) {
            (scheduled.revoked, scheduled.retires_at) = (true, Some(now));
        }
        if !self.0.iter().any(|scheduled| scheduled.may_sign(now) && in_use(&scheduled.key)) {
            let good =
                |scheduled: &&mut ScheduledKey<K>| !scheduled.has_retired(now) && in_use(&scheduled.key);
            let newest = self.0.iter_mut().rev().find(good);
            if let Some(newest) = newest {
                newest.signs_from = Some(newest.signs_from.map_or(now, |signs_from| signs_from.min(now)));
            }
        }
        self.recompute_retirements(&in_use, now);
    }

    /// Sets the retirement of each key to when the last token that it may have signed has expired. The last key has
    /// none. A key that is missing from the secret is ignored when retirement times are computed.
    fn recompute_retirements(&mut self, in_use: impl Fn(&K) -> bool, now: u64) {
        let mut next: Option<u64> = None;
        for scheduled in self.0.iter_mut().rev().filter(|scheduled| !scheduled.has_retired(now)) {
            let Some(signs_from) = scheduled.signs_from else { continue };
            // A key that was superseded before it became active may still sign where an older schedule is cached.
            scheduled.retires_at = next.map(|next| next.max(signs_from).saturating_add(OVERLAP));
            if in_use(&scheduled.key) {
                next = Some(signs_from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LEAD: u64 = 4 * 3600;

    /// Keys that were published and scheduled one after the other.
    fn schedule_of(keys: &[(&'static str, u64)]) -> KeySchedule<&'static str> {
        let mut schedule = KeySchedule::default();
        for (key, now) in keys {
            schedule.publish(*key, *now);
            schedule.activate_pending(|_| true, *now, LEAD);
        }
        schedule
    }

    fn signers(schedule: &KeySchedule<&'static str>, now: u64) -> Vec<&'static str> {
        schedule.eligible_signers(now).copied().collect()
    }

    fn is_trusted(schedule: &KeySchedule<&'static str>, key: &str, now: u64) -> bool {
        schedule.iter().any(|scheduled| scheduled.key == key && scheduled.is_trusted(now))
    }

    #[test]
    fn the_first_key_signs_once_activated() {
        let mut schedule = KeySchedule::default();
        schedule.publish("first", 100);
        assert!(signers(&schedule, 1_000_000).is_empty() && is_trusted(&schedule, "first", 100));
        schedule.activate_pending(|_| true, 110, LEAD);
        assert!(signers(&schedule, 109).is_empty());
        assert_eq!(signers(&schedule, 110), ["first"]);
    }

    #[test]
    fn a_new_key_is_published_at_once_and_signs_after_the_lead_time() {
        let schedule = schedule_of(&[("first", 0), ("second", 1000)]);
        assert!(schedule.iter().all(|scheduled| scheduled.is_trusted(1000)));
        assert_eq!(signers(&schedule, 1000 + LEAD - 1), ["first"]);
        assert_eq!(signers(&schedule, 1000 + LEAD), ["second", "first"]);
    }

    #[test]
    fn a_pending_key_that_is_never_activated_is_dropped() {
        let mut schedule = schedule_of(&[("first", 0)]);
        schedule.publish("second", 1000);
        assert_eq!(signers(&schedule, 1_000_000), ["first"]);
        schedule.publish("third", 2000);
        schedule.activate_pending(|key| *key != "second", 2000, LEAD);
        assert_eq!(schedule.iter().count(), 2, "and is dropped when another does");
    }

    #[test]
    fn the_previous_key_signs_as_fallback_and_retires_after_its_last_token() {
        let schedule = schedule_of(&[("first", 0), ("second", 1000)]);
        let last = 1000 + LEAD + FALLBACK_WINDOW;
        assert_eq!(signers(&schedule, last), ["second", "first"]);
        assert_eq!(signers(&schedule, last + 1), ["second"]);
        let end = last + MAX_ACCESS_TOKEN_TTL + LEEWAY;
        assert!(is_trusted(&schedule, "first", end - 1));
        assert!(!is_trusted(&schedule, "first", end));
    }

    #[test]
    fn the_next_key_signs_at_once_when_a_key_is_revoked() {
        let mut schedule = schedule_of(&[("first", 0), ("second", 1000)]);
        schedule.revoke(|key| *key == "first", |_| true, 2000);
        assert!(!is_trusted(&schedule, "first", 0), "by any clock");
        assert_eq!(signers(&schedule, 2000), ["second"]);
        assert_eq!(signers(&schedule, 1_000_000), ["second"], "its end is open");
    }

    #[test]
    fn keys_missing_from_the_secret_are_not_promoted() {
        let mut schedule = schedule_of(&[("first", 0), ("second", 1000), ("lost", 2000)]);
        schedule.revoke(|key| *key == "first", |key| *key != "lost", 3000);
        assert_eq!(signers(&schedule, 3000), ["second"]);
    }

    #[test]
    fn a_lost_successor_retires_no_key() {
        let mut schedule = schedule_of(&[("first", 0), ("lost", 1000)]);
        let activation = 1000 + LEAD;
        assert!(signers(&schedule, activation + FALLBACK_WINDOW + 1).iter().all(|key| *key == "lost"));
        schedule.activate_pending(|key| *key != "lost", activation + 600, LEAD);
        assert_eq!(
            schedule.eligible_signers(1_000_000).filter(|key| **key != "lost").count(),
            1,
            "the first signs on"
        );
        schedule.publish("third", activation + 700);
        schedule.activate_pending(|key| *key != "lost", activation + 700, LEAD);
        for now in [activation + 700, activation + FALLBACK_WINDOW + 1, activation + 700 + LEAD, 1_000_000] {
            assert!(schedule.eligible_signers(now).any(|key| *key != "lost"), "{now}");
        }
    }

    #[test]
    fn a_retired_key_never_signs_again() {
        let mut schedule = schedule_of(&[("first", 0), ("second", 1000)]);
        schedule.revoke(|key| *key == "second", |_| true, 1_000_000);
        assert!(signers(&schedule, 1_000_000).is_empty() && !is_trusted(&schedule, "first", 1_000_000));
    }

    #[test]
    fn the_previous_key_keeps_signing_when_its_successor_is_revoked() {
        let mut schedule = schedule_of(&[("first", 0), ("second", 1000)]);
        schedule.revoke(|key| *key == "second", |_| true, 2000);
        assert_eq!(signers(&schedule, 1_000_000), ["first"]);
        schedule.publish("third", 3000);
        schedule.activate_pending(|_| true, 3000, LEAD);
        assert_eq!(schedule.iter().count(), 3, "the revoked one is remembered");
        schedule.publish("fourth", 3000 + REMEMBERED);
        schedule.activate_pending(|_| true, 3000 + REMEMBERED, LEAD);
        assert!(schedule.iter().all(|scheduled| scheduled.key != "second"), "but not for ever");
    }

    #[test]
    fn no_key_signs_when_the_only_one_is_revoked() {
        let mut schedule = schedule_of(&[("only", 0)]);
        schedule.revoke(|key| *key == "only", |_| true, 1000);
        assert!(signers(&schedule, 1000).is_empty());
    }

    /// A change to the schedule.
    #[derive(Clone, Copy, Debug)]
    enum Change {
        Rotate { lead: u64 },
        Revoke { back: usize },
    }

    fn changes() -> impl Strategy<Value = Vec<(u64, Change)>> {
        let change = prop_oneof![
            3 => (0_u64..20_000).prop_map(|lead| Change::Rotate { lead }),
            1 => (0_usize..3).prop_map(|back| Change::Revoke { back }),
        ];
        proptest::collection::vec((0_u64..100_000, change), 1..10)
    }

    /// Applies a change at its time. The keys are numbers in the order of their creation.
    fn make(schedule: &mut KeySchedule<usize>, next: &mut usize, change: Change, now: u64) {
        match change {
            Change::Rotate { lead } => {
                schedule.publish(*next, now);
                schedule.activate_pending(|_| true, now, lead);
                *next += 1;
            }
            Change::Revoke { back } => {
                let ended = next.saturating_sub(1 + back);
                schedule.revoke(|key| *key == ended, |_| true, now);
            }
        }
    }

    proptest! {
        /// A repeated rotation or revocation changes nothing. A rotation may be repeated after the clock was set back.
        #[test]
        fn a_repeated_change_has_no_effect(changes in changes(), back in 0_u64..90) {
            let (mut schedule, mut next, mut now) = (KeySchedule::default(), 0, 1000);
            for (pause, change) in changes {
                now += pause;
                make(&mut schedule, &mut next, change, now);
                let mut again = schedule.clone();
                match change {
                    Change::Rotate { lead } => again.activate_pending(|_| true, now - back, lead),
                    Change::Revoke { back: which } => {
                        let ended = next.saturating_sub(1 + which);
                        again.revoke(|key| *key == ended, |_| true, now);
                    }
                }
                prop_assert!(again == schedule);
            }
        }

        /// The times of a key are ordered, keys are in the order of their creation, and a successor was published
        /// `lead` seconds before it became active.
        #[test]
        fn the_times_of_keys_are_ordered(changes in changes(), probe in 0_u64..400_000) {
            let (mut schedule, mut next, mut now) = (KeySchedule::default(), 0, 1000);
            for (pause, change) in changes {
                now += pause;
                let signed = schedule.eligible_signers(now).next().is_some();
                make(&mut schedule, &mut next, change, now);
                if let (true, Change::Rotate { lead }) = (signed, change) {
                    let newest = schedule.iter().last().unwrap();
                    prop_assert_eq!(newest.signs_from, Some(now + lead));
                }
                prop_assert!(schedule.iter().map(|scheduled| scheduled.key).is_sorted());
                for scheduled in schedule.iter() {
                    let signs_from = scheduled.signs_from.unwrap_or(scheduled.published_at);
                    prop_assert!(scheduled.published_at <= signs_from);
                    // A key that is revoked while pending never becomes active.
                    let lives_on = scheduled.retires_at.is_none_or(|end| signs_from + MAX_TOKEN_ACCEPTANCE <= end);
                    prop_assert!(scheduled.revoked || lives_on);
                }
                let open = schedule.iter().filter(|scheduled| !scheduled.revoked && scheduled.retires_at.is_none());
                prop_assert!(open.count() <= 1);
            }
            // At any time, the keys that may sign are trusted, not revoked, and ordered from the newest.
            let signing: Vec<_> = schedule.eligible_signers(now + probe).copied().collect();
            prop_assert!(signing.iter().rev().is_sorted());
            for key in &signing {
                let scheduled = schedule.iter().find(|scheduled| scheduled.key == *key).unwrap();
                prop_assert!(scheduled.is_trusted(now + probe) && !scheduled.is_pending(now + probe));
            }
        }

        /// After any rotations and revocations, with any clocks: if an available key is left, one can sign, its
        /// publication is in the past, and it stays trusted for the lifetime of its tokens. A revoked key stays
        /// revoked.
        #[test]
        fn a_trusted_key_always_signs(
            events in proptest::collection::vec(
                (0_u64..200_000, -90_i64..90, 0_u64..20_000, any::<(bool, bool)>(), 0_usize..12),
                1..12,
            ),
            probe in 90_u64..400_000,
        ) {
            let (mut schedule, mut clock, mut lost, mut revoked) = (KeySchedule::default(), 1000, Vec::new(), Vec::new());
            for (index, (pause, skew, lead, (finishes, rolled_back), ended)) in events.into_iter().enumerate() {
                clock += pause;
                let now = clock.saturating_add_signed(skew);
                schedule.publish(index, now);
                if !finishes && index > 0 {
                    lost.push(index);
                } else if rolled_back && index > 0 && !revoked.contains(&(index - 1)) {
                    // The key was scheduled, and then the secret was restored to an older state, while the previous key
                    // is still trusted.
                    schedule.activate_pending(|key| !lost.contains(key), now, lead);
                    lost.push(index);
                    clock += pause % (OVERLAP - 100);
                    schedule.activate_pending(|key| !lost.contains(key), clock, lead);
                } else {
                    schedule.activate_pending(|key| !lost.contains(key), now, lead);
                }
                // Revokes a key now and then, but never the last available one.
                let left = |key: &usize| *key != ended && !lost.contains(key) && !revoked.contains(key);
                let goes_on = schedule.iter().any(|scheduled| left(&scheduled.key) && scheduled.is_trusted(now));
                if goes_on && schedule.iter().any(|scheduled| scheduled.key == ended) {
                    let now = clock.saturating_add_signed(-skew);
                    schedule.revoke(|key| *key == ended, |key| !lost.contains(key), now);
                    revoked.push(ended);
                }
                prop_assert!(schedule.iter().all(|scheduled| !revoked.contains(&scheduled.key) || scheduled.revoked));
            }
            let then = clock + probe;
            let signing: Vec<_> = schedule.eligible_signers(then).filter(|key| !lost.contains(key)).collect();
            prop_assert!(!signing.is_empty());
            for key in signing {
                let scheduled = schedule.iter().find(|scheduled| scheduled.key == *key).unwrap();
                prop_assert!(scheduled.signs_from.unwrap() <= then && scheduled.published_at <= then);
                prop_assert!(scheduled.is_trusted(then + MAX_ACCESS_TOKEN_TTL + LEEWAY - 1));
            }
        }
    }
}
