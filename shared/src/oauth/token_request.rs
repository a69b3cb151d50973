//! What a caller asks for, held against what it may have.

use crate::oauth::error::{ErrorKind, OAuthError};
use crate::oauth::scope::Scopes;

/// The scopes that were asked for, if they are among those that may be had; all of those if none was.
///
/// # Errors
/// `invalid_scope` for a scope that is malformed or more than may be had.
pub fn restrict_scopes(allowed: &Scopes, requested: Option<&str>) -> Result<Scopes, OAuthError> {
    let Some(requested) = requested else { return Ok(allowed.clone()) };
    let requested = Scopes::parse(requested)
        .map_err(|_| OAuthError::new(ErrorKind::InvalidScope, "the scope is malformed"))?;
    if allowed.contains_all(&requested) {
        Ok(requested)
    } else {
        Err(OAuthError::new(ErrorKind::InvalidScope, "the scope is more than may be had"))
    }
}

/// The audience for the resource that was asked for; the first of those that may be had if none was
/// (RFC 8707 §2).
///
/// # Errors
/// `invalid_target` for any other.
pub fn select_audience(requested: Option<&str>, allowed: &[String]) -> Result<String, OAuthError> {
    let found = match requested {
        Some(requested) => allowed.iter().find(|audience| *audience == requested),
        None => allowed.first(),
    };
    let refused = || OAuthError::new(ErrorKind::InvalidTarget, "the resource is not one that may be had");
    found.cloned().ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is asked for: what is had was allowed, is what was asked, and narrows further and never
        /// back.
        #[test]
        fn narrowing_never_widens(
            allowed in "([a-c]{1,2}( [a-c]{1,2}){0,4})?",
            requested in proptest::option::of("([a-c]{1,2}( [a-c]{1,2}){0,2})?|\\PC{0,10}"),
            later in "([a-c]{1,2}( [a-c]{1,2}){0,2})?",
        ) {
            let allowed = Scopes::parse(&allowed).unwrap();
            match (restrict_scopes(&allowed, requested.as_deref()), &requested) {
                (Ok(had), None) => prop_assert_eq!(had, allowed),
                (Ok(had), Some(requested)) => {
                    prop_assert!(allowed.contains_all(&had));
                    prop_assert_eq!(Scopes::parse(requested).unwrap(), had.clone());
                    if let Ok(less) = restrict_scopes(&had, Some(&later)) {
                        prop_assert!(had.contains_all(&less));
                        prop_assert_eq!(restrict_scopes(&allowed, Some(&later)).unwrap(), less);
                    }
                }
                (Err(error), requested) => {
                    prop_assert_eq!(error.kind(), ErrorKind::InvalidScope);
                    let asked = requested.as_deref().and_then(|text| Scopes::parse(text).ok());
                    prop_assert!(asked.is_none_or(|asked| !allowed.contains_all(&asked)));
                }
            }
        }

        #[test]
        fn a_resource_is_one_of_those_that_may_be_had(
            allowed in proptest::collection::vec("[ab]{1,2}", 0..3),
            requested in proptest::option::of("[ab]{0,2}"),
        ) {
            match (select_audience(requested.as_deref(), &allowed), requested) {
                (Ok(had), None) => prop_assert_eq!(Some(&had), allowed.first()),
                (Ok(had), Some(requested)) => prop_assert!(had == requested && allowed.contains(&had)),
                (Err(_), None) => prop_assert!(allowed.is_empty()),
                (Err(_), Some(requested)) => prop_assert!(!allowed.contains(&requested)),
            }
        }
    }
}
