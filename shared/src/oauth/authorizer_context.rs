//! Who calls a protected route, as the authorizer hands it on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The caller, in flat values alone: REST APIs take no others.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuthorizerContext {
    /// A client's id, a user's `usr_…` or an API key's `key_…`.
    pub sub: String,
    /// Whose token it is.
    pub client_id: String,
    /// The scopes, separated by blanks.
    pub scope: String,
    /// `user`, `client` or `api_key`.
    pub kind: String,
    /// Id of the token or the API key.
    pub jti: String,
    /// The user's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_username: Option<String>,
    /// The user's email address, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The API key's owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The client's own claims.
    #[serde(flatten)]
    pub custom: BTreeMap<String, Value>,
}

/// What API Gateway says when it lets nobody through; the example resource says it as well.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Message {
    /// `Unauthorized` or `Forbidden`.
    pub message: &'static str,
}
