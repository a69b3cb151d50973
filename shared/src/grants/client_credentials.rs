//! The client credentials grant: RFC 6749 §4.4.

use crate::store::clients::Client;
use crate::token::issue::Grant;
use crate::wire::http::Form;
use crate::wire::oauth::{ErrorKind, OAuthError};
use crate::wire::scope::Scopes;

/// What the client gets for itself.
///
/// # Errors
/// `invalid_scope` for a scope that is malformed or not the client's; `invalid_target` for a resource
/// that is not the client's (RFC 8707 §2).
pub fn grant(client: Client, form: &Form, deployment_audiences: &[String]) -> Result<Grant, OAuthError> {
    let scopes = narrowed(&client.scopes, form.text("scope"))?;
    let audiences = if client.audiences.is_empty() { deployment_audiences } else { &client.audiences };
    let audience = match form.text("resource") {
        None => audiences.first(),
        Some(resource) => Some(audiences.iter().find(|audience| *audience == resource).ok_or_else(|| {
            OAuthError::new(ErrorKind::InvalidTarget, "the resource is not one of this client's")
        })?),
    };
    Ok(Grant {
        audience: audience.cloned(),
        subject: client.client_id.clone(),
        client_id: client.client_id,
        scopes,
        ttl: client.token_ttl,
        username: None,
        email: None,
        custom: client.claims,
    })
}

/// The scopes that were asked for, if they are among those that may be had; all of those if none was.
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
