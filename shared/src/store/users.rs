//! Users.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value;
use serde_json::json;

use crate::identity::secrets::random_id;
use crate::identity::subjects::is_user_subject;
use crate::identity::usernames::{canonicalize, is_too_long};
use crate::oauth::scope::Scopes;
use crate::store::table::{IndexEntry, Key, StoreError, Table, condition_failed};

/// Prefix of the partition key.
const PREFIX: &str = "USER#";
const PROFILE: &str = "PROFILE";

/// Kind of users in lists.
pub(super) const KIND: &str = "USER";

/// The item key of the user with this name.
pub(super) fn key(username: &str) -> Key {
    Key::new(PREFIX, &canonicalize(username), PROFILE)
}

/// A stored hash: a PHC string or a bcrypt string. The store doesn't read it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(pub(crate) String);

/// A user.
#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    /// Username as it was created.
    pub username: String,
    /// `sub`: `usr_` and an id. A username can be used again after a deletion, a subject never is.
    pub sub: String,
    /// Password hash. None for a federated user.
    pub password_hash: Option<PasswordHash>,
    /// Email address, if known.
    pub email: Option<String>,
    /// The scopes that a sign-in gets.
    pub scopes: Scopes,
    /// Whether the user is disabled.
    pub disabled: bool,
    /// Token families of an earlier epoch have ended. See [`Account::epoch`](Account).
    #[serde(default)]
    pub epoch: String,
    /// Time of creation, in seconds since 1970.
    pub created_at: u64,
}

/// Changes to a user. A member that is none is not changed.
#[derive(Serialize)]
pub struct UserChange {
    /// Email address. An inner none removes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Option<String>>,
    /// The scopes that a sign-in gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Scopes>,
}

impl User {
    /// Whether another issuer signs the user in: see [`Account::is_federated`](Account::is_federated).
    pub fn is_federated(&self) -> bool {
        self.username == self.sub
    }
}

/// A user without the password hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Username. Of a federated user it equals `sub`.
    pub username: String,
    /// Subject: `usr_` and an id.
    pub sub: String,
    /// Email address. Of a federated user, the verified one of the first sign-in.
    pub email: Option<String>,
    /// The scopes that a sign-in gets.
    pub scopes: Scopes,
    /// A disabled user can't sign in.
    pub disabled: bool,
    /// A random value, which changes with the password and when the user is disabled. A token family ends with its
    /// epoch.
    #[serde(default)]
    pub epoch: String,
    /// Time of creation, in seconds since 1970.
    pub created_at: u64,
}

impl Account {
    /// Whether a trusted issuer signs the user in. The username of such a user is its `sub`, which no user with a
    /// password can have, whatever the item contains (see [`Users::with_password`]).
    pub fn is_federated(&self) -> bool {
        self.username == self.sub
    }
}

/// A user in a list.
#[derive(Serialize, Deserialize)]
pub struct UserSummary {
    /// Username.
    #[serde(alias = "listed_as")]
    pub username: String,
    /// Email address, if known.
    pub email: Option<String>,
    /// The scopes that a sign-in gets.
    pub scopes: Scopes,
    /// Whether the user is disabled.
    pub disabled: bool,
    /// Time of creation, in seconds since 1970.
    pub created_at: u64,
}

/// The users in the table.
#[derive(Clone)]
pub struct Users(Table);

impl Users {
    /// The users of this table.
    pub fn new(table: Table) -> Self {
        Self(table)
    }

    /// The user with this username who may sign in with a password. A federated user may not, whatever the item
    /// contains.
    pub async fn with_password(&self, username: &str) -> Result<Option<User>, StoreError> {
        if is_user_subject(&canonicalize(username)) { Ok(None) } else { self.get(username).await }
    }

    /// The user with this username, in any spelling.
    pub async fn get(&self, username: &str) -> Result<Option<User>, StoreError> {
        if is_too_long(username) {
            return Ok(None);
        }
        self.0.get(key(username)).await
    }

    /// The account of the user with this username, in any spelling.
    pub async fn account(&self, username: &str) -> Result<Option<Account>, StoreError> {
        if is_too_long(username) {
            return Ok(None);
        }
        self.0.get(key(username)).await
    }

    /// Stores a new user.
    pub async fn create(&self, user: &User) -> Result<(), StoreError> {
        let listed = IndexEntry { kind: KIND, name: &user.username };
        self.0.create(key(&user.username), user, Some(listed)).await
    }

    /// All users.
    pub async fn list(&self) -> Result<Vec<UserSummary>, StoreError> {
        self.0.list(KIND).await
    }

    /// Replaces the hash of the same password. `Changed` if the hash was changed since it was read, because a replaced
    /// password must not become valid again.
    pub async fn replace_hash(
        &self,
        username: &str,
        read: &PasswordHash,
        hash: &PasswordHash,
    ) -> Result<(), StoreError> {
        let value = |hash| to_attribute_value(hash).map_err(|_| StoreError::Malformed(KIND.to_owned()));
        let new = value(hash)?;
        let update = self
            .0
            .update(key(username))?
            .update_expression("SET password_hash = :new")
            // The new hash too, because a retry of an applied write finds it.
            .condition_expression("password_hash = :read OR password_hash = :new")
            .expression_attribute_values(":new", new)
            .expression_attribute_values(":read", value(read)?);
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error) => condition_failed(error).and(Err(StoreError::Changed)),
        }
    }

    /// Changes a user. `Changed` if the user was deleted or created again since it was read.
    pub async fn update(&self, read: &User, change: &UserChange) -> Result<(), StoreError> {
        self.0.set_of(key(&read.username), change, ("sub", AttributeValue::S(read.sub.clone()))).await
    }

    /// Sets another password, which ends all token families.
    pub async fn set_password(&self, username: &str, hash: &PasswordHash) -> Result<(), StoreError> {
        self.0.set(key(username), &json!({"password_hash": hash, "epoch": random_id("")})).await
    }

    /// Disables a user, which ends all token families, or enables one.
    pub async fn set_disabled(&self, username: &str, disabled: bool) -> Result<(), StoreError> {
        if disabled {
            self.0.set(key(username), &json!({"disabled": true, "epoch": random_id("")})).await
        } else {
            self.0.set(key(username), &json!({"disabled": false})).await
        }
    }

    /// Deletes a user.
    pub async fn delete(&self, username: &str) -> Result<(), StoreError> {
        self.0.delete(key(username)).await
    }
}
