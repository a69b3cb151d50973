//! The token endpoint as a process on Lambda.

use e2e::events::{basic, form_event, status_and_body};
use e2e::faults::refresh;
use e2e::lambda::{answer_every_recorded_event, refusal};
use e2e::proofs::Holder;
use e2e::{PASSWORD, Stack};
use shared::store::clients::Quota;

const BINARY: &str = env!("CARGO_BIN_EXE_token");

#[tokio::test]
async fn every_recorded_event_comes_to_what_is_expected_within_its_role() {
    let (stack, stores, mut token) = answer_every_recorded_event("token", BINARY, &[]).await;
    // A client with a quota, and with a DPoP proof.
    let quota = Quota { tokens: 10, seconds: 60 };
    let secret = stack.client_with("counted", "a", |client| client.quota = Some(quota)).await;
    let mut headers = basic("counted", &secret);
    headers["dpop"] = Holder::new().proof("POST", "http://api.example.com/oauth2/token", None).into();
    let event = form_event("/oauth2/token", headers, &[("grant_type", "client_credentials")]);
    assert_eq!(status_and_body(&token.call(&event).await).0, 200);
    // A token family whose first refresh token is reused.
    stack.user("ada", "a").await;
    let first = stack.refresh_token("ada", PASSWORD).await;
    let mut last = first.clone();
    for _ in 0..2 {
        let (_, body) = status_and_body(&token.call(&refresh(&last)).await);
        last = body["refresh_token"].as_str().expect("a refresh token").to_owned();
    }
    assert_eq!(status_and_body(&token.call(&refresh(&first)).await).0, 400);
    assert_eq!(status_and_body(&token.call(&refresh(&last)).await).0, 400, "for the owner too");
    stores.role.assert_just_enough();
}

#[tokio::test]
async fn a_bad_setting_stops_it_and_is_named() {
    let stack = Stack::start().await;
    let text = refusal(BINARY, &stack, &[("ACCESS_TOKEN_TTL_SECONDS", "canary")]).await;
    assert!(text.contains("ACCESS_TOKEN_TTL_SECONDS") && !text.contains("canary"), "{text}");
    assert!(refusal(BINARY, &stack, &[("SIGNING_SECRET_ID", "")]).await.contains("SIGNING_SECRET_ID"));
}
