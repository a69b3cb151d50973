//! Federated identities: people whom another issuer vouches for.
//!
//! At the first sign-in they get a user of their own, without a password, named by its `sub`; the
//! identity is a link to it. So they are listed, disabled and deleted like any other user.

use serde::{Deserialize, Serialize};

use crate::identity::secrets::random_id;
use crate::identity::subjects::new_user_subject;
use crate::oauth::scope::Scopes;
use crate::store::table::{IndexEntry, Key, StoreError, Table};
use crate::store::users;
use crate::store::users::Account;

/// The prefix of identities' keys.
const PREFIX: &str = "IDENTITY#";
const LINK: &str = "LINK";

#[derive(Serialize, Deserialize)]
struct Link {
    username: String,
    created_at: u64,
}

/// The identities in the table.
#[derive(Clone)]
pub struct Identities(Table);

impl Identities {
    /// In this table.
    pub fn new(table: Table) -> Self {
        Self(table)
    }

    /// The user behind this subject of this issuer; none if they have never signed in. The link of one whom an
    /// administrator has deleted stays, so that signing in again does not undo it.
    pub async fn find(&self, issuer: &str, subject: &str) -> Result<Option<LinkedAccount>, StoreError> {
        let Some(link) = self.0.get::<Link>(link_key(issuer, subject)).await? else { return Ok(None) };
        let account: Option<Account> = self.0.get(users::key(&link.username)).await?;
        Ok(Some(match account {
            // A link never signs in a user who has a password, whatever wrote it.
            Some(account) if !account.is_federated() => LinkedAccount::NotFederated,
            account => account.map_or(LinkedAccount::Deleted, LinkedAccount::Account),
        }))
    }

    /// Makes the user at the first sign-in, with the link in one transaction. `Exists` if somebody made
    /// them meanwhile.
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

/// What an identity leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum LinkedAccount {
    /// A user.
    Account(Account),
    /// A user who was deleted.
    Deleted,
    /// A user who signs in with a password.
    NotFederated,
}

fn link_key(issuer: &str, subject: &str) -> Key {
    Key::new(PREFIX, &format!("{issuer}#{subject}"), LINK)
}
