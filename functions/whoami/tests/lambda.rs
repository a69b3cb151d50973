//! The example resource as a process on Lambda.

use e2e::Stack;
use e2e::events::event;
use e2e::lambda::{Function, answer_every_recorded_event};
use serde_json::json;

const BINARY: &str = env!("CARGO_BIN_EXE_whoami");

#[tokio::test]
async fn every_recorded_event_comes_to_what_is_expected_within_its_role() {
    let (_, stores, _) = answer_every_recorded_event("whoami", BINARY, &[]).await;
    stores.role.assert_just_enough();
}

#[tokio::test]
async fn an_event_of_another_kind_is_reported_and_the_next_one_is_served() {
    let stack = Stack::start().await;
    let mut whoami = Function::start(BINARY, &stack, &[]).await;
    let canary = "canary-0d5f";
    for bad in [json!({"Records": [{"eventSource": "aws:s3", "body": canary}]}), json!(canary), json!([])] {
        let error = whoami.failure(&bad).await;
        assert!(!error.to_string().contains(canary), "{error}");
    }
    assert_eq!(whoami.call(&event("whoami/profile.json", &[])).await["statusCode"], 200);
}
