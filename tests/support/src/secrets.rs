//! Secrets that no log may hold: what the functions received and what they returned.

use serde_json::Value;

use crate::Stack;

/// The placeholders of recorded events that are not secret.
const KNOWN: [&str; 4] = ["DEMO_CLIENT_ID", "DEMO_USERNAME", "SIGNING_SECRET_ID", "ROTATION_TOKEN"];

/// The secret members of a response.
const GIVEN: [&str; 3] = ["access_token", "refresh_token", "token"];

/// Secrets of every kind.
pub struct Secrets(pub Vec<String>);

impl Secrets {
    /// The secrets in recorded events.
    pub fn of(placeholders: &[(&str, String)]) -> Self {
        let secret = placeholders.iter().filter(|(name, _)| !KNOWN.contains(name));
        Self(secret.map(|(_, value)| value.clone()).collect())
    }

    /// Adds the secrets in a response.
    pub fn add_those_of(&mut self, answer: &Value) {
        let body: Value =
            answer["body"].as_str().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
        self.0.extend(GIVEN.iter().filter_map(|name| body[name].as_str()).map(str::to_owned));
    }

    /// Adds the private halves of the signing keys.
    pub async fn add_signing_keys(&mut self, stack: &Stack) {
        let current = stack.secret().current().await.expect("a store").expect("a secret");
        let document = serde_json::to_value(current.document).expect("JSON");
        let keys = document["keys"].as_array().expect("keys").iter();
        self.0.extend(keys.map(|key| key["pkcs8"].as_str().expect("a private key").to_owned()));
    }

    /// Asserts that the text holds none of them. Of a token, the signature counts.
    pub fn assert_none_in(&self, printed: &str) {
        for secret in &self.0 {
            let part = secret.rsplit_once('.').map_or(secret.as_str(), |(_, signature)| signature);
            assert!(!part.is_empty() && !printed.contains(part), "a secret was printed:\n{printed}");
        }
    }
}
