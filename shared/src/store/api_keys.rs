//! API keys: long-lived credentials for the authorizer.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::identity::secrets::SecretDigest;
use crate::oauth::scope::Scopes;
use crate::store::table::{IndexEntry, Key, StoreError, Table};

/// Prefix of the partition key.
const PREFIX: &str = "APIKEY#";
const PROFILE: &str = "PROFILE";
const KIND: &str = "APIKEY";

/// An API key. The key itself is not stored.
#[derive(Clone, Serialize, Deserialize)]
pub struct ApiKey {
    /// Id in lists and logs: `key_` and a part of the digest, which does not reveal the key.
    pub id: String,
    /// Digest of the key.
    pub digest: SecretDigest,
    /// Owner of the key.
    pub owner: String,
    /// Scopes of the key.
    pub scopes: Scopes,
    /// When the key expires, in seconds since 1970.
    pub key_expires_at: Option<u64>,
    /// Whether the key is revoked.
    pub disabled: bool,
    /// Time of creation, in seconds since 1970.
    pub created_at: u64,
}

impl ApiKey {
    /// The id of the key with this digest.
    pub fn id_of(digest: &SecretDigest) -> String {
        format!("key_{}", digest.as_str().get(..20).unwrap_or_default())
    }

    /// Whether the key is active now.
    pub fn is_active(&self, now: u64) -> bool {
        !self.disabled && self.key_expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

/// An API key in a list.
#[derive(Serialize, Deserialize)]
pub struct ApiKeySummary {
    /// Id of the key.
    pub id: String,
    /// Owner of the key.
    pub owner: String,
    /// Scopes of the key.
    pub scopes: Scopes,
    /// When the key expires, in seconds since 1970.
    pub key_expires_at: Option<u64>,
    /// Whether the key is revoked.
    pub disabled: bool,
    /// Time of creation, in seconds since 1970.
    pub created_at: u64,
    /// Partition key of the item.
    #[serde(skip_serializing)]
    pk: String,
}

/// The API keys in the table.
#[derive(Clone)]
pub struct ApiKeys(Table);

impl ApiKeys {
    /// The API keys of this table.
    pub fn new(table: Table) -> Self {
        Self(table)
    }

    /// The API key with this digest.
    pub async fn get(&self, digest: &SecretDigest) -> Result<Option<ApiKey>, StoreError> {
        self.0.get(key(digest.as_str())).await
    }

    /// Stores a new API key.
    pub async fn create(&self, api_key: &ApiKey) -> Result<(), StoreError> {
        let listed = IndexEntry { kind: KIND, name: &api_key.id };
        self.0.create(key(api_key.digest.as_str()), api_key, Some(listed)).await
    }

    /// All API keys.
    pub async fn list(&self) -> Result<Vec<ApiKeySummary>, StoreError> {
        self.0.list(KIND).await
    }

    /// Revokes an API key by its id.
    pub async fn revoke(&self, id: &str) -> Result<(), StoreError> {
        let keys = self.list().await?;
        let found = keys.iter().find(|summary| summary.id == id).ok_or(StoreError::Missing)?;
        let digest = found.pk.strip_prefix(PREFIX).ok_or_else(|| StoreError::Malformed(KIND.to_owned()))?;
        self.0.set(key(digest), &json!({"disabled": true})).await
    }
}

fn key(digest: &str) -> Key {
    Key::new(PREFIX, digest, PROFILE)
}
