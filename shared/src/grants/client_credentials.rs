//! The client credentials grant (RFC 6749 §4.4).

use crate::jose::confirmation::Confirmation;
use crate::oauth::error::{ErrorKind, OAuthError};
use crate::oauth::form::Form;
use crate::oauth::token_request::{restrict_scopes, select_audience};
use crate::signing::issue::AccessTokenSpec;
use crate::store::clients::{Client, GrantType};

/// The access token that a client requests for itself.
///
/// # Errors
/// `unauthorized_client` if the client may not use this grant, `invalid_scope` for a malformed scope or one that the
/// client lacks, and `invalid_target` for a resource that the client lacks.
pub fn grant(
    client: Client,
    confirmation: Confirmation,
    form: &Form,
    deployment_audiences: &[String],
) -> Result<AccessTokenSpec, OAuthError> {
    if !client.may_use(GrantType::ClientCredentials) {
        return Err(OAuthError::new(
            ErrorKind::UnauthorizedClient,
            "client is not authorized for the client_credentials grant",
        ));
    }
    own_token(client, confirmation, form, deployment_audiences)
}

/// An access token for the client itself.
pub(super) fn own_token(
    client: Client,
    confirmation: Confirmation,
    form: &Form,
    deployment_audiences: &[String],
) -> Result<AccessTokenSpec, OAuthError> {
    let audiences = if client.audiences.is_empty() { deployment_audiences } else { &client.audiences };
    let scopes = restrict_scopes(&client.scopes, form.text("scope"))?;
    Ok(AccessTokenSpec {
        audience: select_audience(form.target()?, audiences)?,
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
