//! Raw Lambda events.

use lambda_http::{Body, Request, Response};
use serde_json::{Value, json};
use shared::runtime::clock;
pub use test_support::events::{basic, call, form_event, http_event, status_and_body};

/// Requests a token as the client `backend`.
pub async fn call_token(deps: &token::Deps, secret: &str) -> Value {
    let event =
        form_event("/oauth2/token", basic("backend", secret), &[("grant_type", "client_credentials")]);
    call(&event, |request| token::handle(deps, request, clock::now())).await
}

/// Posts a form to the token function.
pub async fn post_token(
    deps: &token::Deps,
    headers: Value,
    fields: &[(&str, &str)],
    now: u64,
) -> (u64, Value) {
    let event = form_event("/oauth2/token", headers, fields);
    status_and_body(&call(&event, |request| token::handle(deps, request, now)).await)
}

#[tokio::test]
async fn events_that_lambda_http_cannot_parse_are_bad_requests() {
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
    for (event, expected) in [
        (bad_base64, 400),
        (with("/rawPath", json!("@evil:99999")), 400),
        (with("/rawPath", json!("")), 400),
        (with("/rawQueryString", json!("a=\u{1}")), 400),
        (with("/rawQueryString", json!("a=\"<>{}|\\^ é")), 400),
        (with("/rawQueryString", json!("x".repeat(100_000))), 400),
        (with("/rawPath", json!(format!("/{}", "x".repeat(100_000)))), 400),
        (
            with("/headers", json!({"host": "a b", "x-forwarded-proto": "::", "content-type": "text/plain"})),
            200,
        ),
        (with("/requestContext/stage", json!("a b:c@/")), 200),
    ] {
        let answer = call(&event, async |_: Request| empty_response()).await;
        assert_eq!(answer["statusCode"], expected, "{event}");
    }
}

/// A `HeaderMap` can't hold that many and panics, which ends the process of a function.
#[tokio::test]
async fn an_event_with_forty_thousand_headers_is_rejected() {
    let many = |value: Value| (0..40_000).map(|number| (format!("x-{number}"), value.clone())).collect();
    let long = json!({"x": vec![""; 40_000]});
    for headers in [many(json!("")), many(json!(["a", "b"])), long] {
        let mut event = http_event("POST", "/oauth2/token", headers, None);
        event["cookies"] = json!(vec!["a=b"; 40_000]);
        let answer = call(&event, async |_: Request| empty_response()).await;
        assert_eq!(answer["statusCode"], 400);
        assert_eq!(status_and_body(&answer).1["error"], "invalid_request");
    }
    let mut event = http_event("POST", "/oauth2/token", json!({"x": "y".repeat(10_240)}), None);
    event["body"] = json!("x".repeat(100_000));
    let answer = call(&event, async |_: Request| empty_response()).await;
    assert_eq!(answer["statusCode"], 200, "headers of API Gateway's maximum size with a long body");
}

fn empty_response() -> Response<Body> {
    Response::new(Body::Empty)
}
