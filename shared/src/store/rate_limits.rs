//! Quotas: how many tokens a client got, and how many revocations are kept, in a window of time.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use aws_lc_rs::rand;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::store::clients::Quota;
use crate::store::table::{CONDITION_FAILED_ITEM, Item, Key, StoreError, Table, condition_failed};

/// How many slots a counter has. A writer puts the id that it counted last into its slot, so that its retry is
/// recognized. Invariants: with every slot filled a counter is smaller than 1 KB, one write unit. A client keeps fewer
/// writers busy than this: two that share a slot may count one thing twice when an answer is lost.
const SLOTS: usize = 24;

/// There is something left, and no slot holds the id. The same for every charge.
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

/// What came of asking for one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// It was counted.
    Allowed,
    /// There is none left for so many seconds.
    Exceeded(u64),
}

impl RateLimits {
    /// Of the tokens that a client gets.
    pub fn for_tokens(table: Table) -> Self {
        Self { table, prefix: "ATTEMPT#quota#", slots: Arc::default() }
    }

    /// Of the revocations that are kept for a subject.
    pub fn for_revocations(table: Table) -> Self {
        Self { table, prefix: "ATTEMPT#revocations#", slots: Arc::default() }
    }

    /// Counts one thing, by its id: one write of one unit. The same id again, as a retry has it, is not counted again
    /// until the writer that counted it has counted another.
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

/// A slot's attribute.
fn attribute(slot: usize) -> String {
    format!("slot_{slot}")
}

fn holds(item: &Item, slot: usize, id: &str) -> bool {
    item.get(&attribute(slot)).and_then(|held| held.as_s().ok()).is_some_and(|held| held == id)
}

/// The slots that this process does not use at the moment. A function on Lambda does one thing at a time, so it uses
/// one slot for all its life.
struct Slots(Mutex<Vec<usize>>);

impl Default for Slots {
    fn default() -> Self {
        // Each process begins elsewhere, so that few meet.
        let mut random = [0];
        let first = rand::fill(&mut random).map_or(0, |()| usize::from(random[0]));
        Self(Mutex::new((first..first + SLOTS).map(|slot| slot % SLOTS).collect()))
    }
}

impl Slots {
    /// A slot for one write. Those for which none is left share one more.
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
    fn writes_at_the_same_time_have_slots_of_their_own() {
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
