//! `latchkey signing-key`: the timeline of the keys that sign tokens.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;
use shared::clock;
use shared::store::rotation::{CACHES, DEFAULT_LEAD, RotationError, rotate};
use shared::token::keyring::Timed;
use shared::token::signing_keys::{KeyDocument, StoredKey};
use shared::wire::jose::Algorithm;

use super::connection::{Connection, SecretArgs, TableArgs};
use super::output::{Format, Report, optional_time, table, time};

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
        after_help = "A new key signs only when everybody has heard of it. The default lead of 4 hours is \
        longer than the caches on the way together: 2 hours in API Gateway's JWT authorizer, 1 hour that an HTTP \
        cache may keep our JWKS, 5 minutes in the functions that sign. The very first key signs at once.\n\n\
        Examples:\n  \
        latchkey signing-key rotate\n  \
        latchkey signing-key rotate --lead 0s          after the first deployment\n  \
        latchkey signing-key rotate --algorithm ES256"
    )]
    Rotate(RotateArgs),
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
    Algorithm::from_name(name).ok_or("the algorithms are RS256, ES256 and EdDSA")
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
    let document = secret.read().await?;
    let document = match command {
        SigningKeyCommand::Status => document,
        SigningKeyCommand::Rotate(RotateArgs { lead, algorithm }) => {
            let algorithm = algorithm.unwrap_or_else(|| newest_algorithm(&document));
            if document.keys.signing(now).is_some() && lead.as_secs() < CACHES {
                eprintln!(
                    "latchkey: warning: caches may not know the new key for up to {}: until then some of its tokens \
                     are refused",
                    humantime::format_duration(Duration::from_secs(CACHES))
                );
            }
            rotate(&secret, &connection.trust, algorithm, lead.as_secs(), now).await.map_err(|error| {
                match error {
                    RotationError::Store(error) => anyhow::Error::from(error),
                    RotationError::Secret(error) => error.into(),
                }
            })?
        }
    };
    format.print(&Timeline::of(&document, now))
}

/// Rotation changes the key, and the algorithm only when told to.
fn newest_algorithm(document: &KeyDocument) -> Algorithm {
    document.keys.iter().last().map_or(Algorithm::Rs256, |timed| timed.key.algorithm())
}

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// Published, not yet signing.
    Upcoming,
    /// Signs.
    Signing,
    /// Signs no more, or was overtaken before it did; what it signed is accepted.
    Retiring,
    /// What it signed is refused.
    Retired,
}

#[derive(Serialize)]
struct Timeline {
    keys: Vec<Shown>,
}

/// A key without its private half. Times are in seconds since 1970.
#[derive(Serialize)]
struct Shown {
    kid: String,
    algorithm: Algorithm,
    state: State,
    published_at: u64,
    signs_from: u64,
    retires_at: Option<u64>,
}

impl Timeline {
    fn of(document: &KeyDocument, now: u64) -> Self {
        let keys: Vec<_> = document.keys.iter().collect();
        let signing = document.keys.signing(now).map(StoredKey::key_id);
        let shown = |(index, timed): (usize, &&Timed<StoredKey>)| Shown {
            kid: timed.key.key_id().to_owned(),
            algorithm: timed.key.algorithm(),
            state: if signing == Some(timed.key.key_id()) {
                State::Signing
            } else {
                state(timed, keys.iter().skip(index + 1).copied(), now)
            },
            published_at: timed.published_at,
            signs_from: timed.signs_from,
            retires_at: timed.retires_at,
        };
        Self { keys: keys.iter().enumerate().map(shown).collect() }
    }
}

/// Where a key stands that doesn't sign now. `later` are those that were made after it: once one of them
/// signs, it never will.
fn state<'a, K: 'a>(timed: &Timed<K>, mut later: impl Iterator<Item = &'a Timed<K>>, now: u64) -> State {
    if timed.retires_at.is_some_and(|retires_at| retires_at <= now) {
        State::Retired
    } else if timed.signs_from > now && !later.any(|other| other.signs_from <= timed.signs_from) {
        State::Upcoming
    } else {
        State::Retiring
    }
}

impl Report for Timeline {
    fn for_people(&self) -> String {
        let row = |key: &Shown| {
            let state = match key.state {
                State::Upcoming => "upcoming",
                State::Signing => "signing",
                State::Retiring => "retiring",
                State::Retired => "retired",
            };
            [
                key.kid.clone(),
                key.algorithm.name().to_owned(),
                state.to_owned(),
                time(key.published_at),
                time(key.signs_from),
                optional_time(key.retires_at),
            ]
        };
        let header = ["kid", "algorithm", "state", "published", "signs from", "retires"];
        let nothing = "There is no signing key yet: `latchkey signing-key rotate` makes the first.";
        table(header, self.keys.iter().map(row).collect(), nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_waits_until_it_signs_or_is_overtaken() {
        let timed = |signs_from| Timed { key: (), published_at: 0, signs_from, retires_at: Some(200) };
        let state = |later: &[Timed<()>], now| state(&timed(100), later.iter(), now);
        assert_eq!(state(&[], 99), State::Upcoming);
        assert_eq!(state(&[timed(101)], 99), State::Upcoming);
        assert_eq!(state(&[timed(100)], 99), State::Retiring);
        assert_eq!(state(&[], 199), State::Retiring);
        assert_eq!(state(&[], 200), State::Retired);
    }

    #[test]
    fn a_rotation_keeps_the_algorithm() {
        let mut document = KeyDocument::default();
        assert_eq!(newest_algorithm(&document), Algorithm::Rs256);
        for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
            document.keys.append(StoredKey::generate(algorithm).unwrap(), 0, 100);
            assert_eq!(newest_algorithm(&document), algorithm);
        }
    }
}
