//! Tokens that are good once, and were seen.

use serde::Serialize;

use crate::identity::secrets::random_id;
use crate::store::table::{Key, StoreError, Table};

/// The prefix of their keys.
const PREFIX: &str = "JTI#";
const SEEN: &str = "SEEN";

#[derive(Serialize)]
struct Mark {
    /// Who saw it: a retry of a write that was applied knows its own mark.
    seen_by: String,
    /// When the token is refused at any rate, in seconds since 1970: DynamoDB may drop the item then.
    expires_at: u64,
}

/// The tokens in the table.
#[derive(Clone)]
pub struct ReplayStore(Table);

impl ReplayStore {
    /// In this table.
    pub fn new(table: Table) -> Self {
        Self(table)
    }

    /// Notes a token of this issuer and says whether it is seen for the first time. Invariant: whoever
    /// asks refuses the token from `expires_at` on.
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
