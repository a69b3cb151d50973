//! API keys: long-lived secrets that open routes by themselves.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::identity::secrets::SecretDigest;
use crate::oauth::scope::Scopes;
use crate::store::table::{IndexEntry, Key, StoreError, Table};

/// The prefix of API keys' keys.
const PREFIX: &str = "APIKEY#";
const PROFILE: &str = "PROFILE";
const KIND: &str = "APIKEY";

/// An API key. The key itself is stored nowhere.
#[derive(Clone, Serialize, Deserialize)]
pub struct ApiKey {
    /// The key's name in lists and logs: `key_` + a part of its digest, which gives nothing away.
    pub id: String,
    /// The digest of the key.
    pub digest: SecretDigest,
    /// Whose key it is.
    pub owner: String,
    /// The scopes that it opens.
    pub scopes: Scopes,
    /// From when it is no longer good, in seconds since 1970.
    pub key_expires_at: Option<u64>,
    /// A revoked key opens nothing.
    pub disabled: bool,
    /// Seconds since 1970.
    pub created_at: u64,
}

impl ApiKey {
    /// The id of the key with this digest.
    pub fn id_of(digest: &SecretDigest) -> String {
        format!("key_{}", digest.as_str().get(..20).unwrap_or_default())
    }

    /// Whether the key opens anything now.
    pub fn is_active(&self, now: u64) -> bool {
        !self.disabled && self.key_expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

/// An API key in a list.
#[derive(Serialize, Deserialize)]
pub struct ApiKeySummary {
    /// The key's id.
    pub id: String,
    /// Whose key it is.
    pub owner: String,
    /// The scopes that it opens.
    pub scopes: Scopes,
    /// From when it is no longer good, in seconds since 1970.
    pub key_expires_at: Option<u64>,
    /// A revoked key opens nothing.
    pub disabled: bool,
    /// Seconds since 1970.
    pub created_at: u64,
    /// The item's key in the table.
    #[serde(skip_serializing)]
    pk: String,
}

/// The API keys in the table.
#[derive(Clone)]
pub struct ApiKeys(Table);

impl ApiKeys {
    /// In this table.
    pub fn new(table: Table) -> Self {
        Self(table)
    }

    /// The key with that digest.
    pub async fn get(&self, digest: &SecretDigest) -> Result<Option<ApiKey>, StoreError> {
        self.0.get(key(digest.as_str())).await
    }

    /// Stores a new key.
    pub async fn create(&self, api_key: &ApiKey) -> Result<(), StoreError> {
        let listed = IndexEntry { kind: KIND, name: &api_key.id };
        self.0.create(key(api_key.digest.as_str()), api_key, Some(listed)).await
    }

    /// Every key.
    pub async fn list(&self) -> Result<Vec<ApiKeySummary>, StoreError> {
        self.0.list(KIND).await
    }

    /// Revokes a key by its id.
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
