//! Federated identities: users whom a trusted issuer signs in.
//!
//! The first sign-in creates a user without a password, whose name is its `sub`, and an identity that links to it. Such
//! users are listed, disabled and deleted like other users.

use serde::{Deserialize, Serialize};

use crate::identity::secrets::random_id;
use crate::identity::subjects::new_user_subject;
use crate::oauth::scope::Scopes;
use crate::store::table::{IndexEntry, Key, StoreError, Table};
use crate::store::users;
use crate::store::users::Account;

/// Prefix of the partition key.
const PREFIX: &str = "IDENTITY#";
const LINK: &str = "LINK";

#[derive(Serialize, Deserialize)]
struct Link {
    username: String,
    created_at: u64,
}

/// The federated identities in the table.
#[derive(Clone)]
pub struct Identities(Table);

impl Identities {
    /// The federated identities of this table.
    pub fn new(table: Table) -> Self {
        Self(table)
    }

    /// The user of this subject of this issuer, or none before the first sign-in. The link of a deleted user stays, so
    /// that another sign-in does not create the user again.
    pub async fn find(&self, issuer: &str, subject: &str) -> Result<Option<LinkedAccount>, StoreError> {
        let Some(link) = self.0.get::<Link>(link_key(issuer, subject)).await? else { return Ok(None) };
        let account: Option<Account> = self.0.get(users::key(&link.username)).await?;
        Ok(Some(match account {
            // A link must never sign in a user with a password, whatever wrote the link.
            Some(account) if !account.is_federated() => LinkedAccount::NotFederated,
            account => account.map_or(LinkedAccount::Deleted, LinkedAccount::Account),
        }))
    }

    /// Creates the user and the link in one transaction. `Exists` if a concurrent sign-in created them.
    pub async fn create(
        &self,
        issuer: &str,
        subject: &str,
        email: Option<String>,
        now: u64,
    ) -> Result<Account, StoreError> {
        let sub = new_user_subject();
        let link = Link { username: sub.clone(), created_at: now };
        let account = Account {
            username: sub.clone(),
            sub,
            email,
            scopes: Scopes::default(),
            disabled: false,
            epoch: random_id(""),
            created_at: now,
        };
        let listed = IndexEntry { kind: users::KIND, name: &account.username };
        let user = Table::item(users::key(&account.username), &account, Some(listed))?;
        let link = Table::item(link_key(issuer, subject), &link, None)?;
        self.0.create_all([user, link]).await?;
        Ok(account)
    }
}

/// The user that an identity links to.
#[derive(Debug, PartialEq, Eq)]
pub enum LinkedAccount {
    /// A user.
    Account(Account),
    /// A deleted user.
    Deleted,
    /// A user with a password.
    NotFederated,
}

fn link_key(issuer: &str, subject: &str) -> Key {
    Key::new(PREFIX, &format!("{issuer}#{subject}"), LINK)
}
