//! The client credentials grant: RFC 6749 §4.4.

use super::requests::{narrowed, resource};
use crate::store::clients::{Client, GrantType};
use crate::token::confirmation::Confirmation;
use crate::token::issue::Grant;
use crate::wire::http::Form;
use crate::wire::oauth::{ErrorKind, OAuthError};
use crate::wire::scope::Scopes;

/// What the client gets for itself.
///
/// # Errors
/// `unauthorized_client` for a client that may not use this grant; `invalid_scope` for a scope that is
/// malformed or not the client's; `invalid_target` for a resource that is not the client's.
pub fn grant(
    client: Client,
    confirmation: Confirmation,
    form: &Form,
    deployment_audiences: &[String],
) -> Result<Grant, OAuthError> {
    if !client.may_use(GrantType::ClientCredentials) {
        return Err(OAuthError::new(ErrorKind::UnauthorizedClient, "this client has no tokens of its own"));
    }
    let scopes = client.scopes.clone();
    own_token(client, scopes, confirmation, form, deployment_audiences)
}

/// A token for the client itself, with some of these scopes.
pub(super) fn own_token(
    client: Client,
    allowed: Scopes,
    confirmation: Confirmation,
    form: &Form,
    deployment_audiences: &[String],
) -> Result<Grant, OAuthError> {
    let audiences = if client.audiences.is_empty() { deployment_audiences } else { &client.audiences };
    let scopes = narrowed(&allowed, form.text("scope"))?;
    Ok(Grant {
        audience: resource(form.target()?, audiences)?,
        scopes,
        subject: client.client_id.clone(),
        client_id: client.client_id,
        ttl: client.token_ttl,
        session_id: None,
        ends_at: None,
        confirmation,
        username: None,
        email: None,
        custom: client.claims,
    })
}
