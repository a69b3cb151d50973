//! Names of users.

use caseless::default_case_fold_str;
use unicode_normalization::UnicodeNormalization;

use crate::identity::subjects::is_user_subject;

/// The longest name of a user, in characters.
const MAX_USERNAME: usize = 128;

/// Whether a name is longer than any user's, blanks at its ends apart.
pub(crate) fn is_too_long(name: &str) -> bool {
    name.trim().chars().count() > MAX_USERNAME
}

/// Whether a name can be given to a user: no control characters, no blanks at its ends, and not like a
/// subject of ours.
pub fn is_username(name: &str) -> bool {
    !name.is_empty()
        && !is_too_long(name)
        && name.trim() == name
        && !name.chars().any(char::is_control)
        && !is_user_subject(&canonicalize(name))
}

/// Names that look the same are the same: without blanks at the ends, which no name of a user has, case-folded, then
/// NFC.
pub fn canonicalize(name: &str) -> String {
    default_case_fold_str(&name.trim().nfc().collect::<String>()).nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_the_same_are_the_same() {
        assert_eq!(canonicalize("Élodie"), canonicalize("e\u{301}LODIE"));
        assert_eq!(canonicalize("STRASSE"), canonicalize("straße"));
        assert_eq!(canonicalize("\t ada\u{3000}\r\n"), canonicalize("ada"));
        assert_ne!(canonicalize("alice"), canonicalize("alicе"), "the last letter of the second is Cyrillic");
    }

    #[test]
    fn odd_names_are_refused() {
        assert!(is_username("demo") && is_username("élodie@example.com"));
        for bad in ["", " demo", "demo\n", "usr_1", "USR_1", &"x".repeat(129)] {
            assert!(!is_username(bad), "{bad:?}");
        }
    }
}
