//! The introspection response (RFC 7662 §2.2).

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// Introspection response. For a token that is invalid, or that the client may not introspect, it is `active: false`
/// and nothing else.
#[derive(Default, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Introspection {
    // First, so that no custom claim overwrites a member below.
    /// Custom claims of the subject.
    #[serde(flatten)]
    pub custom: BTreeMap<String, String>,
    /// Whether the token is valid now.
    pub active: bool,
    /// Type of an access token: `Bearer` or `DPoP`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_type: Option<&'static str>,
    /// Issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// Subject: a client id, or the `usr_…` id of a user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// Audience.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aud: Option<String>,
    /// Client that the token was issued to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Username.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Scopes, separated by spaces. Omitted if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Time of issue, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iat: Option<u64>,
    /// Time of expiry, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<u64>,
    /// Id of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// Id of the token family.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// Confirmation: the key or the certificate that the token is bound to (RFC 7800 §3.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub cnf: Option<Value>,
    /// Username, under the name of the token's claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_username: Option<String>,
    /// Email address of the user, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}
