//! The token endpoint as a process on Lambda.

use shared::store::clients::Quota;
use test_support::events::{basic, form_event, status_and_body};
use test_support::faults::refresh;
use test_support::lambda::Function;
use test_support::proofs::Holder;
use test_support::{PASSWORD, Stack, lambda_contract_tests};

lambda_contract_tests! {
    "token",
    then: issue_within_a_quota_and_reject_a_reused_refresh_token,
    bad_settings: [("ACCESS_TOKEN_TTL_SECONDS", "canary"), ("SIGNING_SECRET_ID", "")],
}

async fn issue_within_a_quota_and_reject_a_reused_refresh_token(stack: &Stack, mut token: Function) {
    // A client with a quota and a DPoP proof.
    let quota = Quota { tokens: 10, seconds: 60 };
    let secret = stack.client_with("counted", "a", |client| client.quota = Some(quota)).await;
    let mut headers = basic("counted", &secret);
    headers["dpop"] = Holder::new().proof("POST", "http://api.example.com/oauth2/token", None).into();
    let event = form_event("/oauth2/token", headers, &[("grant_type", "client_credentials")]);
    assert_eq!(status_and_body(&token.call(&event).await).0, 200);
    // Reuse of an older refresh token.
    stack.user("ada", "a").await;
    let first = stack.refresh_token("ada", PASSWORD).await;
    let mut last = first.clone();
    for _ in 0..2 {
        let (_, body) = status_and_body(&token.call(&refresh(&last)).await);
        body["refresh_token"].as_str().expect("a refresh token").clone_into(&mut last);
    }
    assert_eq!(status_and_body(&token.call(&refresh(&first)).await).0, 400);
    assert_eq!(status_and_body(&token.call(&refresh(&last)).await).0, 400, "for the owner too");
}
