//! The keys that sign, as a warm function holds them: private halves from the secret, turns from the trust
//! bundle. A key that is not published has no turn, so nothing is ever signed with it.

use std::sync::Arc;

use crate::runtime::cache::{Cache, Limits, Loaded, Unavailable};
use crate::signing::private_key::PrivateKey;
use crate::signing::signing_secret::{SecretError, SigningSecret};
use crate::store::table::StoreError;
use crate::trust::key_schedule::{FALLBACK_WINDOW, KeySchedule};
use crate::trust::trust::{PublishedKey, TRUST_LIMITS, TrustStore};

/// How long the secret is used without being read again, in seconds. It is read sooner when a key's turn
/// comes that isn't in it.
const FRESH_FOR: u64 = 300;

/// Through an outage of Secrets Manager a warm function goes on signing for as long as the key before may
/// stand in for one that can't be had.
const LIMITS: Limits = Limits { usable_for: FALLBACK_WINDOW, cool_down: 2, after_failure: 2 };

/// The keys.
pub struct SigningKeys {
    secret: SigningSecret,
    trust: TrustStore,
    keys: Cache<Vec<Arc<PrivateKey>>>,
    timeline: Cache<KeySchedule<PublishedKey>>,
    refresh: u64,
}

impl SigningKeys {
    /// The timeline is read anew every `refresh` seconds at most. Nothing is read yet.
    pub fn new(secret: SigningSecret, trust: TrustStore, refresh: u64) -> Self {
        Self { secret, trust, keys: Cache::new(LIMITS), timeline: Cache::new(TRUST_LIMITS), refresh }
    }

    /// The key that signs now: the one whose turn it is, or, where that can't be had, the one before.
    pub async fn current(&self, now: u64) -> Result<Arc<PrivateKey>, Unavailable> {
        let timeline = self.timeline.get(now, async || self.load_timeline().await);
        let keys = self.keys.get(now, async || self.load_keys().await);
        let (timeline, keys) = tokio::join!(timeline, keys);
        let (timeline, mut keys) = (timeline?, keys?);
        if timeline.eligible_signers(now).next().is_some_and(|turn| find(&keys, turn).is_none()) {
            keys = self.keys.reload(now, &keys, async || self.load_keys().await).await?;
        }
        let mut signing = timeline.eligible_signers(now);
        let key = signing.find_map(|turn| find(&keys, turn).cloned());
        key.ok_or_else(|| Unavailable::new("no signing key: run `latchkey signing-key rotate`"))
    }

    /// How old the private keys are, in seconds.
    pub fn age(&self, now: u64) -> Option<u64> {
        self.keys.age(now)
    }

    async fn load_keys(&self) -> Result<Loaded<Vec<Arc<PrivateKey>>>, SecretError> {
        let document = self.secret.current().await?.map(|version| version.document).unwrap_or_default();
        let keys = document.keys.iter().map(|key| Ok(Arc::new(key.parse()?)));
        let value = keys.collect::<Result<Vec<_>, SecretError>>()?;
        // Without a key the first one is waited for, so the secret is asked again soon.
        let fresh_for = if value.is_empty() { LIMITS.cool_down } else { FRESH_FOR };
        Ok(Loaded { value, fresh_for })
    }

    async fn load_timeline(&self) -> Result<Loaded<KeySchedule<PublishedKey>>, StoreError> {
        let value = self.trust.timeline().await?;
        let fresh_for = if value.iter().next().is_some() { self.refresh } else { LIMITS.cool_down };
        Ok(Loaded { value, fresh_for })
    }
}

fn find<'a>(keys: &'a [Arc<PrivateKey>], turn: &PublishedKey) -> Option<&'a Arc<PrivateKey>> {
    keys.iter().find(|key| key.key_id() == turn.kid)
}
