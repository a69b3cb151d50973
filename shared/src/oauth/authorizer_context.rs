//! The authorizer context: the caller of a protected route, as the authorizer passes it to the back end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The caller. All members are flat values, because REST APIs accept no others.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuthorizerContext {
    /// Subject: a client id, the `usr_…` id of a user or the `key_…` id of an API key.
    pub sub: String,
    /// Client that the token was issued to.
    pub client_id: String,
    /// Scopes, separated by spaces.
    pub scope: String,
    /// Kind of caller: `user`, `client` or `api_key`.
    pub kind: String,
    /// Id of the token or of the API key.
    pub jti: String,
    /// Username.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_username: Option<String>,
    /// Email address of the user, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Owner of the API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Custom claims of the client.
    #[serde(flatten)]
    pub custom: BTreeMap<String, Value>,
}

/// The error body of API Gateway. The example resource uses it too.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Message {
    /// `Unauthorized` or `Forbidden`.
    pub message: &'static str,
}
