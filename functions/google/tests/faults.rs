//! The Google exchange as a process that is frozen and cut off from its stores. The bars and the figures stand in
//! `RELIABILITY.md`.

use e2e::Stack;
use e2e::events::http_event;
use e2e::faults::{black_hole, freeze_and_thaw};
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_google");

async fn ready() -> (Stack, Value) {
    let stack = Stack::start().await;
    let bearer = format!("Bearer {}", stack.id_token("ada@example.com"));
    (stack, http_event("POST", "/google", json!({"authorization": bearer}), None))
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_while_its_connections_end_it_answers_the_first_request() {
    let (stack, event) = ready().await;
    freeze_and_thaw(BINARY, &stack, async || event.clone()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_stores_it_grants_nothing_and_says_so_in_time() {
    let (stack, event) = ready().await;
    black_hole(BINARY, &stack, event, false).await;
}
