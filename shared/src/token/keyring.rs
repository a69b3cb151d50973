//! The timeline of signing keys, as pure rules.
//!
//! A key is published, later signs, and later still retires. Each time is set once, ahead of time, so
//! that every instance that holds the timeline switches at the same second and no second step can fail.

use serde::{Deserialize, Serialize};

use super::jwt::LEEWAY;
use crate::config::MAX_ACCESS_TOKEN_TTL;

/// How long an instance that can't get at a key whose turn it is may go on signing with the one before, in
/// seconds.
pub const HANDOVER: u64 = 3600;

/// The longest that a token is accepted for after it was signed, in seconds.
const LAST_TOKEN: u64 = MAX_ACCESS_TOKEN_TTL + LEEWAY;

/// How long a key stays trusted after its successor's turn has come, in seconds. Invariant: no token
/// outlives the key that signed it.
const OVERLAP: u64 = HANDOVER + LAST_TOKEN;

/// A key and its three times, in seconds since 1970.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timed<K> {
    /// The key.
    #[serde(flatten)]
    pub key: K,
    /// From when verifiers are told of it.
    pub published_at: u64,
    /// From when it signs.
    pub signs_from: u64,
    /// From when nothing that it signed is accepted; open until a successor is known.
    pub retires_at: Option<u64>,
}

impl<K> Timed<K> {
    fn has_retired(&self, now: u64) -> bool {
        self.retires_at.is_some_and(|retires_at| retires_at <= now)
    }

    /// Whether a token that the key signed may be accepted.
    pub fn is_trusted(&self, now: u64) -> bool {
        self.published_at <= now && !self.has_retired(now)
    }

    /// Whether it may sign: its turn has come, and it will be trusted for as long as what it signs lives.
    fn may_sign(&self, now: u64) -> bool {
        self.signs_from <= now
            && self.is_trusted(now)
            && self.retires_at.is_none_or(|retires_at| now.saturating_add(LAST_TOKEN) <= retires_at)
    }

    /// The same times for another form of the key.
    pub fn map<L>(&self, form: impl FnOnce(&K) -> L) -> Timed<L> {
        Timed {
            key: form(&self.key),
            published_at: self.published_at,
            signs_from: self.signs_from,
            retires_at: self.retires_at,
        }
    }
}

/// Keys in the order in which they were made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Keyring<K>(Vec<Timed<K>>);

impl<K> Default for Keyring<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K> Keyring<K> {
    /// The keys that may sign now. The first is the one whose turn it is, the newest; the others are for
    /// whoever can't get at it.
    pub fn signing(&self, now: u64) -> impl Iterator<Item = &K> {
        self.0.iter().rev().filter(move |timed| timed.may_sign(now)).map(|timed| &timed.key)
    }

    /// All keys with their times.
    pub fn iter(&self) -> impl Iterator<Item = &Timed<K>> {
        self.0.iter()
    }

    /// Appends a key that signs from then on, but not before it is published: now. Its predecessors' ends
    /// are set, and those that have retired are dropped.
    pub fn append(&mut self, key: K, now: u64, signs_from: u64) {
        self.0.retain(|timed| !timed.has_retired(now));
        self.0.push(Timed { key, published_at: now, signs_from: signs_from.max(now), retires_at: None });
        self.settle();
    }

    /// Ends a key now, whatever it has signed. If no other may sign, those that wait for their turn have it
    /// now.
    pub fn revoke(&mut self, now: u64, is_it: impl Fn(&K) -> bool) {
        self.0.retain(|timed| !timed.has_retired(now));
        let (revoked, mut left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.0).into_iter().partition(|timed| is_it(&timed.key));
        if !left.iter().any(|timed| timed.may_sign(now)) {
            for timed in &mut left {
                timed.signs_from = timed.signs_from.min(now);
            }
        }
        self.0 = left;
        self.settle();
        let end = |timed: Timed<K>| Timed { retires_at: Some(now), ..timed };
        self.0.splice(0..0, revoked.into_iter().map(end));
    }

