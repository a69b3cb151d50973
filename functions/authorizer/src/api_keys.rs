//! API keys as a warm function knows them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use shared::identity::secrets::SecretDigest;
use shared::store::api_keys::{ApiKey, ApiKeys};
use shared::store::table::StoreError;

/// Keys held at once. Invariant: a few hundred bytes each, so that no flood of keys takes the memory.
const CAPACITY: usize = 1024;

/// How long a key that was good is not read again, in seconds. Nothing about a key changes but that it is
/// revoked, and that the trust bundle tells. Invariant: shorter than a revocation stays in the bundle.
const KEPT_FOR: u64 = 3600;

struct Held {
    api_key: ApiKey,
    read_at: u64,
}

/// The keys that were read lately, by their digest.
pub struct ApiKeyCache {
    store: ApiKeys,
    held: Mutex<HashMap<SecretDigest, Held>>,
}

impl ApiKeyCache {
    /// An empty cache.
    pub fn new(store: ApiKeys) -> Self {
        Self { store, held: Mutex::default() }
    }

    /// The key with that digest, as it was at most an hour ago. Whether it was revoked since is for the
    /// trust bundle to say.
    pub async fn get(&self, digest: &SecretDigest, now: u64) -> Result<Option<ApiKey>, StoreError> {
        if let Some(api_key) = self.kept(digest, now) {
            return Ok(Some(api_key));
        }
        let found = self.store.get(digest).await?;
        if let Some(api_key) = &found {
            let mut held = self.held();
            if held.len() >= CAPACITY {
                held.clear();
            }
            held.insert(digest.clone(), Held { api_key: api_key.clone(), read_at: now });
        }
        Ok(found)
    }

    fn kept(&self, digest: &SecretDigest, now: u64) -> Option<ApiKey> {
        let held = self.held();
        let kept = held.get(digest).filter(|held| now.saturating_sub(held.read_at) < KEPT_FOR);
        kept.map(|held| held.api_key.clone())
    }

    fn held(&self) -> MutexGuard<'_, HashMap<SecretDigest, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
