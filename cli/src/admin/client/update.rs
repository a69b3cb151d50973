//! `latchkey client update`: other settings for a client, which keeps its id and its secrets.

use anyhow::bail;
use clap::{ArgGroup, Args};
use shared::store::clients::ClientChange;
use shared::store::table::StoreError;

use super::report::{Shown, Updated};
use super::settings::SettingsArgs;
use super::{find, unknown};
use crate::admin::connection::Connection;
use crate::admin::rules;

/// At least one of these.
const CHANGES: [&str; 16] = [
    "scopes",
    "audiences",
    "token_ttl",
    "claims",
    "public_key",
    "jwks_url",
    "certificate_subject",
    "grants",
    "quota",
    "no_audience",
    "no_token_ttl",
    "no_claim",
    "no_public_key",
    "no_certificate_subject",
    "no_grant",
    "no_quota",
];

#[derive(Args)]
#[command(group = ArgGroup::new("change").args(CHANGES).required(true).multiple(true))]
pub(super) struct UpdateArgs {
    /// The client's id
    id: String,
    /// Scopes that it may ask for
    #[arg(long = "scope", value_name = "SCOPE", num_args = 1..)]
    scopes: Vec<String>,
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    removals: Removals,
}

/// What is taken away.
#[derive(Args)]
struct Removals {
    /// Take its audiences away: it gets the deployment's
    #[arg(long, conflicts_with = "audiences")]
    no_audience: bool,
    /// Take the life of its tokens away: they get the deployment's
    #[arg(long, conflicts_with = "token_ttl")]
    no_token_ttl: bool,
    /// Take its claims away
    #[arg(long, conflicts_with = "claims")]
    no_claim: bool,
    /// Take its public keys away, or the URL where they are
    #[arg(long, conflicts_with_all = ["public_key", "jwks_url"])]
    no_public_key: bool,
    /// Take the subject of its certificate away
    #[arg(long, conflicts_with = "certificate_subject")]
    no_certificate_subject: bool,
    /// Take its grants away: it may use client_credentials alone
    #[arg(long, conflicts_with = "grants")]
    no_grant: bool,
    /// Take its quota away
    #[arg(long, conflicts_with = "quota")]
    no_quota: bool,
}

impl UpdateArgs {
    /// Changes the client.
    ///
    /// # Errors
    /// A setting that breaks a rule, no such client, and a store that does not answer.
    pub async fn run(self, connection: &Connection) -> anyhow::Result<Updated> {
        let id = self.id.clone();
        let change = self.into_change()?;
        let client = find(connection, &id).await?;
        match connection.clients.update(&client, &change).await {
            // Deleted meanwhile, and perhaps created again for something else.
            Err(StoreError::Changed) => bail!(unknown(&id)),
            result => result?,
        }
        Ok(Updated(Shown::from(find(connection, &id).await?)))
    }

    fn into_change(self) -> anyhow::Result<ClientChange> {
        let Self { scopes, settings, removals, .. } = self;
        let public_keys = settings.public_keys()?;
        rules::audiences(&settings.audiences)?;
        settings.token_ttl.map_or(Ok(()), rules::token_ttl)?;
        settings.certificate_subject.as_deref().map_or(Ok(()), rules::certificate_subject)?;
        let claims = rules::claims(&settings.claims)?;
        Ok(ClientChange {
            scopes: if scopes.is_empty() { None } else { Some(rules::scopes(&scopes)?) },
            audiences: given(settings.audiences, Vec::is_empty, removals.no_audience),
            token_ttl: given(settings.token_ttl, Option::is_none, removals.no_token_ttl),
            claims: given(claims, |claims| claims.is_empty(), removals.no_claim),
            grants: given(
                settings.grants.into_iter().collect(),
                |grants| grants.is_empty(),
                removals.no_grant,
            ),
            public_keys: given(public_keys, Option::is_none, removals.no_public_key),
            certificate_subject: given(
                settings.certificate_subject,
                Option::is_none,
                removals.no_certificate_subject,
            ),
            quota: given(settings.quota, Option::is_none, removals.no_quota),
        })
    }
}

/// What replaces a setting: a value that was given, an empty one where it is taken away, or nothing.
fn given<T>(value: T, is_empty: impl Fn(&T) -> bool, taken_away: bool) -> Option<T> {
    Some(value).filter(|value| taken_away || !is_empty(value))
}
