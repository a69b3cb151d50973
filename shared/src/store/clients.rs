//! Clients.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value;
use serde_json::json;

use crate::identity::secrets::{SecretDigest, random_id};
use crate::oauth::scope::Scopes;
use crate::store::table::{CONDITION_FAILED_ITEM, IndexEntry, Key, StoreError, Table, condition_failed};

/// Prefix of the partition key.
const PREFIX: &str = "CLIENT#";
const PROFILE: &str = "PROFILE";
const KIND: &str = "CLIENT";

/// A client.
#[derive(Clone, Serialize, Deserialize)]
pub struct Client {
    /// `client_id`
    pub client_id: String,
    /// Client secrets.
    pub secrets: Vec<ClientSecret>,
    /// The scopes that the client may request.
    pub scopes: Scopes,
    /// The audiences that the client may request. If empty, those of the deployment.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// Lifetime of its access tokens in seconds. If none, that of the deployment.
    pub token_ttl: Option<u64>,
    /// Custom claims of its access tokens.
    #[serde(default)]
    pub claims: BTreeMap<String, String>,
    /// The grants that the client may use. If empty, client credentials only.
    #[serde(default)]
    pub grants: BTreeSet<GrantType>,
    /// Public keys for client assertions.
    pub public_keys: Option<ClientKeys>,
    /// Subject of its client certificate (RFC 8705 §2.1.2).
    pub certificate_subject: Option<String>,
    /// Token quota.
    pub quota: Option<Quota>,
    /// The day of each secret's last use, as the first second of the day since 1970, by the name of the secret.
    #[serde(default)]
    pub secret_use: BTreeMap<String, u64>,
    /// Whether the client is disabled.
    pub disabled: bool,
    /// A random value, which differs when a client is created again with the same id. Empty for clients from before
    /// epochs.
    #[serde(default)]
    pub epoch: String,
    /// Time of creation, in seconds since 1970.
    pub created_at: u64,
}

impl Client {
    /// A client that is created at `now` with a new epoch: without secrets and keys, with the deployment's audiences and
    /// token lifetime, and for client credentials only.
    pub fn new(client_id: String, scopes: Scopes, now: u64) -> Self {
        Self {
            client_id,
            secrets: Vec::new(),
            scopes,
            audiences: Vec::new(),
            token_ttl: None,
            claims: BTreeMap::new(),
            grants: BTreeSet::new(),
            public_keys: None,
            certificate_subject: None,
            quota: None,
            secret_use: BTreeMap::new(),
            disabled: false,
            epoch: random_id(""),
            created_at: now,
        }
    }

    /// Whether the client may use this grant.
    pub fn may_use(&self, grant: GrantType) -> bool {
        self.grants.contains(&grant) || (self.grants.is_empty() && grant == GrantType::ClientCredentials)
    }
}

/// A grant that a client may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum GrantType {
    /// Access tokens for the client itself (RFC 6749 §4.4).
    #[serde(rename = "client_credentials")]
    ClientCredentials,
    /// Refresh of the tokens of users (RFC 6749 §6).
    #[serde(rename = "refresh_token")]
    RefreshToken,
    /// Exchange of tokens of trusted issuers (RFC 8693).
    #[serde(rename = "urn:ietf:params:oauth:grant-type:token-exchange")]
    TokenExchange,
}

/// The public keys of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientKeys {
    /// A JWKS (RFC 7517 §5) as text.
    Jwks(String),
    /// A JWKS URL.
    Url(String),
}

/// A limit on issued tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Number of tokens.
    pub tokens: u64,
    /// Window in seconds.
    pub seconds: u64,
}

/// A client secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct ClientSecret {
    /// Digest of the secret.
    pub digest: SecretDigest,
    /// Time of creation, in seconds since 1970.
    pub created_at: u64,
    /// When the secret expires, in seconds since 1970. If none, it does not expire.
    pub expires_at: Option<u64>,
}

impl ClientSecret {
    /// Name of the secret in [`Client::secret_use`].
    pub fn name(&self) -> &str {
        self.digest.as_str().get(..8).unwrap_or_default()
    }

