//! Fixed-window rate limits: tokens of a client, and stored revocations of a subject.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use aws_lc_rs::rand;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::store::clients::Quota;
use crate::store::table::{CONDITION_FAILED_ITEM, Item, Key, StoreError, Table, condition_failed};

/// Slots of a counter. A writer puts the last counted id into its slot, so that a retry is recognized. Invariants: with
/// all slots in use, a counter is smaller than 1 KB, which is one write unit. A client has fewer concurrent writers
/// than slots, because two writers that share a slot may count an id twice after a lost response.
const SLOTS: usize = 24;

/// The limit is not reached, and no slot has the id. The text is the same for every charge.
static CONDITION: LazyLock<String> = LazyLock::new(|| {
    let is_held: Vec<_> = (0..=SLOTS).map(|slot| format!("{} = :id", attribute(slot))).collect();
    format!("attribute_not_exists(pk) OR (issued < :limit AND NOT ({}))", is_held.join(" OR "))
});

/// The counters in the table.
#[derive(Clone)]
pub struct RateLimits {
    table: Table,
    prefix: &'static str,
    slots: Arc<Slots>,
}

/// The result of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// Counted.
    Allowed,
    /// The limit is reached for this number of seconds.
    Exceeded(u64),
}

impl RateLimits {
    /// The token quotas of clients.
    pub fn for_tokens(table: Table) -> Self {
        Self { table, prefix: "ATTEMPT#quota#", slots: Arc::default() }
    }

    /// The limits on stored revocations of a subject.
    pub fn for_revocations(table: Table) -> Self {
        Self { table, prefix: "ATTEMPT#revocations#", slots: Arc::default() }
    }

    /// Counts one use by its id, with one write of one unit. A retry with the same id is not counted again until the
    /// writer has counted another id.
    pub async fn charge(&self, name: &str, id: &str, quota: Quota, now: u64) -> Result<Charge, StoreError> {
        let seconds = quota.seconds.max(1);
        let start = now - now % seconds;
        let number = |number: u64| AttributeValue::N(number.to_string());
        let slot = self.slots.take();
        let update = self
            .table
            .update(Key::new(self.prefix, name, format!("WINDOW#{start}")))?
            .update_expression("SET expires_at = :end, #slot = :id ADD issued :one")
            .condition_expression(&*CONDITION)
            .return_values_on_condition_check_failure(CONDITION_FAILED_ITEM)
            .expression_attribute_names("#slot", attribute(slot.0))
            .expression_attribute_values(":id", AttributeValue::S(id.to_owned()))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":limit", number(quota.tokens))
            .expression_attribute_values(":end", number(start.saturating_add(seconds)));
        match update.send().await {
            Ok(_) => Ok(Charge::Allowed),
            Err(error) => match condition_failed(error)? {
                Some(item) if (0..=SLOTS).any(|slot| holds(&item, slot, id)) => Ok(Charge::Allowed),
                _ => Ok(Charge::Exceeded(seconds - now % seconds)),
            },
        }
    }
}

/// The attribute of a slot.
fn attribute(slot: usize) -> String {
    format!("slot_{slot}")
}

fn holds(item: &Item, slot: usize, id: &str) -> bool {
    item.get(&attribute(slot)).and_then(|held| held.as_s().ok()).is_some_and(|held| held == id)
}

/// The slots that this process does not use at the moment. A function on Lambda handles one request at a time and
/// always uses the same slot.
struct Slots(Mutex<Vec<usize>>);

impl Default for Slots {
    fn default() -> Self {
        // Each process starts at a random slot, so that few processes share one.
        let mut random = [0];
        let first = rand::fill(&mut random).map_or(0, |()| usize::from(random[0]));
        Self(Mutex::new((first..first + SLOTS).map(|slot| slot % SLOTS).collect()))
    }
}

impl Slots {
    /// Takes a slot for one write. Writers without a free slot share an additional one.
    fn take(&self) -> Slot<'_> {
        let slot = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Slot(slot.unwrap_or(SLOTS), self)
    }
}

/// A slot in use.
struct Slot<'a>(usize, &'a Slots);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let Self(slot, slots) = self;
        if *slot < SLOTS {
            slots.0.lock().unwrap_or_else(PoisonError::into_inner).push(*slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concurrent_writers_use_separate_slots() {
        let slots = Slots::default();
        let first = slots.take().0;
        assert_eq!(slots.take().0, first, "one after the other have the same");
        let taken: Vec<_> = (0..SLOTS).map(|_| slots.take()).collect();
        let mut numbers: Vec<_> = taken.iter().map(|slot| slot.0).collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..SLOTS));
        assert_eq!(slots.take().0, SLOTS);
        drop(taken);
        assert!(slots.take().0 < SLOTS);
    }
}
