//! How people sign in, where it is JSON.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::oauth::token_response::TokenResponse;

/// A user name and a password. Whatever else stands in the object has no effect.
#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoginRequest {
    /// The user's name.
    pub username: String,
    /// The password.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = Password))]
    pub password: SecretString,
}

/// The token response, and what existing callers look for.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = LoginResponse))]
pub struct LoginResponse<'a> {
    /// Always `Login success`.
    pub message: &'static str,
    /// The access token once more.
    pub token: &'a str,
    /// The token response.
    #[serde(flatten)]
    pub response: TokenResponse<'a>,
}

/// Google's ID token, under one of two names.
#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GoogleRequest {
    /// The ID token, as Google signed it.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub id_token: Option<SecretString>,
    /// The same, as the callback of Google Identity Services names it. Give one of the two.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub credential: Option<SecretString>,
}
