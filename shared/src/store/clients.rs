//! Clients: the machines that ask for tokens.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value;
use serde_json::json;

use crate::identity::secrets::SecretDigest;
use crate::oauth::scope::Scopes;
use crate::store::table::{CONDITION_FAILED_ITEM, IndexEntry, Key, StoreError, Table, condition_failed};

/// The prefix of clients' keys.
const PREFIX: &str = "CLIENT#";
const PROFILE: &str = "PROFILE";
const KIND: &str = "CLIENT";

/// A client.
#[derive(Clone, Serialize, Deserialize)]
pub struct Client {
    /// `client_id`
    pub client_id: String,
    /// The secrets that authenticate it.
    pub secrets: Vec<ClientSecret>,
    /// The scopes that it may ask for.
    pub scopes: Scopes,
    /// The audiences that it may ask for; empty for those of the deployment.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// Life of its tokens in seconds; none for the deployment's.
    pub token_ttl: Option<u64>,
    /// Claims that its tokens carry.
    #[serde(default)]
    pub claims: BTreeMap<String, String>,
    /// The grants that it may use; empty for client credentials alone.
    #[serde(default)]
    pub grants: BTreeSet<GrantType>,
    /// The public keys that authenticate it, if it has any.
    pub public_keys: Option<ClientKeys>,
    /// The subject of the certificate that authenticates it (RFC 8705 §2.1.2), if it has one.
    pub certificate_subject: Option<String>,
    /// How many tokens it may have in how long.
    pub quota: Option<Quota>,
    /// The day on which each secret was last used, as its first second since 1970, by the beginning of
    /// the secret's digest.
    #[serde(default)]
    pub secret_use: BTreeMap<String, u64>,
    /// A disabled client gets no token.
    pub disabled: bool,
    /// Random: a client that is created again under the same id has another one. Empty of a client from before there
    /// were epochs.
    #[serde(default)]
    pub epoch: String,
    /// Seconds since 1970.
    pub created_at: u64,
}

impl Client {
    /// Whether it may use this grant.
    pub fn may_use(&self, grant: GrantType) -> bool {
        self.grants.contains(&grant) || (self.grants.is_empty() && grant == GrantType::ClientCredentials)
    }
}

/// A grant that a client may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum GrantType {
    /// Tokens for itself (RFC 6749 §4.4).
    #[serde(rename = "client_credentials")]
    ClientCredentials,
    /// New tokens for people who signed in through it (RFC 6749 §6).
    #[serde(rename = "refresh_token")]
    RefreshToken,
    /// Tokens for whom a trusted issuer vouches for (RFC 8693).
    #[serde(rename = "urn:ietf:params:oauth:grant-type:token-exchange")]
    TokenExchange,
}

/// Where the public keys of a client are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientKeys {
    /// Here: a JWKS (RFC 7517 §5) as text.
    Jwks(String),
    /// Behind this URL.
    Url(String),
}

/// A limit on the tokens that a client may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// So many tokens,
    pub tokens: u64,
    /// in so many seconds.
    pub seconds: u64,
}

/// One secret of a client.
#[derive(Clone, Serialize, Deserialize)]
pub struct ClientSecret {
    /// Its digest.
    pub digest: SecretDigest,
    /// Seconds since 1970.
    pub created_at: u64,
    /// From when it is no longer good, in seconds since 1970; open until it is replaced.
    pub expires_at: Option<u64>,
}

impl ClientSecret {
    /// The secret's name in [`Client::secret_use`].
    pub fn name(&self) -> &str {
        self.digest.as_str().get(..8).unwrap_or_default()
    }

    /// Whether it authenticates anybody now.
    pub fn is_active(&self, now: u64) -> bool {
        self.expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

/// Settings of a client that replace what there was; what is none here stays.
#[derive(Serialize)]
pub struct ClientChange {
    /// The scopes that it may ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Scopes>,
    /// The audiences that it may ask for; empty for those of the deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audiences: Option<Vec<String>>,
    /// Life of its tokens in seconds; none within for the deployment's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_ttl: Option<Option<u64>>,
    /// Claims that its tokens carry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<BTreeMap<String, String>>,
    /// The grants that it may use; empty for client credentials alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grants: Option<BTreeSet<GrantType>>,
    /// The public keys that authenticate it; none within takes them away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_keys: Option<Option<ClientKeys>>,
    /// The subject of its certificate; none within takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_subject: Option<Option<String>>,
    /// Its quota; none within takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<Option<Quota>>,
}

/// A client in a list.
#[derive(Serialize, Deserialize)]
pub struct ClientSummary {
    /// `client_id`
    #[serde(alias = "listed_as")]
    pub client_id: String,
    /// The scopes that it may ask for.
    pub scopes: Scopes,
    /// A disabled client gets no token.
    pub disabled: bool,
    /// Seconds since 1970.
    pub created_at: u64,
}

/// The clients in the table.
#[derive(Clone)]
pub struct Clients(Table);

impl Clients {
    /// In this table.
    pub fn new(table: Table) -> Self {
        Self(table)
    }

    /// The client of that id.
    pub async fn get(&self, client_id: &str) -> Result<Option<Client>, StoreError> {
        self.0.get(key(client_id)).await
    }

    /// Stores a new client.
    pub async fn create(&self, client: &Client) -> Result<(), StoreError> {
        let listed = IndexEntry { kind: KIND, name: &client.client_id };
        self.0.create(key(&client.client_id), client, Some(listed)).await
    }

    /// Every client.
    pub async fn list(&self) -> Result<Vec<ClientSummary>, StoreError> {
        self.0.list(KIND).await
    }

    /// Disables or enables a client.
    pub async fn set_disabled(&self, client_id: &str, disabled: bool) -> Result<(), StoreError> {
        self.0.set(key(client_id), &json!({"disabled": disabled})).await
    }

    /// Changes settings of a client and leaves everything else of it alone. `Changed` if the client that was read is
    /// there no more.
    pub async fn update(&self, read: &Client, change: &ClientChange) -> Result<(), StoreError> {
        let created_at = AttributeValue::N(read.created_at.to_string());
        self.0.set_of(key(&read.client_id), change, ("created_at", created_at)).await
    }

    /// Replaces a client's secrets, if nobody else has done so since they were read.
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
                // A retry of a write that was applied meets its own work: that is success.
                Some(item) if item.get("secrets") == Some(&value(secrets)?) => Ok(()),
                Some(_) => Err(StoreError::Changed),
                None => Err(StoreError::Missing),
            },
        }
    }

    /// Notes on which days which secrets were last used.
    pub async fn record_secret_use(
        &self,
        client_id: &str,
        days: &BTreeMap<String, u64>,
    ) -> Result<(), StoreError> {
        self.0.set(key(client_id), &json!({"secret_use": days})).await
    }

    /// Forgets a client.
    pub async fn delete(&self, client_id: &str) -> Result<(), StoreError> {
        self.0.delete(key(client_id)).await
    }
}

fn key(client_id: &str) -> Key {
    Key::new(PREFIX, client_id, PROFILE)
}
