//! What is shown of users.

use serde::Serialize;
use shared::oauth::scope::Scopes;
use shared::store::users::{User, UserSummary};

use super::Created;
use crate::admin::output::{Report, fields, table, time};

impl Report for Created {
    fn for_people(&self) -> String {
        fields(&[("username", self.username.clone()), ("sub", self.sub.clone())])
    }
}

#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct Listed(pub Vec<UserSummary>);

impl Report for Listed {
    fn for_people(&self) -> String {
        let row = |user: &UserSummary| {
            [
                user.username.clone(),
                user.email.clone().unwrap_or_default(),
                user.scopes.to_string(),
                state(user.disabled),
                time(user.created_at),
            ]
        };
        let nothing = "There are no users yet: see `latchkey user create --help`.";
        table(["username", "email", "scopes", "state", "created"], self.0.iter().map(row).collect(), nothing)
    }
}

/// A user without what is secret.
#[derive(Serialize)]
pub(super) struct Shown {
    username: String,
    sub: String,
    email: Option<String>,
    scopes: Scopes,
    has_password: bool,
    disabled: bool,
    created_at: u64,
}

impl From<User> for Shown {
    fn from(user: User) -> Self {
        Self {
            has_password: user.password_hash.is_some(),
            username: user.username,
            sub: user.sub,
            email: user.email,
            scopes: user.scopes,
            disabled: user.disabled,
            created_at: user.created_at,
        }
    }
}

impl Report for Shown {
    fn for_people(&self) -> String {
        let signs_in = if self.has_password { "with a password" } else { "through another issuer" };
        fields(&[
            ("username", self.username.clone()),
            ("sub", self.sub.clone()),
            ("email", self.email.clone().unwrap_or_default()),
            ("scopes", self.scopes.to_string()),
            ("signs in", signs_in.to_owned()),
            ("state", state(self.disabled)),
            ("created", time(self.created_at)),
        ])
    }
}

#[derive(Serialize)]
pub(super) struct Unlocked {
    pub username: String,
    pub unlocked: bool,
}

impl Report for Unlocked {
    fn for_people(&self) -> String {
        format!("User {} may try again.\n", self.username)
    }
}

#[derive(Serialize)]
pub(super) struct PasswordSet {
    pub username: String,
    pub sub: String,
}

impl Report for PasswordSet {
    fn for_people(&self) -> String {
        format!("User {} has a new password.\n", self.username)
    }
}

/// A user as they are after a change.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct Updated(pub Shown);

impl Report for Updated {
    fn for_people(&self) -> String {
        let Shown { username, .. } = &self.0;
        format!(
            "{}\nAccess tokens already issued keep their scopes and email address until they expire: `latchkey user disable \
             {username}`, then `enable`, ends them. A refresh gives no more than today's scopes from now on.\n",
            self.0.for_people()
        )
    }
}

#[derive(Serialize)]
pub(super) struct Switched {
    pub username: String,
    pub sub: String,
    pub disabled: bool,
}

impl Report for Switched {
    fn for_people(&self) -> String {
        if self.disabled {
            format!("User {} is disabled, and their tokens are revoked.\n", self.username)
        } else {
            format!("User {} is enabled. They need to sign in again.\n", self.username)
        }
    }
}

#[derive(Serialize)]
pub(super) struct Deleted {
    pub username: String,
    pub sub: String,
    pub deleted: bool,
}

impl Report for Deleted {
    fn for_people(&self) -> String {
        format!("User {} is deleted, and their tokens are revoked.\n", self.username)
    }
}

fn state(disabled: bool) -> String {
    if disabled { "disabled" } else { "enabled" }.to_owned()
}
