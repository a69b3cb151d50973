//! Token revocation as a process on Lambda.

use e2e::Stack;
use e2e::events::form_event;
use e2e::lambda::{answer_every_recorded_event, refusal};
use e2e::proofs::{ASSERTION, assertion, jwks, key};
use serde_json::json;
use shared::jose::algorithm::Algorithm;

const BINARY: &str = env!("CARGO_BIN_EXE_revoke");

#[tokio::test]
async fn every_recorded_event_comes_to_what_is_expected_within_its_role() {
    let (stack, stores, mut revoke) = answer_every_recorded_event("revoke", BINARY, &[]).await;
    // A client that authenticates by assertion, and a token whose key is not published.
    let key = key(Algorithm::Es256);
    stack.client_with("app", "a", |client| client.public_keys = Some(jwks(&key))).await;
    let signed = assertion(&stack, &key, |_| {});
    let fields = [("token", &*signed), ("client_assertion_type", ASSERTION), ("client_assertion", &signed)];
    let answer = revoke.call(&form_event("/oauth2/revoke", json!({}), &fields)).await;
    assert_eq!(answer["statusCode"], 200, "{answer}");
    stores.role.assert_just_enough();
}

#[tokio::test]
async fn a_bad_setting_stops_it_and_is_named() {
    let stack = Stack::start().await;
    let text = refusal(BINARY, &stack, &[("TRUST_REFRESH_SECONDS", "canary")]).await;
    assert!(text.contains("TRUST_REFRESH_SECONDS") && !text.contains("canary"), "{text}");
}
