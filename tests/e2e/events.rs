//! Raw Lambda events, handed to the functions as Lambda does.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
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
    let event =
        form_event("/oauth2/token", basic("backend", secret), &[("grant_type", "client_credentials")]);
    call(&event, |request| token::handle(deps, request, clock::now())).await
}

/// A form, posted to one of our endpoints.
pub fn form_event(path: &str, headers: Value, fields: &[(&str, &str)]) -> Value {
    let mut all = json!({"content-type": "application/x-www-form-urlencoded"});
    all.as_object_mut().unwrap().extend(headers.as_object().unwrap().clone());
    let encoded: Vec<_> = fields
        .iter()
        .map(|(name, value)| {
            let percent = |byte: u8| format!("%{byte:02X}");
            format!("{name}={}", value.bytes().map(percent).collect::<String>())
        })
        .collect();
    http_event("POST", path, all, Some(&encoded.join("&")))
}

/// Status and body of an answer.
pub fn status_and_body(answer: &Value) -> (u64, Value) {
    let body = serde_json::from_str(answer["body"].as_str().unwrap_or_default()).unwrap_or_default();
    (answer["statusCode"].as_u64().unwrap(), body)
}

/// A form for the token endpoint.
pub async fn post_token(
    deps: &token::Deps,
    headers: Value,
    fields: &[(&str, &str)],
    now: u64,
) -> (u64, Value) {
    let event = form_event("/oauth2/token", headers, fields);
    status_and_body(&call(&event, |request| token::handle(deps, request, now)).await)
}

/// The header of a client that authenticates itself by its secret.
pub fn basic(client_id: &str, secret: &str) -> Value {
    json!({"authorization": format!("Basic {}", STANDARD.encode(format!("{client_id}:{secret}")))})
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
