//! The cached signing keys of a function: private keys from the secret and their schedule from the published keys. A
//! key that is not published never signs.

use std::sync::Arc;

use crate::runtime::cache::{Cache, Limits, Loaded, Unavailable};
use crate::signing::private_key::PrivateKey;
use crate::signing::signing_secret::{SecretError, SigningSecret};
use crate::store::table::StoreError;
use crate::trust::cache::TRUST_LIMITS;
use crate::trust::key_schedule::{FALLBACK_WINDOW, KeySchedule};
use crate::trust::published_keys::PublishedKey;
use crate::trust::store::TrustStore;

/// How long the secret is cached, in seconds. It is reloaded earlier if the active key is missing.
const FRESH_FOR: u64 = 300;

/// During an outage of Secrets Manager, the cached keys sign for as long as the previous key may sign as a fallback.
const LIMITS: Limits = Limits { usable_for: FALLBACK_WINDOW, cool_down: 2, after_failure: 2 };

/// The cached keys.
pub struct SigningKeys {
    secret: SigningSecret,
    trust: TrustStore,
    keys: Cache<Vec<Arc<PrivateKey>>>,
    schedule: Cache<KeySchedule<PublishedKey>>,
    refresh: u64,
}

impl SigningKeys {
    /// Reloads the schedule every `refresh` seconds at most. Nothing is loaded yet.
    pub fn new(secret: SigningSecret, trust: TrustStore, refresh: u64) -> Self {
        Self { secret, trust, keys: Cache::new(LIMITS), schedule: Cache::new(TRUST_LIMITS), refresh }
    }

    /// The active key. If the secret lacks it, the key before it signs as a fallback.
    pub async fn current(&self, now: u64) -> Result<Arc<PrivateKey>, Unavailable> {
        let schedule = self.schedule.get(now, async || self.load_schedule().await);
        let keys = self.keys.get(now, async || self.load_keys().await);
        let (schedule, keys) = tokio::join!(schedule, keys);
        let (schedule, mut keys) = (schedule?, keys?);
        if schedule.eligible_signers(now).next().is_some_and(|published| find(&keys, published).is_none()) {
            keys = self.keys.reload(now, &keys, async || self.load_keys().await).await?;
        }
        let mut signing = schedule.eligible_signers(now);
        let key = signing.find_map(|published| find(&keys, published).cloned());
        key.ok_or_else(|| Unavailable::new("no signing key; run `latchkey signing-key rotate`"))
    }

    /// Age of the cached private keys, in seconds.
    pub fn age(&self, now: u64) -> Option<u64> {
        self.keys.age(now)
    }

    async fn load_keys(&self) -> Result<Loaded<Vec<Arc<PrivateKey>>>, SecretError> {
        let document = self.secret.current().await?.map(|version| version.document).unwrap_or_default();
        let keys = document.keys.iter().map(|key| Ok(Arc::new(key.parse()?)));
        let value = keys.collect::<Result<Vec<_>, SecretError>>()?;
        // The first key is expected soon, so an empty secret is reloaded soon.
        let fresh_for = if value.is_empty() { LIMITS.cool_down } else { FRESH_FOR };
        Ok(Loaded { value, fresh_for })
    }

    async fn load_schedule(&self) -> Result<Loaded<KeySchedule<PublishedKey>>, StoreError> {
        let value = self.trust.key_schedule().await?;
        let fresh_for = if value.iter().next().is_some() { self.refresh } else { LIMITS.cool_down };
        Ok(Loaded { value, fresh_for })
    }
}

fn find<'a>(keys: &'a [Arc<PrivateKey>], published: &PublishedKey) -> Option<&'a Arc<PrivateKey>> {
    keys.iter().find(|key| key.key_id() == published.kid)
}
