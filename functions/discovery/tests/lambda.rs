//! The discovery documents as a process on Lambda.

use e2e::Stack;
use e2e::lambda::{answer_every_recorded_event, refusal};

const BINARY: &str = env!("CARGO_BIN_EXE_discovery");

#[tokio::test]
async fn every_recorded_event_comes_to_what_is_expected_within_its_role() {
    let (_, stores, _) = answer_every_recorded_event("discovery", BINARY, &[]).await;
    stores.role.assert_just_enough();
}

#[tokio::test]
async fn a_bad_setting_stops_it_and_is_named() {
    let stack = Stack::start().await;
    let text = refusal(BINARY, &stack, &[("ISSUER", "http://canary.example")]).await;
    assert!(text.contains("ISSUER") && !text.contains("canary"), "{text}");
}
