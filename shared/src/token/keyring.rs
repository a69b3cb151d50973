//! The timeline of signing keys, as pure rules.
//!
//! A key is published, later signs, and later still retires. Each time is set once, ahead of time, so
//! that every instance that holds the ring switches at the same second and no second step can fail.

use serde::{Deserialize, Serialize};

use super::jwt::LEEWAY;
use crate::config::MAX_ACCESS_TOKEN_TTL;

/// How long a key stays trusted after its successor began to sign, in seconds. Invariant: no token
/// outlives the key that signed it.
const OVERLAP: u64 = MAX_ACCESS_TOKEN_TTL + LEEWAY;

/// A key and its three times, in seconds since 1970.
#[derive(Clone, Serialize, Deserialize)]
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
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Keyring<K>(Vec<Timed<K>>);

impl<K> Default for Keyring<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K> Keyring<K> {
    /// The key that signs now: of those that may, the one made last.
    pub fn signing(&self, now: u64) -> Option<&K> {
        let signing = self.0.iter().rev().find(|timed| timed.signs_from <= now && timed.is_trusted(now));
        signing.map(|timed| &timed.key)
    }

    /// All keys with their times.
    pub fn iter(&self) -> impl Iterator<Item = &Timed<K>> {
        self.0.iter()
    }

    /// Appends a key that signs `lead` seconds from now, sets when its predecessors retire, and drops
    /// those that have. With no key that signs now, the new one signs at once: nobody can be waiting
    /// for a predecessor's tokens.
    pub fn append(&mut self, key: K, now: u64, lead: u64) {
        let signs_from = if self.signing(now).is_some() { now.saturating_add(lead) } else { now };
        self.0.retain(|timed| !timed.has_retired(now));
        for timed in &mut self.0 {
            // One that is overtaken before it signs may still sign where the older ring is cached.
            timed.retires_at.get_or_insert(signs_from.max(timed.signs_from).saturating_add(OVERLAP));
        }
        self.0.push(Timed { key, published_at: now, signs_from, retires_at: None });
    }

    /// The same timeline for another form of the keys.
    pub fn map<L>(&self, form: impl Fn(&K) -> L) -> Keyring<L> {
        Keyring(self.0.iter().map(|timed| timed.map(&form)).collect())
    }

    /// As [`Keyring::map`], where a key may not be convertible.
    pub fn try_map<L, E>(&self, form: impl Fn(&K) -> Result<L, E>) -> Result<Keyring<L>, E> {
        let keys = self.0.iter().map(|timed| {
            let key = form(&timed.key)?;
            Ok(Timed {
                key,
                published_at: timed.published_at,
                signs_from: timed.signs_from,
                retires_at: timed.retires_at,
            })
        });
        keys.collect::<Result<_, E>>().map(Keyring)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LEAD: u64 = 3 * 3600;

    #[test]
    fn the_first_key_signs_at_once() {
        let mut ring = Keyring::default();
        assert_eq!(ring.signing(100), None);
        ring.append("first", 100, LEAD);
        assert_eq!(ring.signing(99), None);
        assert_eq!(ring.signing(100), Some(&"first"));
    }

    #[test]
    fn a_successor_is_published_at_once_and_signs_after_the_lead() {
        let mut ring = Keyring::default();
        ring.append("first", 0, LEAD);
        ring.append("second", 1000, LEAD);
        assert!(ring.iter().all(|timed| timed.is_trusted(1000)));
        assert_eq!(ring.signing(1000 + LEAD - 1), Some(&"first"));
        assert_eq!(ring.signing(1000 + LEAD), Some(&"second"));
    }

    #[test]
    fn a_key_retires_when_its_last_token_has_expired() {
        let mut ring = Keyring::default();
        ring.append("first", 0, LEAD);
        ring.append("second", 1000, LEAD);
        let first = ring.iter().next().unwrap();
        let end = 1000 + LEAD + MAX_ACCESS_TOKEN_TTL + LEEWAY;
        assert!(first.is_trusted(end - 1));
        assert!(!first.is_trusted(end));
    }

    proptest! {
        /// Whatever the rotations, there is always a key that signs, everyone has heard of it, and it
        /// is trusted for as long as what it signs may live.
        #[test]
        fn there_is_always_a_good_key(
            rotations in proptest::collection::vec((0_u64..200_000, 0_u64..20_000), 1..8),
            probe in 0_u64..400_000,
        ) {
            let (mut ring, mut now) = (Keyring::default(), 0);
            for (index, (pause, lead)) in rotations.into_iter().enumerate() {
                now += pause;
                ring.append(index, now, lead);
            }
            let then = now + probe;
            let signing = ring.signing(then).copied();
            prop_assert!(signing.is_some());
            let timed = ring.iter().find(|timed| Some(timed.key) == signing).unwrap();
            prop_assert!(timed.published_at <= timed.signs_from);
            prop_assert!(timed.is_trusted(then + MAX_ACCESS_TOKEN_TTL));
        }
    }
}
