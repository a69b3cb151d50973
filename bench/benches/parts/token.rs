//! A token as it is issued to the demo client, and its keys.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use shared::token::claims::AccessClaims;
use shared::token::confirmation::Confirmation;
use shared::token::key::PublicKey;
use shared::token::private_key::PrivateKey;
use shared::wire::jose::Algorithm;
use shared::wire::scope::Scopes;

/// When it is shown.
pub const NOW: u64 = 1_795_253_400;
pub const ISSUER: &str = "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com";
pub const AUDIENCE: &str = "latchkey";

/// What it says.
pub fn claims() -> AccessClaims {
    AccessClaims {
        issuer: ISSUER.to_owned(),
        subject: "demo".to_owned(),
        audience: AUDIENCE.to_owned(),
        client_id: "demo".to_owned(),
        issued_at: NOW,
        expires_at: NOW + 900,
        token_id: "jti_3yZ8h1R6VvQd2mJkT0bXcW".to_owned(),
        scopes: Scopes::parse("todo:read todo:write").expect("scopes"),
        session_id: None,
        confirmation: Confirmation::default(),
        username: None,
        email: None,
        custom: BTreeMap::from([("tenant".to_owned(), "blue".to_owned())]),
    }
}

/// A new pair of keys.
pub fn keys(algorithm: Algorithm) -> (PrivateKey, PublicKey) {
    let pkcs8 = PrivateKey::generate(algorithm).expect("a key");
    let private = PrivateKey::parse(algorithm, &pkcs8).expect("its own key");
    let jwk = serde_json::from_value(private.public_jwk().clone()).expect("a JWK");
    let public = PublicKey::from_jwk(&jwk).expect("its public half");
    (private, public)
}

/// The token itself.
pub fn signed(key: &PrivateKey) -> String {
    let token: SecretString = key.sign("at+jwt", &claims().to_json()).expect("a token");
    token.expose_secret().to_owned()
}
