//! Token introspection as a process on Lambda.

use e2e::events::{form_event, status_and_body};
use e2e::lambda::{answer_every_recorded_event, refusal};
use e2e::proofs::{ASSERTION, assertion, jwks, key};
use e2e::{PASSWORD, Stack};
use serde_json::json;
use shared::jose::algorithm::Algorithm;

const BINARY: &str = env!("CARGO_BIN_EXE_introspect");

#[tokio::test]
async fn every_recorded_event_comes_to_what_is_expected_within_its_role() {
    let (stack, stores, mut function) = answer_every_recorded_event("introspect", BINARY, &[]).await;
    // A client that authenticates by assertion, and the token family of a user.
    let key = key(Algorithm::Es256);
    let keys = Some(jwks(&key));
    stack.client_with("app", introspect::INTROSPECT_ALL, |client| client.public_keys = keys).await;
    stack.user("ada", "a").await;
    let token = stack.refresh_token("ada", PASSWORD).await;
    let signed = assertion(&stack, &key, |_| {});
    let fields = [("token", &*token), ("client_assertion_type", ASSERTION), ("client_assertion", &signed)];
    let answer = function.call(&form_event("/oauth2/introspect", json!({}), &fields)).await;
    assert_eq!(status_and_body(&answer).1["active"], true, "{answer}");
    stores.role.assert_just_enough();
}

#[tokio::test]
async fn a_bad_setting_stops_it_and_is_named() {
    let stack = Stack::start().await;
    let text = refusal(BINARY, &stack, &[("TRUST_REFRESH_SECONDS", "canary")]).await;
    assert!(text.contains("TRUST_REFRESH_SECONDS") && !text.contains("canary"), "{text}");
}
