//! `latchkey client update`: changes settings of a client, which keeps its id and its secrets.

use anyhow::bail;
use clap::{ArgGroup, Args};
use shared::store::clients::ClientChange;
use shared::store::table::StoreError;

use super::settings::SettingsArgs;
use super::shown::Shown;
use super::{find, unknown};
use crate::admin::connection::Connection;
use crate::admin::output::Noted;
use crate::admin::validation;

/// At least one of these options is required.
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
    /// Client id
    id: String,
    /// Scopes that the client may request
    #[arg(long = "scope", value_name = "SCOPE", num_args = 1..)]
    scopes: Vec<String>,
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    removals: Removals,
}

/// The options that remove a setting.
#[derive(Args)]
struct Removals {
    /// Remove the audiences and use the deployment's
    #[arg(long, conflicts_with = "audiences")]
    no_audience: bool,
    /// Remove the token lifetime and use the deployment's
    #[arg(long, conflicts_with = "token_ttl")]
    no_token_ttl: bool,
    /// Remove the custom claims
    #[arg(long, conflicts_with = "claims")]
    no_claim: bool,
    /// Remove the public keys or their URL
    #[arg(long, conflicts_with_all = ["public_key", "jwks_url"])]
    no_public_key: bool,
    /// Remove the certificate subject
    #[arg(long, conflicts_with = "certificate_subject")]
    no_certificate_subject: bool,
    /// Remove the grants and allow client_credentials only
    #[arg(long, conflicts_with = "grants")]
    no_grant: bool,
    /// Remove the quota
    #[arg(long, conflicts_with = "quota")]
    no_quota: bool,
}

impl UpdateArgs {
    /// Changes the client.
    ///
    /// # Errors
    /// An invalid setting, a client that does not exist, and a store that does not answer.
    pub async fn run(self, connection: &Connection) -> anyhow::Result<Noted<Shown>> {
        let id = self.id.clone();
        let change = self.into_change()?;
        let client = find(connection, &id).await?;
        match connection.clients.update(&client, &change).await {
            // Another command deleted the client, and perhaps created one of the same id.
            Err(StoreError::Changed) => bail!(unknown(&id)),
            result => result?,
        }
        let answer = Shown::from(find(connection, &id).await?);
        let note = format!(
            "Access tokens already issued don't change until they expire. `latchkey client disable {}`, then `enable`, \
             revokes them.",
            answer.client_id
        );
        Ok(Noted { answer, note })
    }

    fn into_change(self) -> anyhow::Result<ClientChange> {
        let Self { scopes, settings, removals, .. } = self;
        let public_keys = settings.public_keys()?;
        validation::audiences(&settings.audiences)?;
        settings.token_ttl.map_or(Ok(()), validation::token_ttl)?;
        settings.certificate_subject.as_deref().map_or(Ok(()), validation::certificate_subject)?;
        let claims = validation::claims(&settings.claims)?;
        Ok(ClientChange {
            scopes: if scopes.is_empty() { None } else { Some(validation::scopes(&scopes)?) },
            audiences: given(settings.audiences, Vec::is_empty, removals.no_audience),
            token_ttl: given(settings.token_ttl, Option::is_none, removals.no_token_ttl),
            claims: given(claims, std::collections::BTreeMap::is_empty, removals.no_claim),
            grants: given(
                settings.grants.into_iter().collect(),
                std::collections::BTreeSet::is_empty,
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

/// The new value of a setting: the given one, an empty one to remove it, or `None` to keep it.
fn given<T>(value: T, is_empty: impl Fn(&T) -> bool, removed: bool) -> Option<T> {
    Some(value).filter(|value| removed || !is_empty(value))
}