    /// Sets when each key retires: when nobody signs with it any more and its last token has expired. That
    /// of the last one is open.
    fn settle(&mut self) {
        let mut next: Option<u64> = None;
        for timed in self.0.iter_mut().rev() {
            // One that is overtaken before its turn may still sign where the older timeline is cached.
            timed.retires_at = next.map(|next| next.max(timed.signs_from).saturating_add(OVERLAP));
            next = Some(timed.signs_from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LEAD: u64 = 4 * 3600;

    fn ring(keys: &[(&'static str, u64, u64)]) -> Keyring<&'static str> {
        let mut ring = Keyring::default();
        for (key, now, signs_from) in keys {
            ring.append(*key, *now, *signs_from);
        }
        ring
    }

    fn signer(ring: &Keyring<&'static str>, now: u64) -> Option<&'static str> {
        ring.signing(now).next().copied()
    }

    fn is_trusted(ring: &Keyring<&'static str>, key: &str, now: u64) -> bool {
        ring.iter().any(|timed| timed.key == key && timed.is_trusted(now))
    }

    #[test]
    fn the_first_key_signs_when_it_is_published_and_not_before() {
        let ring = ring(&[("first", 100, 0)]);
        assert_eq!(signer(&ring, 99), None);
        assert_eq!(signer(&ring, 100), Some("first"));
    }

    #[test]
    fn a_successor_is_published_at_once_and_signs_after_the_lead() {
        let ring = ring(&[("first", 0, 0), ("second", 1000, 1000 + LEAD)]);
        assert!(ring.iter().all(|timed| timed.is_trusted(1000)));
        assert_eq!(signer(&ring, 1000 + LEAD - 1), Some("first"));
        assert_eq!(signer(&ring, 1000 + LEAD), Some("second"));
    }

    #[test]
    fn the_one_before_may_sign_for_the_handover_and_retires_when_its_last_token_has_expired() {
        let ring = ring(&[("first", 0, 0), ("second", 1000, 1000 + LEAD)]);
        let last = 1000 + LEAD + HANDOVER;
        assert_eq!(ring.signing(last).collect::<Vec<_>>(), [&"second", &"first"]);
        assert_eq!(ring.signing(last + 1).collect::<Vec<_>>(), [&"second"]);
        let end = last + MAX_ACCESS_TOKEN_TTL + LEEWAY;
        assert!(is_trusted(&ring, "first", end - 1));
        assert!(!is_trusted(&ring, "first", end));
    }

    #[test]
    fn a_revoked_key_is_trusted_no_more_and_whoever_waited_takes_over() {
        let mut ring = ring(&[("first", 0, 0), ("second", 1000, 1000 + LEAD)]);
        ring.revoke(2000, |key| *key == "first");
        assert!(!is_trusted(&ring, "first", 2000));
        assert_eq!(signer(&ring, 2000), Some("second"));
        assert_eq!(ring.signing(1_000_000).collect::<Vec<_>>(), [&"second"], "its end is open");
    }

    #[test]
    fn a_revoked_successor_leaves_the_one_before_in_its_place() {
        let mut ring = ring(&[("first", 0, 0), ("second", 1000, 1000 + LEAD)]);
        ring.revoke(2000, |key| *key == "second");
        assert_eq!(ring.signing(1_000_000).collect::<Vec<_>>(), [&"first"]);
        ring.append("third", 3000, 3000 + LEAD);
        assert_eq!(ring.iter().count(), 2, "the revoked one is dropped");
    }

    #[test]
    fn without_another_key_nobody_signs() {
        let mut ring = ring(&[("only", 0, 0)]);
        ring.revoke(1000, |key| *key == "only");
        assert_eq!(signer(&ring, 1000), None);
    }

    proptest! {
        /// Whatever the rotations and revocations, as long as a key is left there is one that signs, everyone
        /// has heard of it, and it is trusted for as long as what it signs may live.
        #[test]
        fn there_is_always_a_good_key(
            events in proptest::collection::vec((0_u64..200_000, 0_u64..20_000, 0_usize..12), 1..12),
            probe in 0_u64..400_000,
        ) {
            let (mut ring, mut now) = (Keyring::default(), 0);
            for (index, (pause, lead, revoked)) in events.into_iter().enumerate() {
                now += pause;
                let signs_from = if ring.signing(now).next().is_some() { now + lead } else { now };
                ring.append(index, now, signs_from);
                // A revocation now and then, but never of the last.
                if ring.iter().filter(|timed| timed.is_trusted(now)).count() > 1 {
                    ring.revoke(now, |key| *key == revoked);
                    prop_assert!(!ring.iter().any(|timed| timed.key == revoked && timed.is_trusted(now)));
                }
            }
            let then = now + probe;
            let signing = ring.signing(then).next().copied();
            prop_assert!(signing.is_some());
            for key in ring.signing(then) {
                let timed = ring.iter().find(|timed| timed.key == *key).unwrap();
                prop_assert!(timed.published_at <= timed.signs_from && timed.signs_from <= then);
                prop_assert!(timed.is_trusted(then + MAX_ACCESS_TOKEN_TTL + LEEWAY - 1));
            }
        }
    }
}
