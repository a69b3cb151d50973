//! `latchkey api-key`: secrets that open routes by themselves.

use std::time::Duration;

use anyhow::{bail, ensure};
use clap::{Args, Subcommand};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use shared::identity::secrets::{SecretDigest, SecretKind, generate};
use shared::oauth::scope::Scopes;
use shared::runtime::clock;
use shared::store::api_keys::{ApiKey, ApiKeySummary};
use shared::store::table::StoreError;

use super::connection::{Connection, TableArgs};
use super::output::{Format, Report, fields, optional_time, show_once, table, time};
use super::rules;

/// API keys: secrets that open routes by themselves
#[derive(Args)]
pub struct ApiKeyArgs {
    #[command(flatten)]
    table: TableArgs,
    #[command(subcommand)]
    command: ApiKeyCommand,
}

#[derive(Subcommand)]
enum ApiKeyCommand {
    /// Make an API key and show it, this once
    #[command(after_help = "Examples:\n  \
        latchkey api-key create --owner billing --scope todo:read\n  \
        latchkey api-key create --owner ada@example.com --scope todo:read --expires 90d --output json")]
    Create(CreateArgs),
    /// List all API keys
    List,
    /// Make an API key useless, for good
    #[command(after_help = "Example:\n  \
        latchkey api-key revoke key_0123456789abcdef0123    # the id, as `latchkey api-key list` has it")]
    Revoke {
        /// The key's id, key_…
        id: String,
    },
}

#[derive(Args)]
struct CreateArgs {
    /// Whose key it is, for example a team or an email address; back ends get it as `owner`
    #[arg(long)]
    owner: String,
    /// Scopes that it opens
    #[arg(long = "scope", value_name = "SCOPE", num_args = 1.., required = true)]
    scopes: Vec<String>,
    /// For how long it is good, for example 90d or 12h [default: until it is revoked]
    #[arg(long, value_name = "DURATION", value_parser = rules::duration)]
    expires: Option<Duration>,
}

impl ApiKeyArgs {
    /// Carries out the command.
    ///
    /// # Errors
    /// A command that was refused, or a store that does not answer.
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
            format.print(&create(connection, Spec { owner, scopes, good_for: expires }, now).await?)
        }
        ApiKeyCommand::List => {
            let keys = connection.api_keys.list().await?;
            format.print(&Listed { keys: keys.into_iter().map(Shown::from).collect(), now })
        }
        ApiKeyCommand::Revoke { id } => format.print(&revoke(connection, id).await?),
    }
}

/// What a new API key is to be.
pub struct Spec {
    /// Whose key it is.
    pub owner: String,
    /// The scopes that it opens.
    pub scopes: Vec<String>,
    /// How long it is good; none for as long as it isn't revoked.
    pub good_for: Option<Duration>,
}

impl Spec {
    fn into_api_key(self, digest: SecretDigest, now: u64) -> anyhow::Result<ApiKey> {
        rules::owner(&self.owner)?;
        let seconds = self.good_for.map(|duration| duration.as_secs());
        ensure!(seconds != Some(0), "a key that expires at once opens nothing: give --expires a longer time");
        Ok(ApiKey {
            scopes: rules::scopes(&self.scopes)?,
            id: ApiKey::id_of(&digest),
            digest,
            owner: self.owner,
            key_expires_at: seconds.map(|seconds| now.saturating_add(seconds)),
            disabled: false,
            created_at: now,
        })
    }
}

/// An API key that was made.
#[derive(Serialize)]
pub struct Created {
    /// The key's name in lists and logs.
    pub id: String,
    /// The key itself, which is stored nowhere.
    #[serde(serialize_with = "show_once")]
    pub api_key: SecretString,
}

impl Report for Created {
    fn for_people(&self) -> String {
        let shown = fields(&[("id", self.id.clone()), ("api_key", self.api_key.expose_secret().to_owned())]);
        shown + "\nKeep the key now: only its digest is stored, and it is not shown again.\n"
    }
}

/// Makes an API key. `now` is in seconds since 1970.
///
/// # Errors
/// A specification that breaks a rule.
pub async fn create(connection: &Connection, spec: Spec, now: u64) -> anyhow::Result<Created> {
    let (api_key, digest) = generate(SecretKind::ApiKey);
    let stored = spec.into_api_key(digest, now)?;
    connection.api_keys.create(&stored).await?;
    Ok(Created { id: stored.id, api_key })
}

async fn revoke(connection: &Connection, id: String) -> anyhow::Result<Revoked> {
    let known = connection.api_keys.list().await?.iter().any(|key| key.id == id);
    if known {
        // First, because it is what counts where the key was read already. Stopped in between, the key works
        // nowhere for a day; running the command again makes it for good.
        connection.block(&id).await?;
    }
    match connection.api_keys.revoke(&id).await {
        // A secret that was typed in the wrong place is not repeated.
        Err(StoreError::Missing) if id.starts_with("lk_") => {
            bail!("that is a key, not a key's id: `latchkey api-key list` shows the ids")
        }
        Err(StoreError::Missing) => bail!(
            "there is no API key {id}: `latchkey api-key list` shows which there are; one that was just made takes a moment"
        ),
        result => result?,
    }
    Ok(Revoked { id, disabled: true })
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
    fn for_people(&self) -> String {
        let row = |key: &Shown| {
            [
                key.id.clone(),
                key.owner.clone(),
                key.scopes.to_string(),
                key.state(self.now).to_owned(),
                time(key.created_at),
                optional_time(key.expires_at),
            ]
        };
        let nothing = "There are no API keys yet: see `latchkey api-key create --help`.";
        let header = ["id", "owner", "scopes", "state", "created", "expires"];
        table(header, self.keys.iter().map(row).collect(), nothing)
    }
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
            "good"
        }
    }
}

#[derive(Serialize)]
struct Revoked {
    id: String,
    disabled: bool,
}

impl Report for Revoked {
    fn for_people(&self) -> String {
        format!("API key {} is revoked.\n", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expiry(good_for: Option<u64>) -> Option<Option<u64>> {
        let (_, digest) = generate(SecretKind::ApiKey);
        let good_for = good_for.map(Duration::from_secs);
        let spec = Spec { owner: "team".to_owned(), scopes: vec!["a".to_owned()], good_for };
        spec.into_api_key(digest, 100).ok().map(|key| key.key_expires_at)
    }

    #[test]
    fn a_key_is_good_for_some_time_or_for_ever() {
        assert_eq!(expiry(None), Some(None));
        assert_eq!(expiry(Some(1)), Some(Some(101)));
        assert_eq!(expiry(Some(u64::MAX)), Some(Some(u64::MAX)));
        assert_eq!(expiry(Some(0)), None);
    }

    #[test]
    fn a_key_shows_whether_it_is_good() {
        let key = |disabled, expires_at| Shown {
            id: String::new(),
            owner: String::new(),
            scopes: Scopes::default(),
            disabled,
            created_at: 0,
            expires_at,
        };
        assert_eq!(key(false, None).state(100), "good");
        assert_eq!(key(false, Some(101)).state(100), "good");
        assert_eq!(key(false, Some(100)).state(100), "expired");
        assert_eq!(key(true, Some(100)).state(100), "revoked");
    }
}
