//! The authorizer as a process on Lambda.

use serde_json::json;
use test_support::events::event;
use test_support::faults::authorized;
use test_support::lambda::{Function, binary};
use test_support::proofs::Holder;
use test_support::proxy::Proxy;
use test_support::{Stack, lambda_contract_tests, read};

const SCOPES: (&str, &str) = ("ROUTE_SCOPES", r#"{"GET /todo":["todo:read"]}"#);

lambda_contract_tests! {
    "authorizer",
    settings: [SCOPES],
    then: accept_a_sender_constrained_token,
    bad_settings: [
        ("TABLE_NAME", ""),
        ("AUDIENCE", ""),
        ("ROUTE_SCOPES", "canary"),
        ("ROUTE_SCOPES", r#"{"GET canary":[]}"#),
        ("ROUTE_SCOPES", r#"{"GET /canary/{x}":[],"GET /canary/{y}":[]}"#),
        ("ADDED_ROUTE_SCOPES", "canary"),
        ("ADDED_ROUTE_SCOPES", r#"{"GET canary":[]}"#),
    ],
}

async fn accept_a_sender_constrained_token(stack: &Stack, mut authorizer: Function) {
    let (holder, secret) = (Holder::new(), stack.client("backend", "a").await);
    let request = stack.post("/oauth2/token").basic_auth("backend", Some(&secret));
    let proof = holder.proof("POST", &stack.url("/oauth2/token"), None);
    let (_, body) = read(request.header("dpop", proof).form(&[("grant_type", "client_credentials")])).await;
    let token = body["access_token"].as_str().expect("an access token");
    let proof = holder.proof("GET", "http://api.example.com/profile", Some(token));
    let mut event = authorized(json!({"authorization": format!("DPoP {token}"), "dpop": proof}));
    event["requestContext"]["domainName"] = json!("api.example.com");
    assert_eq!(authorizer.call(&event).await["isAuthorized"], true);
}

#[tokio::test]
async fn a_warm_call_does_not_read_the_store() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "todo:read").await;
    let (token, key) = (stack.token("backend", &secret).await, stack.api_key("todo:read", None).await);
    // The requests are counted: with the store stopped, a cache would serve stale values.
    let proxy = Proxy::start(&stack.running.environment["AWS_ENDPOINT_URL_DYNAMODB"]).await;
    let settings = [SCOPES, ("TRUST_REFRESH_SECONDS", "300"), ("AWS_ENDPOINT_URL_DYNAMODB", &proxy.url)];
    let mut authorizer = Function::start(binary("authorizer"), &stack, &settings).await;
    let bearer = event("authorizer/http_v2_bearer_scoped_route.json", &[("ACCESS_TOKEN", &token)]);
    let api_key = event("authorizer/http_v2_api_key.json", &[("DEMO_API_KEY", &key)]);
    assert_eq!(authorizer.call(&bearer).await["isAuthorized"], true);
    assert_eq!(proxy.count(), 1, "the function reads the trust snapshot at init");
    assert_eq!(authorizer.call(&api_key).await["isAuthorized"], true);
    assert_eq!(proxy.count(), 2, "the function reads an API key at its first call");
    for _ in 0..100 {
        assert_eq!(authorizer.call(&bearer).await["isAuthorized"], true);
        assert_eq!(authorizer.call(&api_key).await["isAuthorized"], true);
    }
    assert_eq!(proxy.count(), 2);
    stack.running.stop().await.unwrap();
    assert_eq!(authorizer.call(&bearer).await["isAuthorized"], true);
}
