//! Usernames.

use caseless::default_case_fold_str;
use unicode_normalization::UnicodeNormalization;

use crate::identity::subjects::is_user_subject;

/// Maximum length of a username, in characters.
const MAX_USERNAME: usize = 128;

/// Whether a name is longer than any username, apart from spaces at its ends.
pub(crate) fn is_too_long(name: &str) -> bool {
    name.trim().chars().count() > MAX_USERNAME
}

/// Whether a name can be given to a user: no control characters, no spaces at its ends, and not in the form of a
/// subject.
pub fn is_username(name: &str) -> bool {
    !name.is_empty()
        && !is_too_long(name)
        && name.trim() == name
        && !name.chars().any(char::is_control)
        && !is_user_subject(&canonicalize(name))
}

/// The canonical form of a username: without spaces at the ends, case-folded, then NFC. Names with the same form are
/// the same.
pub fn canonicalize(name: &str) -> String {
    default_case_fold_str(&name.trim().nfc().collect::<String>()).nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames_that_look_alike_are_equal() {
        assert_eq!(canonicalize("Élodie"), canonicalize("e\u{301}LODIE"));
        assert_eq!(canonicalize("STRASSE"), canonicalize("straße"));
        assert_eq!(canonicalize("\t ada\u{3000}\r\n"), canonicalize("ada"));
        assert_ne!(canonicalize("alice"), canonicalize("alicе"), "the last letter of the second is Cyrillic");
    }

    #[test]
    fn malformed_usernames_are_rejected() {
        assert!(is_username("demo") && is_username("élodie@example.com"));
        for bad in ["", " demo", "demo\n", "usr_1", "USR_1", &"x".repeat(129)] {
            assert!(!is_username(bad), "{bad:?}");
        }
    }
}
