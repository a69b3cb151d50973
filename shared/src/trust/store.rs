//! The trust partition of the table: published keys and revocations.

use crate::store::table::{StoreError, Table};
use crate::trust::access_token::AccessClaims;
use crate::trust::published_keys::PublishedKeys;
use crate::trust::snapshot::TrustSnapshot;

/// Partition of the published keys and revocations.
pub(super) const PARTITION: &str = "TRUST";

/// The published keys and revocations in the table.
#[derive(Clone)]
pub struct TrustStore(pub(super) Table);

impl TrustStore {
    /// The published keys and revocations of this table.
    pub fn new(table: Table) -> Self {
        Self(table)
    }

    /// Reads the snapshot. Its read units grow with the number of revocations.
    pub async fn snapshot(&self, now: u64) -> Result<TrustSnapshot, StoreError> {
        TrustSnapshot::read(self.0.partition(PARTITION).await?, now)
    }

    /// Reads the keys, and the few revocations that can apply to this token.
    pub async fn snapshot_for(&self, claims: &AccessClaims, now: u64) -> Result<TrustSnapshot, StoreError> {
        let keys = self.0.get_item(PublishedKeys::key());
        let (keys, revocations) = tokio::try_join!(keys, self.revocations_of(claims))?;
        TrustSnapshot::read(keys.into_iter().chain(revocations), now)
    }
}
