//! A stand-in for Google's issuer: the same tokens, under a key of our own.

mod id_token;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::routing::get;
use secrecy::SecretString;
use serde_json::json;
use shared::jose::algorithm::Algorithm;
use shared::signing::private_key::{BadKey, PrivateKey};
use tokio::net::TcpListener;

pub use self::id_token::Person;
use super::guard::Guard;
use super::server::Server;

/// The OAuth client that the stand-in's tokens are for; it looks like one of Google's.
pub const CLIENT_ID: &str = "123456789012-latchkeydev.apps.googleusercontent.com";
/// Name of the environment variable that holds the stand-in's key.
pub const KEY_VARIABLE: &str = "GOOGLE_STAND_IN_KEY";
/// Where Google publishes its keys.
pub const JWKS_PATH: &str = "/oauth2/v3/certs";
/// What Google signs with.
const ALGORITHM: Algorithm = Algorithm::Rs256;

/// Makes a key, as text.
///
/// # Errors
/// A machine without random numbers.
pub fn generate_key() -> Result<SecretString, BadKey> {
    PrivateKey::generate(ALGORITHM)
}

/// Reads a key that [`generate_key`] made.
///
/// # Errors
/// A text that is no such key.
pub fn parse_key(text: &SecretString) -> Result<PrivateKey, BadKey> {
    PrivateKey::parse(ALGORITHM, text)
}

/// Publishes the key as Google does.
///
/// # Errors
/// A listener that the system has taken away.
pub fn start(listener: TcpListener, key: &PrivateKey) -> anyhow::Result<Server> {
    let headers = [
        (CONTENT_TYPE, "application/json; charset=UTF-8"),
        (CACHE_CONTROL, "public, max-age=3600, must-revalidate, no-transform"),
    ];
    let document = json!({"keys": [key.public_jwk()]}).to_string();
    let router = Router::new().route(JWKS_PATH, get(async move || (headers, document)));
    Server::start(listener, Guard::Programs, router)
}
