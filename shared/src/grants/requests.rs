//! What a caller asks for, held against what it may have.

use crate::wire::oauth::{ErrorKind, OAuthError};
use crate::wire::scope::Scopes;

/// The scopes that were asked for, if they are among those that may be had; all of those if none was.
///
/// # Errors
/// `invalid_scope` for a scope that is malformed or more than may be had.
pub fn narrowed(allowed: &Scopes, requested: Option<&str>) -> Result<Scopes, OAuthError> {
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
pub fn resource(requested: Option<&str>, allowed: &[String]) -> Result<Option<String>, OAuthError> {
    let Some(requested) = requested else { return Ok(allowed.first().cloned()) };
    match allowed.iter().find(|audience| *audience == requested) {
        Some(audience) => Ok(Some(audience.clone())),
        None => Err(OAuthError::new(ErrorKind::InvalidTarget, "the resource is not one that may be had")),
    }
}
