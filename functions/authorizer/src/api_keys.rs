//! A cache of API keys.

use shared::identity::secrets::SecretDigest;
use shared::runtime::bounded::{BoundedMap, bounded_map};
use shared::store::api_keys::{ApiKey, ApiKeys};
use shared::store::table::StoreError;

/// The most entries. Invariant: an entry has a few hundred bytes, so a flood of keys can't fill the memory.
const CAPACITY: usize = 1024;

/// How long an entry is fresh, in seconds. An API key never changes except that it is revoked, and the trust snapshot
/// holds revocations. Invariant: a revocation stays in the snapshot longer than twice this time, because an entry can
/// be fresh for twice this time if the clock is set back.
const FRESH_FOR: u64 = 3600;

#[derive(Clone)]
struct CachedApiKey {
    api_key: ApiKey,
    loaded_at: u64,
}

/// The API keys that were found in the store, by their digest.
pub struct ApiKeyCache {
    store: ApiKeys,
    entries: BoundedMap<SecretDigest, CachedApiKey>,
}

impl ApiKeyCache {
    /// An empty cache.
    pub fn new(store: ApiKeys) -> Self {
        Self { store, entries: bounded_map(CAPACITY) }
    }

    /// The API key with that digest, at most an hour old. The trust snapshot says whether it was revoked since.
    pub async fn get(&self, digest: &SecretDigest, now: u64) -> Result<Option<ApiKey>, StoreError> {
        let entry = self.entries.get(digest).filter(|entry| now.abs_diff(entry.loaded_at) < FRESH_FOR);
        if let Some(CachedApiKey { api_key, .. }) = entry {
            return Ok(Some(api_key));
        }
        let found = self.store.get(digest).await?;
        if let Some(api_key) = &found {
            self.entries.insert(digest.clone(), CachedApiKey { api_key: api_key.clone(), loaded_at: now });
        }
        Ok(found)
    }
}
