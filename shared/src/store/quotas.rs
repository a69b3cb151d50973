//! How much somebody has had lately of what there is only so much of.

use aws_sdk_dynamodb::types::AttributeValue;

use super::clients::Quota;
use super::table::{Item, Key, OLD_ITEM, StoreError, Table, condition_failed};

/// What was counted lately, in three sets that take turns: one is filled, the one before waits for retries,
/// and the one that comes next is emptied, so that an item stays small.
const COUNTED: [&str; 3] = ["counted_0", "counted_1", "counted_2"];

/// How long a turn is, in seconds: for so long at least is remembered what was counted. Invariant: longer
/// than a write takes with its retries.
const TURN: u64 = 4;

/// The counters in the table.
#[derive(Clone)]
pub struct Quotas {
    table: Table,
    prefix: &'static str,
}

/// What came of asking for one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// It was counted.
    Counted,
    /// There is none left for so many seconds.
    Spent(u64),
}

impl Quotas {
    /// Of the tokens that a client gets.
    pub fn of_tokens(table: Table) -> Self {
        Self { table, prefix: "ATTEMPT#quota#" }
    }

    /// Of the revocations that are kept for a subject.
    pub fn of_revocations(table: Table) -> Self {
        Self { table, prefix: "ATTEMPT#revocations#" }
    }

    /// Counts one thing, by its id: one write. The same thing again, as a retry has it, is not counted again while
    /// it is remembered.
    pub async fn charge(&self, name: &str, id: &str, quota: Quota, now: u64) -> Result<Charge, StoreError> {
        let seconds = quota.seconds.max(1);
        let start = now - now % seconds;
        let number = |number: u64| AttributeValue::N(number.to_string());
        let update = self
            .table
            .update(Key::new(self.prefix, name, format!("WINDOW#{start}")))?
            .update_expression("SET expires_at = :end ADD issued :one, #this :ids REMOVE #next")
            .condition_expression(
                "attribute_not_exists(pk) OR (issued < :limit AND NOT contains(counted_0, :id) \
                 AND NOT contains(counted_1, :id) AND NOT contains(counted_2, :id))",
            )
            .return_values_on_condition_check_failure(OLD_ITEM)
            .expression_attribute_names("#this", counted_in(now))
            .expression_attribute_names("#next", counted_in(now + TURN))
            .expression_attribute_values(":id", AttributeValue::S(id.to_owned()))
            .expression_attribute_values(":ids", AttributeValue::Ss(vec![id.to_owned()]))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":limit", number(quota.tokens))
            .expression_attribute_values(":end", number(start.saturating_add(seconds)));
        match update.send().await {
            Ok(_) => Ok(Charge::Counted),
            Err(error) => match condition_failed(error)? {
                Some(item) if COUNTED.iter().any(|set| holds(&item, set, id)) => Ok(Charge::Counted),
                _ => Ok(Charge::Spent(seconds - now % seconds)),
            },
        }
    }
}

/// The set that is filled then.
fn counted_in(now: u64) -> &'static str {
    match now / TURN % 3 {
        0 => COUNTED[0],
        1 => COUNTED[1],
        _ => COUNTED[2],
    }
}

fn holds(item: &Item, set: &str, id: &str) -> bool {
    let ids = item.get(set).and_then(|set| set.as_ss().ok());
    ids.is_some_and(|ids| ids.iter().any(|held| held == id))
}
