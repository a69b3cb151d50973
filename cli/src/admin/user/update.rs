//! `latchkey user update`: changes scopes or email address of a user, who keeps username, `sub` and password.

use anyhow::{bail, ensure};
use clap::{ArgGroup, Args};
use shared::store::table::StoreError;
use shared::store::users::UserChange;

use super::shown::Shown;
use super::{find, unknown};
use crate::admin::connection::Connection;
use crate::admin::output::Noted;
use crate::admin::validation;

#[derive(Args)]
#[command(group = ArgGroup::new("change")
    .args(["email", "scopes", "no_email", "no_scope"]).required(true).multiple(true))]
pub(super) struct UpdateArgs {
    /// Username
    name: String,
    /// Email address
    #[arg(long)]
    email: Option<String>,
    /// Scopes of the user
    #[arg(long = "scope", value_name = "SCOPE", num_args = 1..)]
    scopes: Vec<String>,
    /// Remove the email address
    #[arg(long, conflicts_with = "email")]
    no_email: bool,
    /// Remove all scopes
    #[arg(long, conflicts_with = "scopes")]
    no_scope: bool,
}

impl UpdateArgs {
    /// Changes the user.
    ///
    /// # Errors
    /// Invalid settings, a user who does not exist, a federated user, and a store that does not answer.
    pub async fn run(self, connection: &Connection) -> anyhow::Result<Noted<Shown>> {
        let name = self.name.clone();
        let change = self.into_change()?;
        let user = find(connection, &name).await?;
        // Scopes and email address come with each sign-in, so a change here would not reach a token.
        ensure!(
            !user.is_federated(),
            "user {name} signs in at another issuer, which sets email address and scopes. Change the parameter \
             GoogleScopes or TrustedIssuers, or run `latchkey user disable {name}`"
        );
        match connection.users.update(&user, &change).await {
            // Another command deleted the user, and perhaps created one of the same name.
            Err(StoreError::Changed) => bail!(unknown(&name)),
            result => result?,
        }
        let answer = Shown::from(find(connection, &name).await?);
        let note = format!(
            "Access tokens already issued don't change until they expire. `latchkey user disable {}`, then `enable`, \
             revokes them.",
            answer.username
        );
        Ok(Noted { answer, note })
    }

    fn into_change(self) -> anyhow::Result<UserChange> {
        self.email.as_deref().map_or(Ok(()), validation::email)?;
        let scopes = validation::scopes(&self.scopes)?;
        Ok(UserChange {
            email: (self.no_email || self.email.is_some()).then_some(self.email),
            scopes: (self.no_scope || !self.scopes.is_empty()).then_some(scopes),
        })
    }
}
