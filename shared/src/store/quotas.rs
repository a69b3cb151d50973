//! How much somebody has had lately of what there is only so much of.

use aws_sdk_dynamodb::types::AttributeValue;

use super::clients::Quota;
use super::table::{Key, OLD_ITEM, StoreError, Table, condition_failed};

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
    /// no other came between.
    pub async fn charge(&self, name: &str, id: &str, quota: Quota, now: u64) -> Result<Charge, StoreError> {
        let seconds = quota.seconds.max(1);
        let start = now - now % seconds;
        let me = AttributeValue::S(id.to_owned());
        let number = |number: u64| AttributeValue::N(number.to_string());
        let update = self
            .table
            .update(Key::new(self.prefix, name, format!("WINDOW#{start}")))?
            .update_expression("SET counted_by = :me, expires_at = :end ADD issued :one")
            .condition_expression("attribute_not_exists(pk) OR (issued < :limit AND counted_by <> :me)")
            .return_values_on_condition_check_failure(OLD_ITEM)
            .expression_attribute_values(":me", me.clone())
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":limit", number(quota.tokens))
            .expression_attribute_values(":end", number(start.saturating_add(seconds)));
        match update.send().await {
            Ok(_) => Ok(Charge::Counted),
            Err(error) => match condition_failed(error)? {
                Some(item) if item.get("counted_by") == Some(&me) => Ok(Charge::Counted),
                _ => Ok(Charge::Spent(seconds - now % seconds)),
            },
        }
    }
}
