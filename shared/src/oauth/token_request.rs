//! Requested scopes and audiences, restricted to the allowed ones.

use crate::oauth::error::{ErrorKind, OAuthError};
use crate::oauth::scope::Scopes;

/// The requested scopes, or all allowed scopes if the request names none.
///
/// # Errors
/// `invalid_scope` if the scope is malformed or exceeds the allowed scopes.
pub fn restrict_scopes(allowed: &Scopes, requested: Option<&str>) -> Result<Scopes, OAuthError> {
    let Some(requested) = requested else { return Ok(allowed.clone()) };
    let requested = Scopes::parse(requested).map_err(|_| {
        OAuthError::new(ErrorKind::InvalidScope, "malformed scope; separate scopes by single spaces")
    })?;
    if allowed.contains_all(&requested) {
        Ok(requested)
    } else {
        Err(OAuthError::new(ErrorKind::InvalidScope, "requested scope exceeds the granted scope"))
    }
}

/// The audience of the requested resource, or the first allowed audience if the request names none (RFC 8707 §2).
///
/// # Errors
/// `invalid_target` if the resource is not an allowed audience.
pub fn select_audience(requested: Option<&str>, allowed: &[String]) -> Result<String, OAuthError> {
    let found = match requested {
        Some(requested) => allowed.iter().find(|audience| *audience == requested),
        None => allowed.first(),
    };
    let rejected =
        || OAuthError::new(ErrorKind::InvalidTarget, "requested resource is not allowed for this client");
    found.cloned().ok_or_else(rejected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Granted scopes are allowed and requested, and a later restriction can only remove scopes.
        #[test]
        fn requested_scope_never_exceeds_the_granted_scope(
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
        fn a_resource_must_be_an_allowed_audience(
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
