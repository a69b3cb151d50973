//! What nobody may find in a log: what the functions were shown, and what they gave.

use serde_json::Value;

use crate::Stack;

/// The placeholders of recorded events that anybody may know.
const KNOWN: [&str; 4] = ["DEMO_CLIENT_ID", "DEMO_USERNAME", "SIGNING_SECRET_ID", "ROTATION_TOKEN"];

/// The members of an answer that nobody else may know.
const GIVEN: [&str; 3] = ["access_token", "refresh_token", "token"];

/// Secrets of every kind.
pub struct Secrets(pub Vec<String>);

impl Secrets {
    /// Those that the recorded events hold.
    pub fn of(placeholders: &[(&str, String)]) -> Self {
        let secret = placeholders.iter().filter(|(name, _)| !KNOWN.contains(name));
        Self(secret.map(|(_, value)| value.clone()).collect())
    }

    /// Those that an answer gives.
    pub fn add_those_of(&mut self, answer: &Value) {
        let body: Value =
            answer["body"].as_str().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
        self.0.extend(GIVEN.iter().filter_map(|name| body[name].as_str()).map(str::to_owned));
    }

    /// The private halves of the keys that sign.
    pub async fn add_signing_keys(&mut self, stack: &Stack) {
        let current = stack.secret().current().await.expect("a store").expect("a secret");
        let document = serde_json::to_value(current.document).expect("JSON");
        let keys = document["keys"].as_array().expect("keys").iter();
        self.0.extend(keys.map(|key| key["pkcs8"].as_str().expect("a private key").to_owned()));
    }

    /// Nothing of them may stand there, nor what makes a token one: its signature.
    pub fn assert_none_in(&self, printed: &str) {
        for secret in &self.0 {
            let part = secret.rsplit_once('.').map_or(secret.as_str(), |(_, signature)| signature);
            assert!(!part.is_empty() && !printed.contains(part), "a secret was printed:\n{printed}");
        }
    }
}
