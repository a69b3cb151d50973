//! API keys as a warm function knows them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use shared::identity::secrets::SecretDigest;
use shared::store::api_keys::{ApiKey, ApiKeys};
use shared::store::table::StoreError;

/// Keys held at once. Invariant: a few hundred bytes each, so that no flood of keys takes the memory.
const CAPACITY: usize = 1024;

/// How long a key that was good serves while the store is down, in seconds: as long as the trust bundle.
const USABLE_FOR: u64 = 300;

struct Held {
    api_key: ApiKey,
    read_at: u64,
}

/// The keys that were read lately, by their digest.
pub struct ApiKeyCache {
    store: ApiKeys,
    refresh: u64,
    held: Mutex<HashMap<SecretDigest, Held>>,
}

impl ApiKeyCache {
    /// Each key is read anew every `refresh` seconds at most.
    pub fn new(store: ApiKeys, refresh: u64) -> Self {
        Self { store, refresh, held: Mutex::new(HashMap::new()) }
    }

    /// The key with that digest, as it was at most `refresh` seconds ago.
    pub async fn get(&self, digest: &SecretDigest, now: u64) -> Result<Option<ApiKey>, StoreError> {
        if let Some(api_key) = self.younger_than(digest, self.refresh, now) {
            return Ok(Some(api_key));
        }
        match self.store.get(digest).await {
            Ok(Some(api_key)) => {
                let mut held = self.held();
                if held.len() >= CAPACITY {
                    held.clear();
                }
                held.insert(digest.clone(), Held { api_key: api_key.clone(), read_at: now });
                Ok(Some(api_key))
            }
            Ok(None) => {
                self.held().remove(digest);
                Ok(None)
            }
            Err(error) => self.younger_than(digest, USABLE_FOR, now).map(Some).ok_or(error),
        }
    }

    fn younger_than(&self, digest: &SecretDigest, seconds: u64, now: u64) -> Option<ApiKey> {
        let held = self.held();
        held.get(digest)
            .filter(|held| now.saturating_sub(held.read_at) < seconds)
            .map(|held| held.api_key.clone())
    }

    fn held(&self) -> MutexGuard<'_, HashMap<SecretDigest, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
