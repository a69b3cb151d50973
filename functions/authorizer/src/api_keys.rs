//! API keys as a warm function knows them.

use shared::identity::secrets::SecretDigest;
use shared::runtime::bounded::{BoundedMap, bounded_map};
use shared::store::api_keys::{ApiKey, ApiKeys};
use shared::store::table::StoreError;

/// Keys held at once. Invariant: a few hundred bytes each, so that no flood of keys takes the memory.
const CAPACITY: usize = 1024;

/// How long a key that was good is not read again, in seconds. Nothing about a key changes but that it is
/// revoked, and that the trust bundle tells. Invariant: shorter than a revocation stays in the bundle, and so is
/// twice as long: that is how long it may be while the clock is set back.
const KEPT_FOR: u64 = 3600;

#[derive(Clone)]
struct Held {
    api_key: ApiKey,
    read_at: u64,
}

/// The keys that were read lately, by their digest.
pub struct ApiKeyCache {
    store: ApiKeys,
    held: BoundedMap<SecretDigest, Held>,
}

impl ApiKeyCache {
    /// An empty cache.
    pub fn new(store: ApiKeys) -> Self {
        Self { store, held: bounded_map(CAPACITY) }
    }

    /// The key with that digest, as it was at most an hour ago. Whether it was revoked since is for the
    /// trust bundle to say.
    pub async fn get(&self, digest: &SecretDigest, now: u64) -> Result<Option<ApiKey>, StoreError> {
        let held = self.held.get(digest).filter(|held| now.abs_diff(held.read_at) < KEPT_FOR);
        if let Some(Held { api_key, .. }) = held {
            return Ok(Some(api_key));
        }
        let found = self.store.get(digest).await?;
        if let Some(api_key) = &found {
            self.held.insert(digest.clone(), Held { api_key: api_key.clone(), read_at: now });
        }
        Ok(found)
    }
}
