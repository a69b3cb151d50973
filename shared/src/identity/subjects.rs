//! Subjects: of users, and of clients, which are their own. No client may look like a user or an API key.

use super::secrets::{is_name, random_id};

/// The `client_id` of tokens that users get from first-party sign-in. No client has this id.
pub const FIRST_PARTY: &str = "latchkey";

const PREFIX: &str = "usr_";
const API_KEY_PREFIX: &str = "key_";

/// The subject of somebody new.
pub fn new_person() -> String {
    random_id(PREFIX)
}

/// Whether a subject is a person's, or looks like one.
pub fn is_person(subject: &str) -> bool {
    subject.starts_with(PREFIX)
}

/// Whether a client may have this id.
pub fn is_client_id(id: &str) -> bool {
    is_name(id) && !is_person(id) && !id.starts_with(API_KEY_PREFIX) && id != FIRST_PARTY
}
