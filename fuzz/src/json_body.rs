//! JSON bodies. The first line of the input is the content type, and the rest is the body.

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use shared::oauth::body::read_json;
use shared::oauth::sign_in::{GoogleRequest, LoginRequest};

use crate::text::post;

/// The target.
pub fn run(data: &[u8]) {
    let Some(request) = post(data) else { return };
    let body: &[u8] = request.body();
    let member = |name: &str| {
        let content_type = request.headers()["content-type"].to_str().expect("ASCII").to_ascii_lowercase();
        assert!(content_type.trim().starts_with("application/json"));
        // None for a body that nests deeper than `Value` allows in a member that is ignored.
        let parsed = serde_json::from_slice::<Value>(body).ok()?;
        Some(parsed.as_object().expect("an object").get(name).cloned().unwrap_or_default())
    };
    let is = |name: &str, value: &str| member(name).is_none_or(|found| found == value);
    if let Ok(LoginRequest { username, password }) = read_json(&request) {
        assert!(is("username", &username), "username");
        assert!(is("password", password.expose_secret()), "password");
    }
    if let Ok(GoogleRequest { id_token, credential }) = read_json(&request) {
        for (name, token) in [("id_token", id_token), ("credential", credential)] {
            let token = token.as_ref().map(ExposeSecret::expose_secret);
            assert!(member(name).is_none_or(|found| found == json!(token)), "{name}");
        }
    }
}
