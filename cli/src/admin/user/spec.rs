//! The settings of a new user, for `user create` and `user import`.

use shared::identity::secrets::random_id;
use shared::identity::subjects::new_user_subject;
use shared::oauth::scope::Scopes;
use shared::passwords::hash::PasswordHash;
use shared::store::users::User;

use crate::admin::validation;

/// The settings of a new user.
pub struct Spec {
    /// The username.
    pub username: String,
    /// The email address, if known.
    pub email: Option<String>,
    /// The scopes.
    pub scopes: Vec<String>,
}

impl Spec {
    pub(super) fn validate(&self) -> anyhow::Result<Scopes> {
        validation::username(&self.username)?;
        self.email.as_deref().map_or(Ok(()), validation::email)?;
        validation::scopes(&self.scopes)
    }

    /// A new user with this password hash.
    pub(super) fn into_user(self, password_hash: PasswordHash, now: u64) -> anyhow::Result<User> {
        Ok(User {
            scopes: self.validate()?,
            username: self.username,
            sub: new_user_subject(),
            password_hash: Some(password_hash),
            email: self.email,
            disabled: false,
            epoch: random_id(""),
            created_at: now,
        })
    }
}
