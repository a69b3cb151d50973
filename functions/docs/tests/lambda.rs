//! The documentation as a process on Lambda.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use e2e::Stack;
use e2e::events::event;
use e2e::lambda::{Function, answer_every_recorded_event, refusal};

const BINARY: &str = env!("CARGO_BIN_EXE_docs");
const SETTINGS: &[(&str, &str)] = &[("DEPLOY_EXAMPLES", "true")];

#[tokio::test]
async fn every_recorded_event_comes_to_what_is_expected_within_its_role() {
    let (_, stores, _) = answer_every_recorded_event("docs", BINARY, SETTINGS).await;
    stores.role.assert_just_enough();
}

#[tokio::test]
async fn a_packed_file_leaves_as_bytes() {
    let stack = Stack::start().await;
    let mut docs = Function::start(BINARY, &stack, SETTINGS).await;
    let answer = docs.call(&event("docs/script.json", &[])).await;
    assert_eq!(answer["isBase64Encoded"], true);
    assert_eq!(answer["headers"]["content-encoding"], "gzip");
    let bytes = STANDARD.decode(answer["body"].as_str().unwrap()).unwrap();
    assert!(bytes.starts_with(&[0x1f, 0x8b, 8]));
}

#[tokio::test]
async fn a_bad_setting_stops_it_and_is_named() {
    let stack = Stack::start().await;
    let text = refusal(BINARY, &stack, &[("DEPLOY_EXAMPLES", "canary")]).await;
    assert!(text.contains("DEPLOY_EXAMPLES") && !text.contains("canary"), "{text}");
}
