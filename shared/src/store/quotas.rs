//! How many tokens each client has had lately.

use aws_sdk_dynamodb::types::AttributeValue;

use super::clients::Quota;
use super::table::{Key, OLD_ITEM, StoreError, Table, condition_failed};
use crate::identity::secrets::random_id;

/// The prefix of the counters' keys.
const PREFIX: &str = "ATTEMPT#quota#";

/// The counters in the table.
#[derive(Clone)]
pub struct Quotas(Table);

/// What came of asking for one more token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// It was counted.
    Counted,
    /// There is none left for so many seconds.
    Spent(u64),
}

impl Quotas {
    /// In this table.
    pub fn new(table: Table) -> Self {
        Self(table)
    }

    /// Counts one token: one write, whose retry is not counted again while no other came between.
    pub async fn charge(&self, client_id: &str, quota: Quota, now: u64) -> Result<Charge, StoreError> {
        let seconds = quota.seconds.max(1);
        let start = now - now % seconds;
        let me = AttributeValue::S(random_id(""));
        let number = |number: u64| AttributeValue::N(number.to_string());
        let update = self
            .0
            .update(Key::new(PREFIX, client_id, format!("WINDOW#{start}")))?
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
