//! The documentation as a process on Lambda.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use test_support::events::event;
use test_support::lambda::{Function, binary};
use test_support::{Stack, lambda_contract_tests};

const DEPLOY_EXAMPLES: (&str, &str) = ("DEPLOY_EXAMPLES", "true");

lambda_contract_tests! {
    "docs",
    settings: [DEPLOY_EXAMPLES],
    bad_settings: [("DEPLOY_EXAMPLES", "canary")],
}

#[tokio::test]
async fn a_packed_file_leaves_as_bytes() {
    let stack = Stack::start().await;
    let mut docs = Function::start(binary("docs"), &stack, &[DEPLOY_EXAMPLES]).await;
    let answer = docs.call(&event("docs/script.json", &[])).await;
    assert_eq!(answer["isBase64Encoded"], true);
    assert_eq!(answer["headers"]["content-encoding"], "gzip");
    let bytes = STANDARD.decode(answer["body"].as_str().unwrap()).unwrap();
    assert!(bytes.starts_with(&[0x1f, 0x8b, 8]));
}
