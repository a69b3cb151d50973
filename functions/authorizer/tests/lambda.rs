//! The authorizer as a process on Lambda.

use e2e::events::event;
use e2e::faults::authorized;
use e2e::lambda::{Function, answer_every_recorded_event, refusal};
use e2e::proofs::Holder;
use e2e::proxy::Proxy;
use e2e::{Stack, read};
use serde_json::json;

const BINARY: &str = env!("CARGO_BIN_EXE_authorizer");
const SCOPES: (&str, &str) = ("ROUTE_SCOPES", r#"{"GET /todo":["todo:read"]}"#);

#[tokio::test]
async fn every_recorded_event_comes_to_what_is_expected_within_its_role() {
    let (stack, stores, mut authorizer) = answer_every_recorded_event("authorizer", BINARY, &[SCOPES]).await;
    // A token that is bound to a key.
    let (holder, secret) = (Holder::new(), stack.client("backend", "a").await);
    let request = stack.post("/oauth2/token").basic_auth("backend", Some(&secret));
    let proof = holder.proof("POST", &stack.url("/oauth2/token"), None);
    let (_, body) = read(request.header("dpop", proof).form(&[("grant_type", "client_credentials")])).await;
    let token = body["access_token"].as_str().expect("an access token");
    let proof = holder.proof("GET", "http://api.example.com/profile", Some(token));
    let mut event = authorized(json!({"authorization": format!("DPoP {token}"), "dpop": proof}));
    event["requestContext"]["domainName"] = json!("api.example.com");
    assert_eq!(authorizer.call(&event).await["isAuthorized"], true);
    stores.role.assert_just_enough();
}

#[tokio::test]
async fn a_warm_call_asks_the_store_nothing() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "todo:read").await;
    let (token, key) = (stack.token("backend", &secret).await, stack.api_key("todo:read", None).await);
    // Counted, because with the store stopped a cache would serve what it could not load anew.
    let proxy = Proxy::start(&stack.running.environment["AWS_ENDPOINT_URL_DYNAMODB"]).await;
    let settings = [SCOPES, ("TRUST_REFRESH_SECONDS", "300"), ("AWS_ENDPOINT_URL_DYNAMODB", &proxy.url)];
    let mut authorizer = Function::start(BINARY, &stack, &settings).await;
    let bearer = event("authorizer/http_v2_bearer_scoped_route.json", &[("ACCESS_TOKEN", &token)]);
    let api_key = event("authorizer/http_v2_api_key.json", &[("DEMO_API_KEY", &key)]);
    assert_eq!(authorizer.call(&bearer).await["isAuthorized"], true);
    assert_eq!(proxy.count(), 1, "the trust bundle is read at init");
    assert_eq!(authorizer.call(&api_key).await["isAuthorized"], true);
    assert_eq!(proxy.count(), 2, "an API key is read when it is first seen");
    for _ in 0..100 {
        assert_eq!(authorizer.call(&bearer).await["isAuthorized"], true);
        assert_eq!(authorizer.call(&api_key).await["isAuthorized"], true);
    }
    assert_eq!(proxy.count(), 2);
    stack.running.stop().await.unwrap();
    assert_eq!(authorizer.call(&bearer).await["isAuthorized"], true);
}

#[tokio::test]
async fn a_bad_setting_stops_it_and_is_named() {
    let stack = Stack::start().await;
    for name in ["TABLE_NAME", "AUDIENCE"] {
        assert!(refusal(BINARY, &stack, &[(name, "")]).await.contains(name));
    }
    let text = refusal(BINARY, &stack, &[("ROUTE_SCOPES", "canary")]).await;
    assert!(text.contains("ROUTE_SCOPES") && !text.contains("canary"), "{text}");
}
