//! A user as commands print it, without the password hash.

use serde::Serialize;
use shared::oauth::scope::Scopes;
use shared::store::users::User;

use crate::admin::output::Report;

#[derive(Serialize)]
pub(super) struct Shown {
    pub username: String,
    sub: String,
    email: Option<String>,
    scopes: Scopes,
    has_password: bool,
    disabled: bool,
    created_at: u64,
}

impl Report for Shown {}

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
