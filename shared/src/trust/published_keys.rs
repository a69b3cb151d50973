//! The published keys: the public half of each signing key, with its schedule.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::jose::algorithm::Algorithm;
use crate::store::table::{Key, StoreError, condition_failed, number};
use crate::trust::key_schedule::{KeySchedule, ScheduledKey};
use crate::trust::store::{PARTITION, TrustStore};

/// Sort key of the published keys.
pub(super) const KEYS: &str = "JWKS";

/// Attempts of a change to the keys that is superseded by concurrent changes.
const TRIES: usize = 5;

/// A published key. Its JWK is text, which is parsed only when it is needed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedKey {
    /// Id of the key.
    pub kid: String,
    /// The JWK.
    pub jwk: String,
}

impl PublishedKey {
    /// Algorithm of the key.
    pub fn algorithm(&self) -> Option<Algorithm> {
        let jwk: Value = serde_json::from_str(&self.jwk).ok()?;
        Algorithm::from_name(jwk["alg"].as_str()?)
    }
}

/// The stored keys with their schedule.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct PublishedKeys {
    pub(super) keys: KeySchedule<PublishedKey>,
    /// Number of changes, which detects concurrent ones.
    pub(super) revision: u64,
}

impl PublishedKeys {
    /// The item's key.
    pub(super) fn key() -> Key {
        Key::new(PARTITION, "", KEYS)
    }
}

impl TrustStore {
    /// The JWKS.
    pub async fn jwks(&self, now: u64) -> Result<Vec<Value>, StoreError> {
        let keys = self.key_schedule().await?;
        let trusted = keys.iter().filter(|scheduled| scheduled.is_trusted(now));
        let parse = |scheduled: &ScheduledKey<PublishedKey>| {
            serde_json::from_str(&scheduled.key.jwk).map_err(|_| StoreError::Malformed(KEYS.to_owned()))
        };
        trusted.map(parse).collect()
    }

    /// The published keys with their schedule.
    pub async fn key_schedule(&self) -> Result<KeySchedule<PublishedKey>, StoreError> {
        self.published().await.map(|published| published.keys)
    }

    /// Changes the keys atomically. `change` may be called more than once, and must accept a state in which it is
    /// already applied.
    pub async fn update_keys(
        &self,
        change: impl Fn(&mut KeySchedule<PublishedKey>),
    ) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            let PublishedKeys { mut keys, revision } = self.published().await?;
            let before = keys.clone();
            change(&mut keys);
            if keys == before {
                return Ok(());
            }
            let revised = PublishedKeys { keys, revision: revision + 1 };
            let update = self
                .0
                .setting(PublishedKeys::key(), &revised)?
                .condition_expression("attribute_not_exists(revision) OR revision = :seen")
                .expression_attribute_values(":seen", number(revision));
            match update.send().await {
                Ok(_) => return Ok(()),
                // A retry of an applied write fails the condition too, and then finds the change applied.
                Err(error) => drop(condition_failed(error)?),
            }
        }
        Err(StoreError::Changed)
    }

    async fn published(&self) -> Result<PublishedKeys, StoreError> {
        Ok(self.0.get(PublishedKeys::key()).await?.unwrap_or_default())
    }
}
