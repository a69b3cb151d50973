//! Token introspection as a process on Lambda.

use serde_json::json;
use shared::jose::algorithm::Algorithm;
use test_support::events::{form_event, status_and_body};
use test_support::lambda::Function;
use test_support::proofs::{ASSERTION, assertion, jwks, key};
use test_support::{PASSWORD, Stack, lambda_contract_tests};

lambda_contract_tests! {
    "introspect",
    then: introspect_a_session_by_assertion,
    bad_settings: [("TRUST_REFRESH_SECONDS", "canary")],
}

/// A client that authenticates by assertion, and the token family of a user.
async fn introspect_a_session_by_assertion(stack: &Stack, mut introspect: Function) {
    let key = key(Algorithm::Es256);
    let keys = Some(jwks(&key));
    stack.client_with("app", introspect::INTROSPECT_ALL, |client| client.public_keys = keys).await;
    stack.user("ada", "a").await;
    let token = stack.refresh_token("ada", PASSWORD).await;
    let signed = assertion(stack, &key, |_| {});
    let fields = [("token", &*token), ("client_assertion_type", ASSERTION), ("client_assertion", &signed)];
    let answer = introspect.call(&form_event("/oauth2/introspect", json!({}), &fields)).await;
    assert_eq!(status_and_body(&answer).1["active"], true, "{answer}");
}
