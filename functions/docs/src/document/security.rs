//! Credentials: what there is, and what a route asks for.
//!
//! A scheme's name heads its box in Swagger UI's *Authorize*.

use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, ClientCredentials, Flow, HttpAuthScheme, HttpBuilder, OAuth2, Password, Scopes,
    SecurityRequirement, SecurityScheme,
};

const USER: &str = "user";
const CLIENT: &str = "client";
const BEARER: &str = "bearer";
const API_KEY: &str = "api_key";
const CLIENT_SECRET: &str = "client_secret_basic";

/// The scopes of the example API. Which others there are, only the deployment knows.
const SCOPES: [(&str, &str); 2] =
    [("todo:read", "Read the to-do list"), ("todo:write", "Change the to-do list")];

/// What a route asks for; each entry is enough by itself.
pub(super) enum Needs {
    /// Nothing.
    Nothing,
    /// A client, by its secret; in the form it may stand as well, or an assertion in its place.
    Client,
    /// A token with these scopes.
    Token(&'static [&'static str]),
    /// An API key.
    ApiKey,
    /// A token or an API key.
    TokenOrApiKey,
}

impl Needs {
    /// The requirements, any of which is enough.
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
            // An empty requirement, because the form may hold what the header doesn't.
            Self::Client => vec![of(CLIENT_SECRET), SecurityRequirement::default()],
            Self::Token(scopes) => token(scopes),
            Self::ApiKey => vec![of(API_KEY)],
            Self::TokenOrApiKey => [token(&[]), vec![of(API_KEY)]].concat(),
        }
    }
}

/// The credentials, by the names that requirements use.
pub(super) fn schemes() -> [(&'static str, SecurityScheme); 5] {
    let scopes = || Scopes::from_iter(SCOPES);
    let password = Flow::Password(Password::with_refresh_url("/token", scopes(), "/oauth2/token"));
    // No refresh URL: this grant gives no refresh token (RFC 6749 §4.4.3).
    let client_credentials = Flow::ClientCredentials(ClientCredentials::new("/oauth2/token", scopes()));
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("An access token that you have already, of whichever kind."));
    let basic = HttpBuilder::new()
        .scheme(HttpAuthScheme::Basic)
        .description(Some("A client's id and secret, for the endpoints that ask who the client is."));
    [
        (
            USER,
            SecurityScheme::OAuth2(OAuth2::with_description(
                [password],
                "A person, by user name and password. There is no client: leave its id and secret empty. No \
                 scope ticked means all that the user has.",
            )),
        ),
        (
            CLIENT,
            SecurityScheme::OAuth2(OAuth2::with_description(
                [client_credentials],
                "A machine, by its client id and secret. No scope ticked means all that the client has.",
            )),
        ),
        (BEARER, SecurityScheme::Http(bearer.build())),
        (API_KEY, SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("x-api-key")))),
        (CLIENT_SECRET, SecurityScheme::Http(basic.build())),
    ]
}
