//! Accounts: users as everything but the password check sees them.

use serde::{Deserialize, Serialize};

use super::table::{StoreError, Table};
use super::usernames::{is_too_long, key};
use crate::wire::scope::Scopes;

/// A user without the password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The user's name; of somebody whom another issuer vouches for the same as `sub`.
    pub username: String,
    /// Our `sub` for them: `usr_` + an id.
    pub sub: String,
    /// The email address: of a federated user the one that was verified at the first sign-in.
    pub email: Option<String>,
    /// The scopes that a sign-in gets.
    pub scopes: Scopes,
    /// Somebody who is disabled can't sign in.
    pub disabled: bool,
    /// Random, and another when the password is changed and when the user is disabled: no token family
    /// outlives its epoch.
    #[serde(default)]
    pub epoch: String,
    /// Seconds since 1970.
    pub created_at: u64,
}

impl Account {
    /// Whether another issuer signs the user in. Such users are named by their `sub`; no user with a password can be,
    /// whatever a user's item holds (see `Users::with_password`).
    pub fn is_federated(&self) -> bool {
        self.username == self.sub
    }
}

/// The accounts in the table.
#[derive(Clone)]
pub struct Accounts(Table);

impl Accounts {
    /// In this table.
    pub fn new(table: Table) -> Self {
        Self(table)
    }

    /// The account of the user of that name, however it is written.
    pub async fn get(&self, username: &str) -> Result<Option<Account>, StoreError> {
        if is_too_long(username) {
            return Ok(None);
        }
        self.0.get(key(username)).await
    }
}
