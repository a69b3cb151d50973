//! Token revocation as a process on Lambda.

use serde_json::json;
use shared::jose::algorithm::Algorithm;
use test_support::events::form_event;
use test_support::lambda::Function;
use test_support::proofs::{ASSERTION, assertion, jwks, key};
use test_support::{Stack, lambda_contract_tests};

lambda_contract_tests! {
    "revoke",
    then: revoke_by_assertion,
    bad_settings: [("TRUST_REFRESH_SECONDS", "canary")],
}

/// A client that authenticates by assertion, and a token whose key is not published.
async fn revoke_by_assertion(stack: &Stack, mut revoke: Function) {
    let key = key(Algorithm::Es256);
    stack.client_with("app", "a", |client| client.public_keys = Some(jwks(&key))).await;
    let signed = assertion(stack, &key, |_| {});
    let fields = [("token", &*signed), ("client_assertion_type", ASSERTION), ("client_assertion", &signed)];
    let answer = revoke.call(&form_event("/oauth2/revoke", json!({}), &fields)).await;
    assert_eq!(answer["statusCode"], 200, "{answer}");
}
