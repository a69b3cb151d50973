//! `latchkey user update`: other scopes or another email address for a user, who keeps name, `sub` and password.

use anyhow::{bail, ensure};
use clap::{ArgGroup, Args};
use shared::store::table::StoreError;
use shared::store::users::UserChange;

use super::report::{Shown, Updated};
use super::{find, unknown};
use crate::admin::connection::Connection;
use crate::admin::rules;

#[derive(Args)]
#[command(group = ArgGroup::new("change")
    .args(["email", "scopes", "no_email", "no_scope"]).required(true).multiple(true))]
pub(super) struct UpdateArgs {
    /// The user's name
    name: String,
    /// Their email address
    #[arg(long)]
    email: Option<String>,
    /// Scopes that a sign-in gets
    #[arg(long = "scope", value_name = "SCOPE", num_args = 1..)]
    scopes: Vec<String>,
    /// Take their email address away
    #[arg(long, conflicts_with = "email")]
    no_email: bool,
    /// Take all scopes away
    #[arg(long, conflicts_with = "scopes")]
    no_scope: bool,
}

impl UpdateArgs {
    /// Changes the user.
    ///
    /// # Errors
    /// What breaks a rule, no such user, one who signs in through another issuer, and a store that does not answer.
    pub async fn run(self, connection: &Connection) -> anyhow::Result<Updated> {
        let name = self.name.clone();
        let change = self.into_change()?;
        let user = find(connection, &name).await?;
        // Their scopes and address come with each sign-in: a change here would not reach a token.
        ensure!(
            !user.is_federated(),
            "user {name} signs in through another issuer, which gives the email address, and whose rules give the \
             scopes: change the parameter GoogleScopes or TrustedIssuers, or `latchkey user disable {name}`"
        );
        match connection.users.update(&user, &change).await {
            // Deleted meanwhile, and perhaps created again for another user.
            Err(StoreError::Changed) => bail!(unknown(&name)),
            result => result?,
        }
        Ok(Updated(Shown::from(find(connection, &name).await?)))
    }

    fn into_change(self) -> anyhow::Result<UserChange> {
        self.email.as_deref().map_or(Ok(()), rules::email)?;
        let scopes = rules::scopes(&self.scopes)?;
        Ok(UserChange {
            email: (self.no_email || self.email.is_some()).then_some(self.email),
            scopes: (self.no_scope || !self.scopes.is_empty()).then_some(scopes),
        })
    }
}
