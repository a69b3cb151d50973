//! `latchkey api-key`: API keys.

use std::time::Duration;

use anyhow::{bail, ensure};
use clap::{Args, Subcommand};
use secrecy::SecretString;
use serde::Serialize;
use shared::identity::secrets::{SecretDigest, SecretKind, generate};
use shared::oauth::scope::Scopes;
use shared::runtime::clock;
use shared::store::api_keys::{ApiKey, ApiKeySummary};
use shared::store::table::StoreError;

use super::connection::{Connection, TableArgs};
use super::output::{Done, Format, List, Noted, Report, show_once};
use super::validation;

/// Manage API keys
#[derive(Args)]
pub struct ApiKeyArgs {
    #[command(flatten)]
    table: TableArgs,
    #[command(subcommand)]
    command: ApiKeyCommand,
}

#[derive(Subcommand)]
enum ApiKeyCommand {
    /// Create an API key and print it once
    #[command(after_help = "Examples:\n  \
        latchkey api-key create --owner billing --scope todo:read\n  \
        latchkey api-key create --owner ada@example.com --scope todo:read --expires 90d --output json")]
    Create(CreateArgs),
    /// List all API keys
    List,
    /// Revoke an API key permanently
    #[command(after_help = "Example:\n  \
        latchkey api-key revoke key_0123456789abcdef0123    # the id from `latchkey api-key list`")]
    Revoke {
        /// API key id, key_…
        id: String,
    },
}

#[derive(Args)]
struct CreateArgs {
    /// Owner, for example a team or an email address, which back ends get as `owner`
    #[arg(long)]
    owner: String,
    /// Scopes of the API key
    #[arg(long = "scope", value_name = "SCOPE", num_args = 1.., required = true)]
    scopes: Vec<String>,
    /// Lifetime, for example 90d or 12h [default: no expiry]
    #[arg(long, value_name = "DURATION", value_parser = validation::duration)]
    expires: Option<Duration>,
}

impl ApiKeyArgs {
    /// Runs the command.
    ///
    /// # Errors
    /// Invalid input, and a store that does not answer.
    pub async fn run(self, format: Format) -> anyhow::Result<()> {
        let connection = Connection::open(&self.table).await?;
        let result = run(self.command, &connection, format).await;
        result.map_err(|error| connection.explain(error))
    }
}

async fn run(command: ApiKeyCommand, connection: &Connection, format: Format) -> anyhow::Result<()> {
    let now = clock::now();
    match command {
        ApiKeyCommand::Create(CreateArgs { owner, scopes, expires }) => {
            let answer = create(connection, Spec { owner, scopes, lifetime: expires }, now).await?;
            let note = "Store the API key now. Latchkey stores its digest only and can't print it again.";
            format.print(&Noted { answer, note: note.to_owned() })
        }
        ApiKeyCommand::List => {
            let keys = connection.api_keys.list().await?;
            format.print(&Listed { keys: keys.into_iter().map(Shown::from).collect(), now })
        }
        ApiKeyCommand::Revoke { id } => format.print(&revoke(connection, id).await?),
    }
}

/// The settings of a new API key.
pub struct Spec {
    /// The owner.
    pub owner: String,
    /// The scopes.
    pub scopes: Vec<String>,
    /// The lifetime. `None` is no expiry.
    pub lifetime: Option<Duration>,
}

impl Spec {
    fn into_api_key(self, digest: SecretDigest, now: u64) -> anyhow::Result<ApiKey> {
        validation::owner(&self.owner)?;
        let seconds = self.lifetime.map(|duration| duration.as_secs());
        ensure!(seconds != Some(0), "--expires is shorter than a second. Give a longer time");
        Ok(ApiKey {
            scopes: validation::scopes(&self.scopes)?,
            id: ApiKey::id_of(&digest),
            digest,
            owner: self.owner,
            key_expires_at: seconds.map(|seconds| now.saturating_add(seconds)),
            disabled: false,
            created_at: now,
        })
    }
}

/// A new API key.
#[derive(Serialize)]
pub struct Created {
    /// The key's id in lists and logs.
    pub id: String,
    /// The key. The table holds its digest only.
    #[serde(serialize_with = "show_once")]
    pub api_key: SecretString,
}

