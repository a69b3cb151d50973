//! What is shown of clients.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;
use serde::Serialize;
use shared::store::clients::{Client, ClientSummary};
use shared::wire::scope::Scopes;

use super::Created;
use crate::admin::output::{Report, fields, table, time};

impl Report for Created {
    fn for_people(&self) -> String {
        let secret = self.client_secret.expose_secret().to_owned();
        let shown = fields(&[("client_id", self.client_id.clone()), ("client_secret", secret)]);
        shown + "\nKeep the secret now: only its digest is stored, and it is not shown again.\n"
    }
}

#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct Listed(pub Vec<ClientSummary>);

impl Report for Listed {
    fn for_people(&self) -> String {
        let row = |client: &ClientSummary| {
            [
                client.client_id.clone(),
                client.scopes.to_string(),
                state(client.disabled),
                time(client.created_at),
            ]
        };
        let nothing = "There are no clients yet: see `latchkey client create --help`.";
        table(["client_id", "scopes", "state", "created"], self.0.iter().map(row).collect(), nothing)
    }
}

/// A client without what is secret.
#[derive(Serialize)]
pub(super) struct Shown {
    client_id: String,
    scopes: Scopes,
    audiences: Vec<String>,
    token_ttl: Option<u64>,
    claims: BTreeMap<String, String>,
    secrets: Vec<ShownSecret>,
    disabled: bool,
    created_at: u64,
}

#[derive(Serialize)]
struct ShownSecret {
    created_at: u64,
    expires_at: Option<u64>,
}

impl From<Client> for Shown {
    fn from(client: Client) -> Self {
        let secrets = client.secrets.iter();
        Self {
            secrets: secrets
                .map(|secret| ShownSecret { created_at: secret.created_at, expires_at: secret.expires_at })
                .collect(),
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

impl Report for Shown {
    fn for_people(&self) -> String {
        let deployments = || "the deployment's".to_owned();
        let audiences = self.audiences.join(" ");
        let claims: Vec<_> = self.claims.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let secrets = self.secrets.iter().map(|secret| {
            let end = secret.expires_at.map(|expires_at| format!(", good until {}", time(expires_at)));
            format!("made {}{}", time(secret.created_at), end.unwrap_or_default())
        });
        fields(&[
            ("client_id", self.client_id.clone()),
            ("scopes", self.scopes.to_string()),
            ("audiences", if audiences.is_empty() { deployments() } else { audiences }),
            ("token_ttl", self.token_ttl.map_or_else(deployments, |seconds| format!("{seconds} s"))),
            ("claims", claims.join(" ")),
            ("secrets", secrets.collect::<Vec<_>>().join("; ")),
            ("state", state(self.disabled)),
            ("created", time(self.created_at)),
        ])
    }
}

#[derive(Serialize)]
pub(super) struct Switched {
    pub client_id: String,
    pub disabled: bool,
}

impl Report for Switched {
    fn for_people(&self) -> String {
        let Self { client_id, disabled } = self;
        if *disabled {
            format!("Client {client_id} is disabled, and its tokens are shut out.\n")
        } else {
            format!("Client {client_id} is enabled. It needs new tokens.\n")
        }
    }
}

#[derive(Serialize)]
pub(super) struct Deleted {
    pub client_id: String,
    pub deleted: bool,
}

impl Report for Deleted {
    fn for_people(&self) -> String {
        format!("Client {} is deleted, and its tokens are shut out.\n", self.client_id)
    }
}

fn state(disabled: bool) -> String {
    if disabled { "disabled" } else { "enabled" }.to_owned()
}
