//! Subjects: of users, and of clients, which are their own. No client may look like a user or an API key.

use crate::identity::secrets::{is_identifier, random_id};

/// The `client_id` of tokens that users get from first-party sign-in. No client has this id.
pub const FIRST_PARTY_CLIENT_ID: &str = "latchkey";

const PREFIX: &str = "usr_";
const API_KEY_PREFIX: &str = "key_";

/// The subject of somebody new.
pub fn new_user_subject() -> String {
    random_id(PREFIX)
}

/// Whether a subject is a person's, or looks like one.
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
