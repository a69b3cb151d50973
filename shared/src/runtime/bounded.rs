//! Maps of bounded size. A full map evicts one entry for each new one, and keeps frequently used entries.

use std::hash::Hash;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, UnitWeighter};

/// A map with a fixed capacity.
pub type BoundedMap<K, V> = Cache<K, V>;

/// An empty map of at most `capacity` entries.
///
/// It has one shard, because a function handles one call at a time. By default the library asks the operating system
/// for the number of processors, which slows down a cold start.
pub fn bounded_map<K: Eq + Hash, V: Clone>(capacity: usize) -> BoundedMap<K, V> {
    let options = OptionsBuilder::new()
        .shards(1)
        .estimated_items_capacity(capacity)
        .weight_capacity(capacity as u64)
        .build()
        .expect("both capacities are set");
    Cache::with_options(options, UnitWeighter, DefaultHashBuilder::default(), DefaultLifecycle::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPACITY: usize = 16;

    #[test]
    fn capacity_is_bounded() {
        let map = bounded_map(CAPACITY);
        for number in 0..1000 {
            map.insert(number, number);
            assert_eq!(map.get(&number), Some(number));
            assert!(map.len() <= CAPACITY);
        }
    }

    #[test]
    fn a_full_map_evicts_one_entry_for_a_new_one() {
        let map = bounded_map(CAPACITY);
        for number in 0..=CAPACITY {
            map.insert(number, number);
        }
        assert_eq!(map.len(), CAPACITY);
        assert_eq!(map.get(&CAPACITY), Some(CAPACITY));
    }

    #[test]
    fn entries_in_use_outlive_a_flood_of_others() {
        let map = bounded_map(CAPACITY);
        let in_use = 0..CAPACITY / 2;
        for number in in_use.clone() {
            map.insert(number, number);
        }
        for number in 1000..2000 {
            map.insert(number, number);
            assert!(in_use.clone().all(|number| map.get(&number).is_some()), "after {number}");
        }
    }
}
