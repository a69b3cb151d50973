//! The example resource as a process on Lambda.

use serde_json::json;
use test_support::events::event;
use test_support::lambda::{Function, binary};
use test_support::{Stack, lambda_contract_tests};

lambda_contract_tests! {
    "whoami",
}

#[tokio::test]
async fn an_unexpected_event_type_is_an_error_and_the_next_event_is_served() {
    let stack = Stack::start().await;
    let mut whoami = Function::start(binary("whoami"), &stack, &[]).await;
    let canary = "canary-0d5f";
    for bad in [json!({"Records": [{"eventSource": "aws:s3", "body": canary}]}), json!(canary), json!([])] {
        let error = whoami.failure(&bad).await;
        assert!(!error.to_string().contains(canary), "{error}");
    }
    assert_eq!(whoami.call(&event("whoami/profile.json", &[])).await["statusCode"], 200);
}
