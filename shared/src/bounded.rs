//! What was found lately, in a map that can't grow beyond what its owner allows.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A map of at most `CAPACITY` entries. When it is full it is emptied: whoever asks finds anew what they need.
pub struct Bounded<K, V, const CAPACITY: usize>(Mutex<HashMap<K, V>>);

impl<K: Eq + Hash, V: Clone, const CAPACITY: usize> Bounded<K, V, CAPACITY> {
    /// What stands there.
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.map().get(key).cloned()
    }

    /// Puts something there.
    pub fn insert(&self, key: K, value: V) {
        let mut map = self.map();
        make_room::<K, V, CAPACITY>(&mut map);
        map.insert(key, value);
    }

    /// What stands there, or is put there now: whoever asks at the same time gets the same.
    pub fn get_or_insert_with(&self, key: K, make: impl FnOnce() -> V) -> V {
        let mut map = self.map();
        if let Some(value) = map.get(&key) {
            return value.clone();
        }
        make_room::<K, V, CAPACITY>(&mut map);
        map.entry(key).or_insert_with(make).clone()
    }

    fn map(&self) -> MutexGuard<'_, HashMap<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_room<K, V, const CAPACITY: usize>(map: &mut HashMap<K, V>) {
    if map.len() >= CAPACITY {
        map.clear();
    }
}

impl<K, V, const CAPACITY: usize> Default for Bounded<K, V, CAPACITY> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_flood_fills_it() {
        let bounded = Bounded::<usize, String, 16>::default();
        for number in 0..1000 {
            bounded.insert(number, number.to_string());
            assert_eq!(bounded.get(&number), Some(number.to_string()));
            assert!(bounded.map().len() <= 16);
        }
        assert_eq!(bounded.get(&0), None);
        for number in 2000..3000 {
            let made = bounded.get_or_insert_with(number, || number.to_string());
            assert_eq!(bounded.get_or_insert_with(number, || unreachable!()), made);
            assert!(bounded.map().len() <= 16);
        }
    }
}
