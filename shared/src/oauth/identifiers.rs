//! Names of grants and token types.

/// `grant_type` of RFC 6749 §4.4.
pub const CLIENT_CREDENTIALS: &str = "client_credentials";
/// `grant_type` of RFC 6749 §6.
pub const REFRESH_TOKEN: &str = "refresh_token";
/// `grant_type` of RFC 8693 §2.1.
pub const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// `client_assertion_type` of RFC 7523 §2.2.
pub const JWT_BEARER_ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// A supported token type (RFC 8693 §3).
pub const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";
/// See [`ACCESS_TOKEN_TYPE`].
pub const ID_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:id_token";
/// See [`ACCESS_TOKEN_TYPE`].
pub const JWT_TYPE: &str = "urn:ietf:params:oauth:token-type:jwt";
/// Supported values of `subject_token_type`.
pub const SUBJECT_TOKEN_TYPES: [&str; 3] = [ID_TOKEN_TYPE, JWT_TYPE, ACCESS_TOKEN_TYPE];
/// Supported values of `requested_token_type`.
pub const REQUESTED_TOKEN_TYPES: [&str; 2] = [ACCESS_TOKEN_TYPE, JWT_TYPE];
/// `grant_type` of RFC 6749 §4.3, for the login form only.
pub const PASSWORD: &str = "password";
