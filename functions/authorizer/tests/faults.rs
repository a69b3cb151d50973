//! The authorizer as a process that is frozen and cut off from its store. The bars and the figures stand in
//! `RELIABILITY.md`.

use e2e::Stack;
use e2e::faults::{authorized, black_hole, freeze_and_thaw};
use serde_json::json;

const BINARY: &str = env!("CARGO_BIN_EXE_authorizer");

/// With API keys that it has not seen, which it must ask the table about.
#[tokio::test(flavor = "multi_thread")]
async fn frozen_while_its_connections_end_it_answers_the_first_request() {
    let stack = Stack::start().await;
    let event = async || authorized(json!({"x-api-key": stack.api_key("a", None).await}));
    freeze_and_thaw(BINARY, &stack, event).await;
}

/// Its last bundle is good for five minutes.
#[tokio::test(flavor = "multi_thread")]
async fn without_its_store_it_goes_on_warm_and_allows_nothing_cold() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "a").await;
    let token = stack.token("backend", &secret).await;
    let event = authorized(json!({"authorization": format!("Bearer {token}")}));
    black_hole(BINARY, &stack, event, true).await;
}
