//! Scopes (RFC 6749 §3.3).

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A set of scopes, which may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes(BTreeSet<String>);

/// A text that violates RFC 6749's grammar for scopes.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a scope is made of printable ASCII without spaces, quotes and backslashes")]
pub struct InvalidScope;

impl Scopes {
    /// Parses `scope = scope-token *( SP scope-token )`. The empty string is the empty set.
    ///
    /// # Errors
    /// Double, leading and trailing spaces, and invalid characters.
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        Self::from_names(text.split(' '))
    }

    /// A set of these scopes.
    pub fn from_names<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Result<Self, InvalidScope> {
        names
            .into_iter()
            .map(|name| {
                Some(name.as_ref()).filter(|name| is_scope(name)).map(str::to_owned).ok_or(InvalidScope)
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether every scope of `other` is in this set.
    pub fn contains_all(&self, other: &Scopes) -> bool {
        other.0.is_subset(&self.0)
    }

    /// The scopes that are in both sets.
    pub fn intersection(&self, other: &Scopes) -> Scopes {
        Self(self.0.intersection(&other.0).cloned().collect())
    }

    /// The scopes that are in either set.
    pub fn union(&self, other: &Scopes) -> Scopes {
        Self(self.0.union(&other.0).cloned().collect())
    }

    /// The scopes as a parameter or a claim, or none if the set is empty, because `scope` must not be empty (RFC 6749
    /// §3.3).
    pub fn to_claim(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.to_string())
    }

    /// The scopes, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str(" ")?;
            }
            formatter.write_str(scope)?;
        }
        Ok(())
    }
}

/// `scope-token = 1*( %x21 / %x23-5B / %x5D-7E )`
fn is_scope(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn scopes_are_separated_by_one_space() {
        let scopes = Scopes::parse("todo:write todo:read").unwrap();
        assert_eq!(scopes.to_string(), "todo:read todo:write");
        for bad in [" ", " a", "a ", "a  b", "a\tb", "a\nb", "a\"b", "a\\b", "é", "\u{7f}"] {
            assert_eq!(Scopes::parse(bad), Err(InvalidScope), "{bad:?}");
        }
    }

    #[test]
    fn an_empty_string_is_an_empty_set() {
        assert_eq!(Scopes::parse("").unwrap(), Scopes::default());
        assert_eq!(Scopes::default().to_claim(), None);
    }

    /// Few names, so that sets overlap.
    fn scopes() -> impl Strategy<Value = Scopes> {
        proptest::collection::btree_set("[a-c]{1,2}", 0..6).prop_map(Scopes)
    }

    proptest! {
        #[test]
        fn serialized_scopes_parse_back(text in "\\PC{0,40}") {
            if let Ok(scopes) = Scopes::parse(&text) {
                prop_assert_eq!(Scopes::parse(&scopes.to_string()), Ok(scopes));
            }
        }

        /// Order and repetition do not matter.
        #[test]
        fn a_set_has_one_serialization(mut names in proptest::collection::vec("[!#-\\[\\]-~]{1,4}", 1..8)) {
            let one = Scopes::parse(&names.join(" ")).unwrap();
            names.extend(names.clone());
            names.reverse();
            let other = Scopes::parse(&names.join(" ")).unwrap();
            prop_assert_eq!(one.to_string(), other.to_string());
            names.sort_unstable();
            names.dedup();
            prop_assert_eq!(one.to_string(), names.join(" "));
        }

        /// One invalid character at any place invalidates the text.
        #[test]
        fn a_forbidden_character_is_rejected_anywhere(
            before in "([a-c]{1,2} ){0,2}[a-c]{0,2}",
            bad in "[\"\\\\\\x00-\\x1f\\x7f-\\u{ff}]",
            after in "[a-c]{0,2}( [a-c]{1,2}){0,2}",
        ) {
            prop_assert_eq!(Scopes::parse(&format!("{before}{bad}{after}")), Err(InvalidScope));
        }

        #[test]
        fn contains_all_is_a_partial_order(one in scopes(), other in scopes(), third in scopes()) {
            prop_assert!(one.contains_all(&one) && one.contains_all(&Scopes::default()));
            prop_assert_eq!(one.contains_all(&other) && other.contains_all(&one), one == other);
            let chain = one.contains_all(&other) && other.contains_all(&third);
            prop_assert!(!chain || one.contains_all(&third));
        }

        /// The intersection is the largest common subset.
        #[test]
        fn the_intersection_holds_what_both_sets_hold(one in scopes(), other in scopes(), third in scopes()) {
            let both = one.intersection(&other);
            prop_assert!(one.contains_all(&both) && other.contains_all(&both));
            prop_assert_eq!(&both, &other.intersection(&one));
            let each = one.contains_all(&third) && other.contains_all(&third);
            prop_assert_eq!(both.contains_all(&third), each);
        }

        #[test]
        fn contains_all_holds_for_subsets_alone(
            all in proptest::collection::btree_set("[a-c]{1,2}", 0..6),
            some in proptest::collection::btree_set("[a-c]{1,2}", 0..6),
        ) {
            let (set, subset) = (Scopes(all.clone()), Scopes(some.clone()));
            prop_assert_eq!(set.contains_all(&subset), some.iter().all(|name| all.contains(name)));
        }
    }
}