impl Report for Created {}

/// Creates an API key. `now` is in seconds since 1970.
///
/// # Errors
/// Invalid settings, and a store that does not answer.
pub async fn create(connection: &Connection, spec: Spec, now: u64) -> anyhow::Result<Created> {
    let (api_key, digest) = generate(SecretKind::ApiKey);
    let stored = spec.into_api_key(digest, now)?;
    connection.api_keys.create(&stored).await?;
    Ok(Created { id: stored.id, api_key })
}

async fn revoke(connection: &Connection, id: String) -> anyhow::Result<Done> {
    let known = connection.api_keys.list().await?.iter().any(|key| key.id == id);
    if known {
        // First, because authorizers that have cached the key read the block. If the command is interrupted here,
        // the block ends with the longest token lifetime. Running the command again revokes the key permanently.
        connection.block(&id).await?;
    }
    match connection.api_keys.revoke(&id).await {
        // The text must not repeat a secret that was typed by mistake.
        Err(StoreError::Missing) if id.starts_with("lk_") => {
            bail!("the input is an API key, not an API key id. `latchkey api-key list` shows the ids")
        }
        Err(StoreError::Missing) => bail!(
            "API key {id} does not exist. `latchkey api-key list` shows all API keys. A new one takes a moment to appear"
        ),
        result => result?,
    }
    let sentence = format!("API key {id} is revoked.");
    Ok(Done::new([("id", id.into()), ("disabled", true.into())], sentence))
}

struct Listed {
    keys: Vec<Shown>,
    now: u64,
}

impl Serialize for Listed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.keys.serialize(serializer)
    }
}

impl Report for Listed {
    fn render_text(&self) -> String {
        let rows = self.keys.iter().map(|key| Row {
            id: &key.id,
            owner: &key.owner,
            scopes: &key.scopes,
            state: key.state(self.now),
            created_at: key.created_at,
            expires_at: key.expires_at,
        });
        let empty = "There are no API keys. `latchkey api-key create` creates one.";
        List { rows: rows.collect(), empty }.render_text()
    }
}

/// A row of the table. Its state takes the expiry into account, which `disabled` does not.
#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    owner: &'a str,
    scopes: &'a Scopes,
    state: &'static str,
    created_at: u64,
    expires_at: Option<u64>,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    owner: String,
    scopes: Scopes,
    disabled: bool,
    created_at: u64,
    expires_at: Option<u64>,
}

impl From<ApiKeySummary> for Shown {
    fn from(key: ApiKeySummary) -> Self {
        Self {
            id: key.id,
            owner: key.owner,
            scopes: key.scopes,
            disabled: key.disabled,
            created_at: key.created_at,
            expires_at: key.key_expires_at,
        }
    }
}

impl Shown {
    fn state(&self, now: u64) -> &'static str {
        if self.disabled {
            "revoked"
        } else if self.expires_at.is_some_and(|expires_at| expires_at <= now) {
            "expired"
        } else {
            "valid"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expiry(lifetime: Option<u64>) -> Option<Option<u64>> {
        let (_, digest) = generate(SecretKind::ApiKey);
        let lifetime = lifetime.map(Duration::from_secs);
        let spec = Spec { owner: "team".to_owned(), scopes: vec!["a".to_owned()], lifetime };
        spec.into_api_key(digest, 100).ok().map(|key| key.key_expires_at)
    }

    #[test]
    fn api_key_expires_after_its_lifetime_or_never() {
        assert_eq!(expiry(None), Some(None));
        assert_eq!(expiry(Some(1)), Some(Some(101)));
        assert_eq!(expiry(Some(u64::MAX)), Some(Some(u64::MAX)));
        assert_eq!(expiry(Some(0)), None);
    }

    #[test]
    fn state_is_valid_expired_or_revoked() {
        let key = |disabled, expires_at| Shown {
            id: String::new(),
            owner: String::new(),
            scopes: Scopes::default(),
            disabled,
            created_at: 0,
            expires_at,
        };
        assert_eq!(key(false, None).state(100), "valid");
        assert_eq!(key(false, Some(101)).state(100), "valid");
        assert_eq!(key(false, Some(100)).state(100), "expired");
        assert_eq!(key(true, Some(100)).state(100), "revoked");
    }
}
