//! Token revocation as a process on Lambda.

use e2e::Stack;
use e2e::lambda::{answer_every_recorded_event, refusal};

const BINARY: &str = env!("CARGO_BIN_EXE_revoke");

#[tokio::test]
async fn every_recorded_event_comes_to_what_is_expected() {
    answer_every_recorded_event("revoke", BINARY, &[]).await;
}

#[tokio::test]
async fn a_bad_setting_stops_it_and_is_named() {
    let stack = Stack::start().await;
    let text = refusal(BINARY, &stack, &[("TRUST_REFRESH_SECONDS", "canary")]).await;
    assert!(text.contains("TRUST_REFRESH_SECONDS") && !text.contains("canary"), "{text}");
}
