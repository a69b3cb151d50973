//! The figures of `docs/reliability.md` for whole processes: the real binaries, frozen, killed and cut off from their stores.
//! They mostly wait for timeouts, so all functions run concurrently.

mod cut_off;
mod frozen;
mod token;

use serde_json::{Value, json};
use shared::identity::secrets::random_id;
use test_support::events::{basic, form_event, http_event};
use test_support::faults::authorized;
use test_support::{PASSWORD, Stack};

/// The functions that grant tokens or access.
const FUNCTIONS: [&str; 4] = ["authorizer", "google", "login", "token"];

/// A stack with what [`event`] needs.
async fn stack_with_user() -> Stack {
    let stack = Stack::start().await;
    stack.user("ada", "a").await;
    stack
}

/// An event that a function grants after it has read the store. The authorizer gets an API key that it has not cached.
async fn event(function: &str, stack: &Stack) -> Value {
    match function {
        "authorizer" => authorized(json!({"x-api-key": stack.api_key("a", None).await})),
        "google" => {
            let bearer = format!("Bearer {}", stack.id_token("ada@example.com"));
            http_event("POST", "/google", json!({"authorization": bearer}), None)
        }
        "login" => form_event("/token", json!({}), &[("username", "ada"), ("password", PASSWORD)]),
        _ => {
            let client_id = random_id("client_");
            let secret = stack.client(&client_id, "a").await;
            form_event("/oauth2/token", basic(&client_id, &secret), &[("grant_type", "client_credentials")])
        }
    }
}
