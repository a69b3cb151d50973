//! The subjects of people. Clients are their own, by their names: none may look like one of these.

use super::secrets::random_id;

const PREFIX: &str = "usr_";

/// The subject of somebody new.
pub fn new_person() -> String {
    random_id(PREFIX)
}

/// Whether a subject is a person's, or looks like one.
pub fn is_person(subject: &str) -> bool {
    subject.starts_with(PREFIX)
}
