//! Clients: the machines that ask for tokens.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::table::{Key, Listed, StoreError, Table};
use crate::identity::secrets::SecretDigest;
use crate::wire::scope::Scopes;

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
    /// A disabled client gets no token.
    pub disabled: bool,
    /// Seconds since 1970.
    pub created_at: u64,
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

    /// Opens the connection to the store. A failure is left to the first request.
    pub async fn warm_up(&self) {
        let _ = self.get("").await;
    }

    /// The client of that id.
    pub async fn get(&self, client_id: &str) -> Result<Option<Client>, StoreError> {
        self.0.get(key(client_id)).await
    }

    /// Stores a new client.
    pub async fn create(&self, client: &Client) -> Result<(), StoreError> {
        let listed = Listed { kind: KIND, name: &client.client_id };
        self.0.create(key(&client.client_id), client, Some(listed)).await
    }

    /// Every client.
    pub async fn list(&self) -> Result<Vec<ClientSummary>, StoreError> {
        self.0.list(KIND).await
    }

    /// Disables or enables a client.
    pub async fn set_disabled(&self, client_id: &str, disabled: bool) -> Result<(), StoreError> {
        self.0.set(key(client_id), &[("disabled", disabled)]).await
    }

    /// Forgets a client.
    pub async fn delete(&self, client_id: &str) -> Result<(), StoreError> {
        self.0.delete(key(client_id)).await
    }
}

fn key(client_id: &str) -> Key {
    Key::new(PREFIX, client_id, PROFILE)
}