    /// Whether the secret is valid now.
    pub fn is_active(&self, now: u64) -> bool {
        self.expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

/// Changes to a client. A member that is none is not changed.
#[derive(Serialize)]
pub struct ClientChange {
    /// The scopes that the client may request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Scopes>,
    /// The audiences that the client may request. If empty, those of the deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audiences: Option<Vec<String>>,
    /// Lifetime of its access tokens in seconds. An inner none sets that of the deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_ttl: Option<Option<u64>>,
    /// Custom claims of its access tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<BTreeMap<String, String>>,
    /// The grants that the client may use. If empty, client credentials only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grants: Option<BTreeSet<GrantType>>,
    /// Public keys for client assertions. An inner none removes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_keys: Option<Option<ClientKeys>>,
    /// Subject of its client certificate. An inner none removes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_subject: Option<Option<String>>,
    /// Token quota. An inner none removes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<Option<Quota>>,
}

/// A client in a list.
#[derive(Serialize, Deserialize)]
pub struct ClientSummary {
    /// `client_id`
    #[serde(alias = "listed_as")]
    pub client_id: String,
    /// The scopes that the client may request.
    pub scopes: Scopes,
    /// Whether the client is disabled.
    pub disabled: bool,
    /// Time of creation, in seconds since 1970.
    pub created_at: u64,
}

/// The clients in the table.
#[derive(Clone)]
pub struct Clients(Table);

impl Clients {
    /// The clients of this table.
    pub fn new(table: Table) -> Self {
        Self(table)
    }

    /// The client with this id.
    pub async fn get(&self, client_id: &str) -> Result<Option<Client>, StoreError> {
        self.0.get(key(client_id)).await
    }

    /// Stores a new client.
    pub async fn create(&self, client: &Client) -> Result<(), StoreError> {
        let listed = IndexEntry { kind: KIND, name: &client.client_id };
        self.0.create(key(&client.client_id), client, Some(listed)).await
    }

    /// All clients.
    pub async fn list(&self) -> Result<Vec<ClientSummary>, StoreError> {
        self.0.list(KIND).await
    }

    /// Disables or enables a client.
    pub async fn set_disabled(&self, client_id: &str, disabled: bool) -> Result<(), StoreError> {
        self.0.set(key(client_id), &json!({"disabled": disabled})).await
    }

    /// Changes a client. `Changed` if the client was deleted or created again since it was read.
    pub async fn update(&self, read: &Client, change: &ClientChange) -> Result<(), StoreError> {
        let created_at = AttributeValue::N(read.created_at.to_string());
        self.0.set_of(key(&read.client_id), change, ("created_at", created_at)).await
    }

    /// Replaces the client secrets, unless they were changed since they were read.
    pub async fn replace_secrets(
        &self,
        client_id: &str,
        read: &[ClientSecret],
        secrets: &[ClientSecret],
    ) -> Result<(), StoreError> {
        let value = |secrets| to_attribute_value(secrets).map_err(|_| StoreError::Malformed(KIND.to_owned()));
        let update = self
            .0
            .update(key(client_id))?
            .update_expression("SET secrets = :new")
            .condition_expression("secrets = :read")
            .return_values_on_condition_check_failure(CONDITION_FAILED_ITEM)
            .expression_attribute_values(":new", value(secrets)?)
            .expression_attribute_values(":read", value(read)?);
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error) => match condition_failed(error)? {
                // A retry of an applied write finds the new value. This is a success.
                Some(item) if item.get("secrets") == Some(&value(secrets)?) => Ok(()),
                Some(_) => Err(StoreError::Changed),
                None => Err(StoreError::Missing),
            },
        }
    }

    /// Records the days of the secrets' last use.
    pub async fn record_secret_use(
        &self,
        client_id: &str,
        days: &BTreeMap<String, u64>,
    ) -> Result<(), StoreError> {
        self.0.set(key(client_id), &json!({"secret_use": days})).await
    }

    /// Deletes a client.
    pub async fn delete(&self, client_id: &str) -> Result<(), StoreError> {
        self.0.delete(key(client_id)).await
    }
}

fn key(client_id: &str) -> Key {
    Key::new(PREFIX, client_id, PROFILE)
}
