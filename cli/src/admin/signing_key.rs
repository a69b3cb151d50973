//! `latchkey signing-key`: the signing keys and their schedule.

mod schedule;

use std::time::Duration;

use clap::{Args, Subcommand};
use shared::jose::algorithm::Algorithm;
use shared::runtime::clock;
use shared::signing::rotation::{DEFAULT_LEAD, MAX_KEY_CACHE_AGE, Rotation};
use shared::store::table::StoreError;
use shared::trust::key_schedule::{KeySchedule, ScheduledKey};
use shared::trust::published_keys::PublishedKey;

use self::schedule::Schedule;
use super::connection::{Connection, SecretArgs, TableArgs};
use super::output::Format;
use crate::style::Style;

/// Manage signing keys
#[derive(Args)]
pub struct SigningKeyArgs {
    #[command(flatten)]
    table: TableArgs,
    #[command(flatten)]
    secret: SecretArgs,
    #[command(subcommand)]
    command: SigningKeyCommand,
}

#[derive(Subcommand)]
enum SigningKeyCommand {
    /// Show the key schedule
    #[command(
        after_help = "A key is published, signs from its activation on, and retires when its last token has expired.\n\n\
        States:\n  \
        pending   published, not active yet\n  \
        active    signs tokens\n  \
        retiring  does not sign, and its tokens are accepted\n  \
        retired   its tokens are rejected\n  \
        revoked   revoked before it retired, and its tokens are rejected\n  \
        missing   due to sign, but not in the signing secret"
    )]
    Status,
    /// Create and publish a signing key, and activate it after the lead time
    #[command(
        after_help = "On AWS the rotation function does this at deployment and on schedule. A new key becomes active \
        when every cache has had time to load it. The default lead time of 4 hours covers these caches one after \
        another:\n  \
        2 hours     API Gateway's JWT authorizer\n  \
        1 hour      HTTP caches that hold our JWKS\n  \
        30 minutes  our discovery function while the table is out of reach\n\
        The first key is active at once. The command continues a rotation that was interrupted.\n\n\
        Examples:\n  \
        latchkey signing-key rotate\n  \
        latchkey signing-key rotate --algorithm ES256"
    )]
    Rotate(RotateArgs),
    /// Revoke a leaked signing key and activate another one
    #[command(
        after_help = "Our authorizer and introspection reject the key's tokens when they have reloaded the trust \
        snapshot (TRUST_REFRESH_SECONDS, 15 by default). Other verifiers accept them as long as they cache our JWKS: \
        API Gateway's JWT authorizer up to 2 hours, HTTP caches up to 1 hour. Holders of these tokens must sign in \
        again."
    )]
    Revoke {
        /// Key id from `latchkey signing-key status`
        // One in 64 begins with a hyphen, because a key id is a digest in base64url.
        #[arg(value_name = "KID", allow_hyphen_values = true)]
        key_id: String,
    },
}

#[derive(Args)]
struct RotateArgs {
    /// Lead time between publication and activation, for example 4h
    #[arg(long, value_name = "DURATION", default_value_t = Duration::from_secs(DEFAULT_LEAD).into())]
    lead: humantime::Duration,
    /// Algorithm: RS256, ES256 or EdDSA [default: the newest key's, or RS256]
    #[arg(long, env = "SIGNING_ALGORITHM", hide_env_values = true, value_name = "NAME", value_parser = algorithm)]
    algorithm: Option<Algorithm>,
}

fn algorithm(name: &str) -> Result<Algorithm, &'static str> {
    Algorithm::for_signing(name).ok_or("give RS256, ES256 or EdDSA")
}

impl SigningKeyArgs {
    /// Runs the command.
    ///
    /// # Errors
    /// Invalid input, and a store that does not answer.
    pub async fn run(self, format: Format) -> anyhow::Result<()> {
        let connection = Connection::open(&self.table).await?;
        let result = run(self.command, &connection, &self.secret, format).await;
        result.map_err(|error| connection.explain(error))
    }
}

