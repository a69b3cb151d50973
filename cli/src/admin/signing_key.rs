//! `latchkey signing-key`: the timeline of the keys that sign tokens.

mod timeline;

use std::time::Duration;

use clap::{Args, Subcommand};
use shared::jose::algorithm::Algorithm;
use shared::runtime::clock;
use shared::signing::rotation::{DEFAULT_LEAD, MAX_KEY_CACHE_AGE, Rotation};
use shared::trust::key_schedule::{KeySchedule, ScheduledKey};
use shared::trust::published_keys::PublishedKey;

use self::timeline::Timeline;
use super::connection::{Connection, SecretArgs, TableArgs};
use super::output::Format;
use crate::tone::Tone;

/// Signing keys: the timeline of the keys that sign tokens
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
    /// Show every key: since when it is published, from when it signs, when it retires
    Status,
    /// Publish a new key now, and let it sign later
    #[command(
        after_help = "In AWS the rotation function does this by itself, at deployment and then on schedule. A new key \
        signs only when everybody has heard of it. The default lead of 4 hours is longer than the caches on the way \
        together: 2 hours in API Gateway's JWT authorizer, 1 hour that an HTTP cache may keep our JWKS, and \
        half an hour that we answer it from memory while the table is out of reach. The very first key signs at \
        once. A rotation that was interrupted is carried on with.\n\n\
        Examples:\n  \
        latchkey signing-key rotate\n  \
        latchkey signing-key rotate --algorithm ES256"
    )]
    Rotate(RotateArgs),
    /// End a key that leaked: what it signed is refused within seconds, and another signs at once
    #[command(after_help = "Our authorizer refuses its tokens as soon as it reads its trust bundle again \
        (TRUST_REFRESH_SECONDS, 15 by default), and so does introspection. Others that verify by our JWKS go on for \
        as long as they cache it: API Gateway's JWT authorizer up to 2 hours, HTTP caches up to 1 hour. Everybody \
        who holds one of its tokens has to sign in again.")]
    Revoke {
        /// The key's id, as `signing-key status` shows it
        // One in 64 begins with a hyphen: it is a digest in base64url.
        #[arg(value_name = "KID", allow_hyphen_values = true)]
        key_id: String,
    },
}

#[derive(Args)]
struct RotateArgs {
    /// How long the key is published before it signs, for example 4h
    #[arg(long, value_name = "DURATION", default_value_t = Duration::from_secs(DEFAULT_LEAD).into())]
    lead: humantime::Duration,
    /// The key's algorithm: RS256, ES256 or EdDSA [default: the newest key's, or RS256]
    #[arg(long, env = "SIGNING_ALGORITHM", hide_env_values = true, value_name = "NAME", value_parser = algorithm)]
    algorithm: Option<Algorithm>,
}

fn algorithm(name: &str) -> Result<Algorithm, &'static str> {
    Algorithm::for_signing(name).ok_or("the algorithms are RS256, ES256 and EdDSA")
}

impl SigningKeyArgs {
    /// Carries out the command.
    ///
    /// # Errors
    /// A command that was refused, or a store that does not answer.
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
    let rotation = Rotation::new(secret.clone(), connection.trust.clone());
    let timeline = connection.trust.timeline().await?;
    match command {
        SigningKeyCommand::Status => {}
        SigningKeyCommand::Rotate(RotateArgs { lead, algorithm }) => {
            let lead = lead.as_secs();
            if lead < MAX_KEY_CACHE_AGE && rotation.signs(now).await? {
                warn(&format!(
                    "caches may not know the new key for up to {}: until then some of its tokens are refused",
                    humantime::format_duration(Duration::from_secs(MAX_KEY_CACHE_AGE))
                ));
            }
            let algorithm = algorithm.unwrap_or_else(|| newest_algorithm(&timeline));
            rotation.rotate(algorithm, lead, now).await?;
        }
        SigningKeyCommand::Revoke { key_id } => {
            revoke(&rotation, connection, &key_id, newest_algorithm(&timeline), now).await?;
        }
    }
    let held = secret.current().await?.map(|version| version.document).unwrap_or_default();
    format.print(&Timeline::of(&connection.trust.timeline().await?, &held, now))
}

async fn revoke(
    rotation: &Rotation,
    connection: &Connection,
    key_id: &str,
    algorithm: Algorithm,
    now: u64,
) -> anyhow::Result<()> {
    if let Err(error) = rotation.revoke(key_id, algorithm, now).await {
        let explained = connection.explain(error.into());
        let is_it = |timed: &ScheduledKey<PublishedKey>| timed.key.kid == key_id && timed.revoked;
        let revoked = connection.trust.timeline().await.is_ok_and(|keys| keys.iter().any(is_it));
        let words =
            "the key is revoked, but there may be no other that signs: run `latchkey signing-key rotate`";
        return Err(if revoked { explained.context(words) } else { explained });
    }
    prepare_successor(rotation, connection, algorithm, now).await.map_err(|error| {
        let words = "the key is revoked and another signs, but its successor is not ready: run `latchkey signing-key rotate`";
        connection.explain(error).context(words)
    })
}

/// After a hasty change the next key should come at leisure.
async fn prepare_successor(
    rotation: &Rotation,
    connection: &Connection,
    algorithm: Algorithm,
    now: u64,
) -> anyhow::Result<()> {
    let timeline = connection.trust.timeline().await?;
    let signs = timeline.eligible_signers(now).next();
    let since = timeline.iter().find(|timed| Some(&timed.key) == signs).map(|timed| timed.published_at);
    if since.is_some_and(|since| now < since + MAX_KEY_CACHE_AGE) {
        warn("the key that signs now was published a short while ago: caches may not know it yet");
    }
    if !timeline.iter().any(|timed| timed.is_pending(now)) {
        rotation.rotate(algorithm, DEFAULT_LEAD, now).await?;
    }
    Ok(())
}

fn warn(words: &str) {
    anstream::eprintln!("latchkey: {} {words}", Tone::Waiting.paint("warning:"));
}

/// Rotation changes the key, and the algorithm only when told to.
fn newest_algorithm(timeline: &KeySchedule<PublishedKey>) -> Algorithm {
    timeline.iter().last().and_then(|timed| timed.key.algorithm()).unwrap_or(Algorithm::Rs256)
}
