//! JSON bodies of `/login` and `/google`.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::oauth::token_response::TokenResponse;

/// Username and password. Other members have no effect.
#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoginRequest {
    /// Username.
    pub username: String,
    /// Password.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = Password))]
    pub password: SecretString,
}

/// Token response with the members that existing callers read.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = LoginResponse))]
pub struct LoginResponse<'a> {
    /// Always `Login success`.
    pub message: &'static str,
    /// The access token, repeated.
    pub token: &'a str,
    /// The token response.
    #[serde(flatten)]
    pub response: TokenResponse<'a>,
}

/// Google ID token, as `id_token` or as `credential`.
#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GoogleRequest {
    /// The ID token.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub id_token: Option<SecretString>,
    /// The ID token, under the name that Google Identity Services uses. Send one of the two members.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub credential: Option<SecretString>,
}
