//! The stand-in issuer for Google: the same ID tokens, signed with a local key.

mod id_token;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::routing::get;
use secrecy::SecretString;
use serde_json::json;
use shared::jose::algorithm::Algorithm;
use shared::signing::private_key::{BadKey, PrivateKey};
use tokio::net::TcpListener;

pub use self::id_token::GoogleAccount;
use super::guard::Guard;
use super::server::Server;

/// The OAuth client of the stand-in's tokens, in the form of Google's.
pub const CLIENT_ID: &str = "123456789012-latchkeydev.apps.googleusercontent.com";
/// The environment variable with the stand-in's private key.
pub const KEY_VARIABLE: &str = "GOOGLE_STAND_IN_KEY";
/// The path of Google's JWKS.
pub const JWKS_PATH: &str = "/oauth2/v3/certs";
/// Google's algorithm.
const ALGORITHM: Algorithm = Algorithm::Rs256;

/// Generates a private key, as text.
///
/// # Errors
/// The random number generator fails.
pub fn generate_key() -> Result<SecretString, BadKey> {
    PrivateKey::generate(ALGORITHM)
}

/// Parses a key of [`generate_key`].
///
/// # Errors
/// A text that is not such a key.
pub fn parse_key(text: &SecretString) -> Result<PrivateKey, BadKey> {
    PrivateKey::parse(ALGORITHM, text)
}

/// Publishes the key as Google does.
///
/// # Errors
/// A listener that is closed.
pub fn start(listener: TcpListener, key: &PrivateKey) -> anyhow::Result<Server> {
    let headers = [
        (CONTENT_TYPE, "application/json; charset=UTF-8"),
        (CACHE_CONTROL, "public, max-age=3600, must-revalidate, no-transform"),
    ];
    let document = json!({"keys": [key.public_jwk()]}).to_string();
    let router = Router::new().route(JWKS_PATH, get(async move || (headers, document)));
    Server::start(listener, Guard::Programs, router)
}
