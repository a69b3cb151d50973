//! Subjects of users and clients. The subject of a client is its client id, which must not look like that of a user or
//! an API key.

use crate::identity::secrets::{is_identifier, random_id};

/// The `client_id` of first-party sign-in. No registered client has this id.
pub const FIRST_PARTY_CLIENT_ID: &str = "latchkey";

const PREFIX: &str = "usr_";
const API_KEY_PREFIX: &str = "key_";

/// The subject of a new user.
pub fn new_user_subject() -> String {
    random_id(PREFIX)
}

/// Whether a subject is that of a user, or looks like one.
pub fn is_user_subject(subject: &str) -> bool {
    subject.starts_with(PREFIX)
}

/// Whether a client may have this id.
pub fn is_client_id(id: &str) -> bool {
    is_identifier(id)
        && !is_user_subject(id)
        && !id.starts_with(API_KEY_PREFIX)
        && id != FIRST_PARTY_CLIENT_ID
}