async fn run(
    command: SigningKeyCommand,
    connection: &Connection,
    secret: &SecretArgs,
    format: Format,
) -> anyhow::Result<()> {
    let now = clock::now();
    let secret = connection.signing_secret(secret).await?;
    let keys = Keys { connection, rotation: Rotation::new(secret.clone(), connection.trust.clone()), now };
    match command {
        SigningKeyCommand::Status => {}
        SigningKeyCommand::Rotate(RotateArgs { lead, algorithm }) => {
            keys.rotate(lead.as_secs(), algorithm).await?;
        }
        SigningKeyCommand::Revoke { key_id } => keys.revoke(&key_id).await?,
    }
    let held = secret.current().await?.map(|version| version.document).unwrap_or_default();
    format.print(&Schedule::of(&keys.schedule().await?, &held, now))
}

/// The signing keys of a deployment.
struct Keys<'a> {
    connection: &'a Connection,
    rotation: Rotation,
    /// Seconds since 1970.
    now: u64,
}

impl Keys<'_> {
    /// Creates and publishes a key. Without `algorithm` it has that of the newest key.
    async fn rotate(&self, lead: u64, algorithm: Option<Algorithm>) -> anyhow::Result<()> {
        if lead < MAX_KEY_CACHE_AGE && self.rotation.signs(self.now).await? {
            warn(&format!(
                "caches may lack the new key for up to {}. Verifiers reject some of its tokens until then",
                humantime::format_duration(Duration::from_secs(MAX_KEY_CACHE_AGE))
            ));
        }
        let algorithm = algorithm.unwrap_or(newest_algorithm(&self.schedule().await?));
        Ok(self.rotation.rotate(algorithm, lead, self.now).await?)
    }

    /// Revokes a key and makes sure that there is an active and a pending one.
    async fn revoke(&self, key_id: &str) -> anyhow::Result<()> {
        let algorithm = newest_algorithm(&self.schedule().await?);
        if let Err(error) = self.rotation.revoke(key_id, algorithm, self.now).await {
            let is_it =
                |scheduled: &ScheduledKey<PublishedKey>| scheduled.key.kid == key_id && scheduled.revoked;
            let revoked = self.schedule().await.is_ok_and(|keys| keys.iter().any(is_it));
            let error = self.connection.explain(error.into());
            let words = "the key is revoked, but there may be no active key. Run `latchkey signing-key rotate`. Cause";
            return Err(if revoked { error.context(words) } else { error });
        }
        self.publish_next(algorithm).await.map_err(|error| {
            let words = "the key is revoked and another one is active, but creating the next key failed. Run \
                `latchkey signing-key rotate`. Cause";
            self.connection.explain(error).context(words)
        })
    }

    /// Publishes the next key with the full lead time, because a revocation may have activated the pending one.
    async fn publish_next(&self, algorithm: Algorithm) -> anyhow::Result<()> {
        let schedule = self.schedule().await?;
        let active = schedule.eligible_signers(self.now).next();
        let active = schedule.iter().find(|scheduled| Some(&scheduled.key) == active);
        if active.is_some_and(|active| self.now < active.published_at + MAX_KEY_CACHE_AGE) {
            warn(
                "the active key was published a short while ago. Verifiers with an old cache reject its tokens",
            );
        }
        if !schedule.iter().any(|scheduled| scheduled.is_pending(self.now)) {
            self.rotation.rotate(algorithm, DEFAULT_LEAD, self.now).await?;
        }
        Ok(())
    }

    async fn schedule(&self) -> Result<KeySchedule<PublishedKey>, StoreError> {
        self.connection.trust.key_schedule().await
    }
}

fn warn(words: &str) {
    anstream::eprintln!("latchkey: {} {words}", Style::Pending.paint("warning:"));
}

/// The algorithm of the newest key, which a rotation keeps.
fn newest_algorithm(schedule: &KeySchedule<PublishedKey>) -> Algorithm {
    schedule.iter().last().and_then(|scheduled| scheduled.key.algorithm()).unwrap_or(Algorithm::Rs256)
}
