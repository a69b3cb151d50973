//! The trust bundle: everything that the authorizer needs to know, in one small partition.
//!
//! It holds the public keys with their timeline, and whose tokens are refused. It is read at most once
//! an interval, so a warm request costs no IO and the cost does not grow with the number of tokens.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::table::{Item, Key, StoreError, Table, read};
use crate::cache::{Cache, Limits, Loaded, Unavailable};
use crate::config::MAX_ACCESS_TOKEN_TTL;
use crate::token::jwt::LEEWAY;
use crate::token::key::PublicKey;
use crate::token::keyring::{Keyring, Timed};
use crate::token::members::Members;

const PARTITION: &str = "TRUST";
const KEYS: &str = "JWKS";
const REVOKED: &str = "REVOKED#";

/// While the store is down, the last bundle serves for five minutes; then nothing is allowed. An
/// unknown key id and a failed load make the store be asked again at most every five seconds.
const LIMITS: Limits = Limits { usable_for: 300, cool_down: 5 };

/// How much later than a revocation a last token may still be issued, in seconds: the sign-in was under
/// way, or the clock of whoever revokes is slow.
const UNDER_WAY: u64 = 300;

/// A public key: its JWK as text, so that reading it costs nothing until it is wanted.
#[derive(Clone, Serialize, Deserialize)]
pub struct PublishedKey {
    /// The key's id.
    pub kid: String,
    /// The JWK.
    pub jwk: String,
}

#[derive(Default, Serialize, Deserialize)]
struct PublishedKeys {
    keys: Keyring<PublishedKey>,
}

/// Tokens of a subject that were issued before some time are refused.
#[derive(Serialize, Deserialize)]
struct Revocation {
    subject: String,
    /// Tokens with an earlier `iat` are refused, in seconds since 1970.
    not_before: u64,
    /// When the last of them has expired: DynamoDB may drop the item then.
    expires_at: u64,
}

/// The bundle as the authorizer uses it.
#[derive(Default)]
pub struct TrustBundle {
    keys: HashMap<String, Timed<PublicKey>>,
    revoked: HashMap<String, u64>,
}

impl TrustBundle {
    /// The key of that id, if what it signed may be accepted now.
    pub fn key(&self, key_id: &str, now: u64) -> Option<&PublicKey> {
        self.keys.get(key_id).filter(|timed| timed.is_trusted(now)).map(|timed| &timed.key)
    }

    /// Whether tokens of this subject, issued then, were revoked.
    pub fn is_revoked(&self, subject: &str, issued_at: u64) -> bool {
        self.revoked.get(subject).is_some_and(|not_before| issued_at < *not_before)
    }

    fn read(items: Vec<Item>) -> Result<Self, StoreError> {
        let mut bundle = Self::default();
        for item in items {
            let sort_key = item.get("sk").and_then(|sk| sk.as_s().ok()).cloned().unwrap_or_default();
            if sort_key == KEYS {
                let published: PublishedKeys = read(item)?;
                for timed in published.keys.iter() {
                    let malformed = || StoreError::Malformed(KEYS.to_owned());
                    let jwk: Members = serde_json::from_str(&timed.key.jwk).map_err(|_| malformed())?;
                    let key = PublicKey::from_jwk(&jwk).map_err(|_| malformed())?;
                    bundle.keys.insert(timed.key.kid.clone(), timed.map(|_| key.clone()));
                }
            } else if sort_key.starts_with(REVOKED) {
                let revocation: Revocation = read(item)?;
                bundle.revoked.insert(revocation.subject, revocation.not_before);
            }
        }
        Ok(bundle)
    }
}

/// The bundle in the table.
#[derive(Clone)]
pub struct TrustStore(Table);

impl TrustStore {
    /// In this table.
    pub fn new(table: Table) -> Self {
        Self(table)
    }

    /// Reads the whole bundle.
    pub async fn bundle(&self) -> Result<TrustBundle, StoreError> {
        TrustBundle::read(self.0.partition(PARTITION).await?)
    }

    /// The public keys that verifiers may be told of now.
    pub async fn jwks(&self, now: u64) -> Result<Vec<Value>, StoreError> {
        let published: Option<PublishedKeys> = self.0.get(Key::new(PARTITION, "", KEYS)).await?;
        let published = published.unwrap_or_default();
        let trusted = published.keys.iter().filter(|timed| timed.is_trusted(now));
        let parse = |timed: &Timed<PublishedKey>| {
            serde_json::from_str(&timed.key.jwk).map_err(|_| StoreError::Malformed(KEYS.to_owned()))
        };
        trusted.map(parse).collect()
    }

    /// Publishes the public keys.
    pub async fn publish(&self, keys: Keyring<PublishedKey>) -> Result<(), StoreError> {
        self.0.put(Key::new(PARTITION, "", KEYS), &PublishedKeys { keys }).await
    }

    /// Shuts a subject out: no token of theirs is accepted, until [`TrustStore::readmit`].
    pub async fn shut_out(&self, subject: &str, now: u64) -> Result<(), StoreError> {
        self.revoke(subject, u64::MAX, now).await
    }

    /// Lets a subject in again, with tokens issued from now on.
    pub async fn readmit(&self, subject: &str, now: u64) -> Result<(), StoreError> {
        self.revoke(subject, now, now).await
    }

    async fn revoke(&self, subject: &str, not_before: u64, now: u64) -> Result<(), StoreError> {
        let expires_at = now + MAX_ACCESS_TOKEN_TTL + LEEWAY + UNDER_WAY;
        let revocation = Revocation { subject: subject.to_owned(), not_before, expires_at };
        self.0.put(Key::new(PARTITION, "", format!("{REVOKED}sub#{subject}")), &revocation).await
    }
}

/// The bundle as a warm function holds it.
pub struct Trust {
    store: TrustStore,
    cache: Cache<TrustBundle>,
    refresh: u64,
}

impl Trust {
    /// Read anew every `refresh` seconds at most. Nothing is read yet.
    pub fn new(table: Table, refresh: u64) -> Self {
        Self { store: TrustStore::new(table), cache: Cache::new(LIMITS), refresh }
    }

    /// The bundle.
    pub async fn bundle(&self, now: u64) -> Result<Arc<TrustBundle>, Unavailable> {
        self.cache.get(now, async || self.load().await).await
    }

    /// The bundle, read anew because `seen` lacks a key: at most once a cool-down.
    pub async fn renewed(&self, now: u64, seen: &Arc<TrustBundle>) -> Result<Arc<TrustBundle>, Unavailable> {
        self.cache.renewed(now, seen, async || self.load().await).await
    }

    async fn load(&self) -> Result<Loaded<TrustBundle>, StoreError> {
        Ok(Loaded { value: self.store.bundle().await?, fresh_for: self.refresh })
    }
}
