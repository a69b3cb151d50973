//! Users: the people who sign in.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value;
use serde_json::json;

use crate::identity::secrets::random_id;
use crate::identity::subjects::is_user_subject;
use crate::identity::usernames::{canonicalize, is_too_long};
use crate::oauth::scope::Scopes;
use crate::store::table::{IndexEntry, Key, StoreError, Table, condition_failed};

/// The prefix of users' keys.
const PREFIX: &str = "USER#";
const PROFILE: &str = "PROFILE";

/// Users' kind in listings.
pub(super) const KIND: &str = "USER";

/// The key of the user of that name.
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
    /// The name as it was given.
    pub username: String,
    /// `sub`: `usr_` + an id. Names may be given again, this never is.
    pub sub: String,
    /// The hash of the password; none of a federated user.
    pub password_hash: Option<PasswordHash>,
    /// The email address, when known.
    pub email: Option<String>,
    /// The scopes that a sign-in gets.
    pub scopes: Scopes,
    /// A disabled user can't sign in.
    pub disabled: bool,
    /// Sessions that began in another epoch have ended: see [`Account::epoch`](Account).
    #[serde(default)]
    pub epoch: String,
    /// Seconds since 1970.
    pub created_at: u64,
}

/// What replaces what there was of a user; what is none here stays.
#[derive(Serialize)]
pub struct UserChange {
    /// The email address; none within takes it away.
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
    /// whatever a user's item holds (see [`Users::with_password`]).
    pub fn is_federated(&self) -> bool {
        self.username == self.sub
    }
}

/// A user in a list.
#[derive(Serialize, Deserialize)]
pub struct UserSummary {
    /// The name.
    #[serde(alias = "listed_as")]
    pub username: String,
    /// The email address, when known.
    pub email: Option<String>,
    /// The scopes that a sign-in gets.
    pub scopes: Scopes,
    /// A disabled user can't sign in.
    pub disabled: bool,
    /// Seconds since 1970.
    pub created_at: u64,
}

/// The users in the table.
#[derive(Clone)]
pub struct Users(Table);

impl Users {
    /// In this table.
    pub fn new(table: Table) -> Self {
        Self(table)
    }

    /// The user who may sign in with that name and a password. A federated user's name is not one, whatever their item
    /// holds.
    pub async fn with_password(&self, username: &str) -> Result<Option<User>, StoreError> {
        if is_user_subject(&canonicalize(username)) { Ok(None) } else { self.get(username).await }
    }

    /// The user of that name, however it is written.
    pub async fn get(&self, username: &str) -> Result<Option<User>, StoreError> {
        if is_too_long(username) {
            return Ok(None);
        }
        self.0.get(key(username)).await
    }

    /// The account of the user of that name, however it is written.
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

    /// Every user.
    pub async fn list(&self) -> Result<Vec<UserSummary>, StoreError> {
        self.0.list(KIND).await
    }

    /// Replaces the hash of a user's password, which stays the same. `Missing` if it is no longer the one
    /// that was read: a password that was changed meanwhile must not come back.
    pub async fn renew_hash(
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
            // The new one too: a retry of a write that was applied meets its own work.
            .condition_expression("password_hash = :read OR password_hash = :new")
            .expression_attribute_values(":new", new)
            .expression_attribute_values(":read", value(read)?);
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error) => condition_failed(error).and(Err(StoreError::Changed)),
        }
    }

    /// Changes a user and leaves everything else of them alone. `Changed` if the user who was read is there no more.
    pub async fn update(&self, read: &User, change: &UserChange) -> Result<(), StoreError> {
        self.0.set_of(key(&read.username), change, ("sub", AttributeValue::S(read.sub.clone()))).await
    }

    /// Gives a user another password, which ends all sessions.
    pub async fn set_password(&self, username: &str, hash: &PasswordHash) -> Result<(), StoreError> {
        self.0.set(key(username), &json!({"password_hash": hash, "epoch": random_id("")})).await
    }

    /// Disables a user, which ends all sessions, or enables one.
    pub async fn set_disabled(&self, username: &str, disabled: bool) -> Result<(), StoreError> {
        if disabled {
            self.0.set(key(username), &json!({"disabled": true, "epoch": random_id("")})).await
        } else {
            self.0.set(key(username), &json!({"disabled": false})).await
        }
    }

    /// Forgets a user.
    pub async fn delete(&self, username: &str) -> Result<(), StoreError> {
        self.0.delete(key(username)).await
    }
}
