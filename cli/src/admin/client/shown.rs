//! A client as commands print it, without its secrets.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use shared::oauth::scope::Scopes;
use shared::store::clients::{Client, ClientKeys, ClientSecret, GrantType, Quota};

use crate::admin::output::Report;

#[derive(Serialize)]
pub(super) struct Shown {
    pub client_id: String,
    scopes: Scopes,
    audiences: Vec<String>,
    token_ttl: Option<u64>,
    claims: BTreeMap<String, String>,
    grants: Vec<GrantType>,
    quota: Option<Quota>,
    auth_methods: Vec<&'static str>,
    secrets: Vec<ShownSecret>,
    public_keys: Option<ShownKeys>,
    certificate_subject: Option<String>,
    disabled: bool,
    created_at: u64,
}

impl Report for Shown {}

#[derive(Serialize)]
struct ShownSecret {
    created_at: u64,
    expires_at: Option<u64>,
    /// The first second of the day.
    last_used_on: Option<u64>,
}

/// The URL of the public keys, or the ids of those in the table.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum ShownKeys {
    Url(String),
    Ids(Vec<String>),
}

impl From<Client> for Shown {
    fn from(client: Client) -> Self {
        let shown = |secret: &ClientSecret| ShownSecret {
            created_at: secret.created_at,
            expires_at: secret.expires_at,
            last_used_on: client.secret_use.get(secret.name()).copied(),
        };
        let grants = [GrantType::ClientCredentials, GrantType::RefreshToken, GrantType::TokenExchange];
        Self {
            grants: grants.into_iter().filter(|grant| client.may_use(*grant)).collect(),
            quota: client.quota,
            auth_methods: auth_methods(&client),
            secrets: client.secrets.iter().map(shown).collect(),
            public_keys: client.public_keys.map(|keys| match keys {
                ClientKeys::Url(url) => ShownKeys::Url(url),
                ClientKeys::Jwks(jwks) => ShownKeys::Ids(key_ids(&jwks)),
            }),
            certificate_subject: client.certificate_subject,
            client_id: client.client_id,
            scopes: client.scopes,
            audiences: client.audiences,
            token_ttl: client.token_ttl,
            claims: client.claims,
            disabled: client.disabled,
            created_at: client.created_at,
        }
    }
}

/// The client authentication methods by their registered names (RFC 7591 §2).
fn auth_methods(client: &Client) -> Vec<&'static str> {
    let mut methods = Vec::new();
    if !client.secrets.is_empty() {
        methods.extend(["client_secret_basic", "client_secret_post"]);
    }
    methods.extend(client.public_keys.as_ref().map(|_| "private_key_jwt"));
    methods.extend(client.certificate_subject.as_ref().map(|_| "tls_client_auth"));
    methods
}

/// The ids of the keys in a JWKS.
fn key_ids(jwks: &str) -> Vec<String> {
    let jwks: Value = serde_json::from_str(jwks).unwrap_or_default();
    let keys = jwks["keys"].as_array().cloned().unwrap_or_default();
    let id = |key: &Value| key["kid"].as_str().map_or_else(|| "(no id)".to_owned(), str::to_owned);
    keys.iter().map(id).collect()
}
