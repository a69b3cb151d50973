//! What is told of a token: RFC 7662 §2.2.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// The answer to a question about a token. For one that isn't good, or not the client's to know of, it
/// says `active: false` and no more.
#[derive(Default, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Introspection {
    // First, so that none takes the place of what follows.
    /// The subject's own claims.
    #[serde(flatten)]
    pub custom: BTreeMap<String, String>,
    /// Whether the token is good now.
    pub active: bool,
    /// `Bearer` or `DPoP`, for an access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_type: Option<&'static str>,
    /// Who issued it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// Whom it speaks for: a client's id, or a user's `usr_…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// Whom it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aud: Option<String>,
    /// The client that it was issued to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The user's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The scopes, separated by blanks. Omitted without scopes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// When it was issued, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iat: Option<u64>,
    /// When it expires, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<u64>,
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// The sign-in that it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// The key or the certificate that it is bound to (RFC 7800 §3.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub cnf: Option<Value>,
    /// The user's name, as the token has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_username: Option<String>,
    /// The user's email address, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}
