//! JSON bodies: a line with the content type, then the body.

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use shared::oauth::body::read_json;
use shared::oauth::sign_in::{GoogleRequest, LoginRequest};

use crate::text::post;

/// The target.
pub fn run(data: &[u8]) {
    let Some(request) = post(data) else { return };
    let body: &[u8] = request.body();
    let said = |name: &str| {
        let content_type = request.headers()["content-type"].to_str().expect("ASCII").to_ascii_lowercase();
        assert!(content_type.trim().starts_with("application/json"));
        // What nests too deep for this reading is passed over by ours, where nobody asks for it.
        let said = serde_json::from_slice::<Value>(body).ok()?;
        Some(said.as_object().expect("an object").get(name).cloned().unwrap_or_default())
    };
    let is = |name: &str, value: &str| said(name).is_none_or(|said| said == value);
    if let Ok(LoginRequest { username, password }) = read_json(&request) {
        assert!(is("username", &username) && is("password", password.expose_secret()));
    }
    if let Ok(GoogleRequest { id_token, credential }) = read_json(&request) {
        for (name, token) in [("id_token", id_token), ("credential", credential)] {
            let token = token.as_ref().map(ExposeSecret::expose_secret);
            assert!(said(name).is_none_or(|said| said == json!(token)));
        }
    }
}
