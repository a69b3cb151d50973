//! Security schemes, and the scheme that each route requires.
//!
//! Swagger UI shows the name of a scheme in its *Authorize* dialog.

use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, ClientCredentials, Flow, HttpAuthScheme, HttpBuilder, OAuth2, Password, Scopes,
    SecurityRequirement, SecurityScheme,
};

const USER: &str = "user";
const CLIENT: &str = "client";
const BEARER: &str = "bearer";
const API_KEY: &str = "api_key";
const CLIENT_SECRET: &str = "client_secret_basic";

/// The scopes of the example API. A deployment has others, which this function does not know.
const SCOPES: [(&str, &str); 2] = [("todo:read", "Read to-do items"), ("todo:write", "Change to-do items")];

/// The credential that a route requires.
pub(super) enum Needs {
    /// No credential.
    Nothing,
    /// Client authentication, in the header or in the form.
    Client,
    /// An access token with these scopes.
    Token(&'static [&'static str]),
    /// An API key.
    ApiKey,
    /// An access token or an API key.
    TokenOrApiKey,
}

impl Needs {
    /// The security requirements, of which one must be met.
    pub(super) fn requirements(&self) -> Vec<SecurityRequirement> {
        let of = |name| SecurityRequirement::new(name, [""; 0]);
        let token = |scopes: &'static [&'static str]| {
            vec![
                SecurityRequirement::new(USER, scopes.iter().copied()),
                SecurityRequirement::new(CLIENT, scopes.iter().copied()),
                of(BEARER),
            ]
        };
        match self {
            Self::Nothing => Vec::new(),
            // The empty requirement allows client authentication in the form.
            Self::Client => vec![of(CLIENT_SECRET), SecurityRequirement::default()],
            Self::Token(scopes) => token(scopes),
            Self::ApiKey => vec![of(API_KEY)],
            Self::TokenOrApiKey => [token(&[]), vec![of(API_KEY)]].concat(),
        }
    }
}

/// The security schemes by name.
pub(super) fn schemes() -> [(&'static str, SecurityScheme); 5] {
    let scopes = || Scopes::from_iter(SCOPES);
    let password = Flow::Password(Password::with_refresh_url("/token", scopes(), "/oauth2/token"));
    // No refresh URL, because this grant issues no refresh token (RFC 6749 §4.4.3).
    let client_credentials = Flow::ClientCredentials(ClientCredentials::new("/oauth2/token", scopes()));
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("Access token of a user or a client."));
    let basic = HttpBuilder::new()
        .scheme(HttpAuthScheme::Basic)
        .description(Some("Client id and client secret, for the endpoints that authenticate clients."));
    [
        (
            USER,
            SecurityScheme::OAuth2(OAuth2::with_description(
                [password],
                "User with username and password. Leave client_id and client_secret empty. Without a \
                 selected scope, the token has all scopes of the user.",
            )),
        ),
        (
            CLIENT,
            SecurityScheme::OAuth2(OAuth2::with_description(
                [client_credentials],
                "Client with client id and client secret. Without a selected scope, the token has all \
                 scopes of the client.",
            )),
        ),
        (BEARER, SecurityScheme::Http(bearer.build())),
        (API_KEY, SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("x-api-key")))),
        (CLIENT_SECRET, SecurityScheme::Http(basic.build())),
    ]
}
