//! The replay store: single use of tokens by their `jti`.

use serde::Serialize;

use crate::identity::secrets::random_id;
use crate::store::table::{Key, StoreError, Table};

/// Prefix of the partition key.
const PREFIX: &str = "JTI#";
const SEEN: &str = "SEEN";

#[derive(Serialize)]
struct Mark {
    /// The writer of the item, by which a retry of an applied write recognizes its item.
    seen_by: String,
    /// When the token has expired, in seconds since 1970, and DynamoDB may delete the item.
    expires_at: u64,
}

/// The used tokens in the table.
#[derive(Clone)]
pub struct ReplayStore(Table);

impl ReplayStore {
    /// The used tokens of this table.
    pub fn new(table: Table) -> Self {
        Self(table)
    }

    /// Records the use of a token of this issuer, and returns whether it is the first one. Invariant: the caller
    /// rejects the token from `expires_at` on.
    pub async fn record_first_use(
        &self,
        issuer: &str,
        token_id: &str,
        expires_at: u64,
    ) -> Result<bool, StoreError> {
        let mark = Mark { seen_by: random_id(""), expires_at };
        match self.0.create(Key::new(PREFIX, &format!("{issuer}#{token_id}"), SEEN), &mark, None).await {
            Ok(()) => Ok(true),
            Err(StoreError::Exists) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
