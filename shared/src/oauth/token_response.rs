//! The answer to a good request for a token: RFC 6749 §5.1.

use serde::Serialize;

// It borrows its secrets, and there is no `Debug`.
/// A token response.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = TokenResponse))]
pub struct TokenResponse<'a> {
    /// The access token: a JWT (RFC 9068).
    pub access_token: &'a str,
    /// `Bearer`, or `DPoP` for a token that is bound to a key (RFC 9449 §5).
    pub token_type: &'static str,
    /// Life of the access token, in seconds.
    pub expires_in: u64,
    /// The scopes granted, separated by blanks. Omitted without scopes (RFC 6749 §3.3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Gets the next access token. For people alone, and good once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<&'a str>,
    /// What kind of token it is; answers to a token exchange say so (RFC 8693 §2.2.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_token_type: Option<&'static str>,
}
