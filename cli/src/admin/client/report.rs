//! What is shown of clients.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Value, json};
use shared::oauth::scope::Scopes;
use shared::store::clients::{Client, ClientKeys, ClientSecret, ClientSummary, GrantType, Quota};

use super::{Created, Rotated};
use crate::admin::output::{Report, fields, table, time};

impl Report for Created {
    fn for_people(&self) -> String {
        let id = ("client_id", self.client_id.clone());
        match &self.client_secret {
            Some(secret) => with_secret(id, secret),
            None => {
                let shown = fields(&[id, ("authenticates", by(&self.ways))]);
                shown + "\nIt has no secret: there is nothing to keep.\n"
            }
        }
    }
}

fn with_secret(id: (&str, String), secret: &SecretString) -> String {
    let shown = fields(&[id, ("client_secret", secret.expose_secret().to_owned())]);
    shown + "\nKeep the secret now: only its digest is stored, and it is not shown again.\n"
}

impl Report for Rotated {
    fn for_people(&self) -> String {
        let shown = with_secret(("client_id", self.client_id.clone()), &self.client_secret);
        if self.overlaps {
            format!("{shown}The secrets before it work until {}.\n", time(self.old_secrets_expire_at))
        } else {
            shown + "The secrets before it no longer work.\n"
        }
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

/// A way in which a client authenticates itself, by its registered name (RFC 7591 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Way {
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
    TlsClientAuth,
}

impl Way {
    /// All that a client has the means for.
    pub fn of(client: &Client) -> Vec<Self> {
        let mut ways = Vec::new();
        if !client.secrets.is_empty() {
            ways.extend([Self::ClientSecretBasic, Self::ClientSecretPost]);
        }
        ways.extend(client.public_keys.as_ref().map(|_| Self::PrivateKeyJwt));
        ways.extend(client.certificate_subject.as_ref().map(|_| Self::TlsClientAuth));
        ways
    }
}

fn by(ways: &[Way]) -> String {
    let words = ways.iter().filter_map(|way| match way {
        Way::ClientSecretBasic => Some("with a secret"),
        // The same secret in another place.
        Way::ClientSecretPost => None,
        Way::PrivateKeyJwt => Some("with a key (private_key_jwt)"),
        Way::TlsClientAuth => Some("with a certificate (mutual TLS)"),
    });
    let words: Vec<_> = words.collect();
    if words.is_empty() {
        "not by itself: the rules of trusted issuers may name it".to_owned()
    } else {
        words.join(", ")
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
    grants: Vec<GrantType>,
    quota: Option<Quota>,
    auth_methods: Vec<Way>,
    secrets: Vec<ShownSecret>,
    public_keys: Option<ShownKeys>,
    certificate_subject: Option<String>,
    disabled: bool,
    created_at: u64,
}

#[derive(Serialize)]
struct ShownSecret {
    created_at: u64,
    expires_at: Option<u64>,
    /// The first second of the day.
    last_used_on: Option<u64>,
}

/// Where the public keys are: behind a URL, or in the table with these ids.
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
            auth_methods: Way::of(&client),
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

impl Report for Shown {
    fn for_people(&self) -> String {
        let deployments = || "the deployment's".to_owned();
        let audiences = self.audiences.join(" ");
        let claims: Vec<_> = self.claims.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let secrets = self.secrets.iter().map(|secret| {
            let end = secret.expires_at.map(|expires_at| format!(", good until {}", time(expires_at)));
            let day =
                |used: u64| format!(", last used on {}", time(used).split('T').next().unwrap_or_default());
            let used = secret.last_used_on.map_or_else(|| ", never used".to_owned(), day);
            format!("made {}{used}{}", time(secret.created_at), end.unwrap_or_default())
        });
        let keys = self.public_keys.as_ref().map(|keys| match keys {
            ShownKeys::Url(url) => url.clone(),
            ShownKeys::Ids(ids) => ids.join(" "),
        });
        let grants: Vec<_> =
            self.grants.iter().filter_map(|grant| json!(grant).as_str().map(str::to_owned)).collect();
        let quota = self.quota.map(|quota| {
            format!(
                "{} tokens in {}",
                quota.tokens,
                humantime::format_duration(Duration::from_secs(quota.seconds))
            )
        });
        fields(&[
            ("client_id", self.client_id.clone()),
            ("scopes", self.scopes.to_string()),
            ("audiences", if audiences.is_empty() { deployments() } else { audiences }),
            ("token_ttl", self.token_ttl.map_or_else(deployments, |seconds| format!("{seconds} s"))),
            ("claims", claims.join(" ")),
            ("grants", grants.join(" ")),
            ("quota", quota.unwrap_or_default()),
            ("authenticates", by(&self.auth_methods)),
            ("secrets", secrets.collect::<Vec<_>>().join("; ")),
            ("public_keys", keys.unwrap_or_default()),
            ("certificate", self.certificate_subject.clone().unwrap_or_default()),
            ("state", state(self.disabled)),
            ("created", time(self.created_at)),
        ])
    }
}

/// A client as it is after a change.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct Updated(pub Shown);

impl Report for Updated {
    fn for_people(&self) -> String {
        let Shown { client_id, .. } = &self.0;
        format!(
            "{}\nAccess tokens already issued keep their scopes, audience and claims until they expire: `latchkey client \
             disable {client_id}`, then `enable`, ends them. A refresh gives no more than the new settings and the sign-in allow.\n",
            self.0.for_people()
        )
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
            format!("Client {client_id} is disabled, and its tokens are revoked.\n")
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
        format!("Client {} is deleted, and its tokens are revoked.\n", self.client_id)
    }
}

/// The ids of the keys in a JWKS, or what there is instead.
fn key_ids(jwks: &str) -> Vec<String> {
    let jwks: Value = serde_json::from_str(jwks).unwrap_or_default();
    let keys = jwks["keys"].as_array().cloned().unwrap_or_default();
    let id = |key: &Value| key["kid"].as_str().map_or_else(|| "(no id)".to_owned(), str::to_owned);
    keys.iter().map(id).collect()
}

fn state(disabled: bool) -> String {
    if disabled { "disabled" } else { "enabled" }.to_owned()
}
