//! Raw Lambda events: every recorded one comes to what `events/expected.json` says.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use e2e::Stack;
use e2e::events::recorded;
use lambda_http::lambda_runtime::{Context, LambdaEvent};
use lambda_http::request::LambdaRequest;
use lambda_http::{Body, Request, Response};
use serde_json::{Value, json};
use shared::clock;
use shared::wire::lambda::serve;

/// Hands an event to a function as Lambda does: text in, text out.
pub async fn call<F>(event: &Value, handler: impl Fn(Request) -> F + Sync) -> Value
where
    F: Future<Output = Response<Body>> + Send,
{
    let request: LambdaRequest = serde_json::from_str(&event.to_string()).expect("an HTTP API event");
    let answer = serve(LambdaEvent::new(request, Context::default()), &handler).await.expect("an answer");
    serde_json::to_value(answer).expect("JSON")
}

/// An HTTP API event, payload 2.0.
pub fn http_event(method: &str, path: &str, headers: Value, body: Option<&str>) -> Value {
    json!({
        "version": "2.0", "routeKey": format!("{method} {path}"), "rawPath": path, "rawQueryString": "",
        "headers": headers, "body": body, "isBase64Encoded": false,
        "requestContext": {
            "accountId": "123456789012", "apiId": "api", "domainName": "api.example.com", "requestId": "request-1",
            "routeKey": format!("{method} {path}"), "stage": "$default", "timeEpoch": 0,
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": ""},
        },
    })
}

/// A good request for a token, by the client `backend`.
pub async fn call_token(deps: &token::Deps, secret: &str) -> Value {
    let basic = format!("Basic {}", STANDARD.encode(format!("backend:{secret}")));
    let headers = json!({"authorization": basic, "content-type": "application/x-www-form-urlencoded"});
    let event = http_event("POST", "/oauth2/token", headers, Some("grant_type=client_credentials"));
    call(&event, |request| token::handle(deps, request, clock::now())).await
}

#[tokio::test]
async fn every_recorded_event_comes_to_what_is_expected() {
    let stack = Stack::start().await;
    let google_client = stack.running.environment["GOOGLE_CLIENT_IDS"].clone();
    let settings = stack.settings(&[
        ("ROUTE_SCOPES", r#"{"GET /todo":["todo:read"]}"#),
        ("GOOGLE_CLIENT_IDS", google_client.as_str()),
    ]);
    let token = Arc::new(token::Deps::from_settings(&settings).unwrap());
    let login = Arc::new(login::Deps::from_settings(&settings).unwrap());
    let google = Arc::new(google::Deps::from_settings(&settings).unwrap());
    let discovery = Arc::new(discovery::Deps::from_settings(&settings).unwrap());
    let authorizer = authorizer::Deps::from_settings(&settings).unwrap();

    let mut wrong = Vec::new();
    for recorded in recorded(&stack).await {
        let name = &recorded.name;
        let event = &recorded.event;
        let now = clock::now();
        let answer = match recorded.function() {
            "authorizer" => {
                let event = serde_json::from_str(&event.to_string()).expect(name);
                serde_json::to_value(authorizer::handle(&authorizer, event, now).await.expect(name)).unwrap()
            }
            "token" => call(event, |request| token::handle(&token, request, now)).await,
            "login" => call(event, |request| login::handle(&login, request, now)).await,
            "google" => call(event, |request| google::handle(&google, request, now)).await,
            "discovery" => call(event, |request| discovery::handle(&discovery, request, now)).await,
            "whoami" => call(event, whoami::handle).await,
            folder => panic!("no function for {folder}"),
        };
        wrong.extend(recorded.complaint(&answer));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_lambda_http_would_trip_over_is_a_400() {
    let good = http_event(
        "POST",
        "/oauth2/token",
        json!({"content-type": "application/x-www-form-urlencoded"}),
        None,
    );
    let with = |pointer: &str, value: Value| {
        let mut event = good.clone();
        *event.pointer_mut(pointer).unwrap() = value;
        event
    };
    let mut bad_base64 = with("/body", json!("%%%"));
    bad_base64["isBase64Encoded"] = json!(true);
    for event in [
        bad_base64,
        with("/rawPath", json!("@evil:99999")),
        with("/rawPath", json!("")),
        with("/rawQueryString", json!("a=\u{1}")),
        with("/rawQueryString", json!("a=\"<>{}|\\^ é")),
        with("/rawQueryString", json!("x".repeat(100_000))),
        with("/rawPath", json!(format!("/{}", "x".repeat(100_000)))),
        with("/headers", json!({"host": "a b", "x-forwarded-proto": "::", "content-type": "text/plain"})),
        with("/requestContext/stage", json!("a b:c@/")),
    ] {
        let answer = call(&event, async |_: Request| whoami_like()).await;
        let status = answer["statusCode"].as_u64().unwrap();
        assert!(status == 400 || status == 200, "{event}");
    }
}

fn whoami_like() -> Response<Body> {
    Response::new(Body::Empty)
}
