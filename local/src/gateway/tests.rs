//! The whole gateway, in front of functions that do what the request says.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::*;
use crate::functions::FunctionAnswer;
use sam_template::{IdentitySource, Route};

/// An authorizer that does what the caller's credential says.
fn authorizer(calls: Arc<AtomicUsize>) -> Invoke {
    Arc::new(move |event| -> FunctionAnswer {
        calls.fetch_add(1, SeqCst);
        Box::pin(async move {
            match event["identitySource"][0].as_str() {
                Some("good") => Ok(json!({"isAuthorized": true, "context": {"sub": "ada"}})),
                Some("bad") => Ok(json!({"isAuthorized": false})),
                Some("odd") => Ok(json!({"isAuthorized": "true"})),
                _ => Err("cannot decide".into()),
            }
        })
    })
}

/// Answers with its event.
fn echo() -> Invoke {
    Arc::new(|event| -> FunctionAnswer {
        Box::pin(async move {
            match event["rawQueryString"].as_str() {
                Some("fail") => Err("failed".into()),
                Some("odd") => Ok(json!("no response")),
                _ => Ok(json!({"statusCode": 200, "body": event.to_string()})),
            }
        })
    })
}

fn gateway(calls: Arc<AtomicUsize>) -> Arc<Gateway> {
    let route = |method: &str, path: &str, authorizer: Option<&str>| Route {
        method: method.to_owned(),
        path: path.to_owned(),
        function: "Echo".to_owned(),
        authorizer: authorizer.map(str::to_owned),
    };
    let key = Authorizer {
        function: "Authorizer".to_owned(),
        identity_sources: vec![IdentitySource::Header("key".to_owned()), IdentitySource::RouteKey],
        ttl: 3600,
    };
    Arc::new(Gateway {
        routes: Routes::new(vec![
            route("POST", "/open", None),
            route("GET", "/closed", Some("Key")),
            route("GET", "/shut", Some("Key")),
        ]),
        authorizers: [("Key".to_owned(), key)].into(),
        cors: Some(Cors { allow_origins: vec!["*".to_owned()], ..Cors::default() }),
        functions: [("Echo".to_owned(), echo()), ("Authorizer".to_owned(), authorizer(calls))].into(),
        domain: "127.0.0.1:3000".to_owned(),
        decisions: Mutex::default(),
    })
}

async fn send(gateway: &Arc<Gateway>, request: Request) -> (u16, Value) {
    let response = handle(State(Arc::clone(gateway)), request).await;
    assert!(response.headers().contains_key("apigw-requestid"));
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 2 * MAX_BODY).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

fn get(path: &str, key: Option<&str>) -> Request {
    let request = Request::get(path);
    let request = match key {
        Some(key) => request.header("key", key),
        None => request,
    };
    request.body(Body::empty()).unwrap()
}

fn post(path: &str, body: impl Into<Body>) -> Request {
    Request::post(path).header("content-type", "text/plain").body(body.into()).unwrap()
}

#[tokio::test]
async fn authorizer_decides_and_its_context_reaches_the_function() {
    let gateway = gateway(Arc::default());
    let (status, event) = send(&gateway, get("/closed", Some("good"))).await;
    assert_eq!(status, 200);
    assert_eq!(event["requestContext"]["authorizer"], json!({"lambda": {"sub": "ada"}}));
    for (key, status, text) in [
        (None, 401, "Unauthorized"),
        (Some(""), 401, "Unauthorized"),
        (Some("bad"), 403, "Forbidden"),
        (Some("odd"), 500, "Internal Server Error"),
        (Some("down"), 500, "Internal Server Error"),
    ] {
        let answer = send(&gateway, get("/closed", key)).await;
        assert_eq!(answer, (status, json!({"message": text})), "{key:?}");
    }
}

#[tokio::test]
async fn authorizer_is_called_once_for_each_identity_and_never_without_one() {
    let calls = Arc::new(AtomicUsize::new(0));
    let gateway = gateway(Arc::clone(&calls));
    for (path, key, asked) in [
        ("/closed", None, 0),
        ("/closed", Some("good"), 1),
        ("/closed", Some("good"), 1),
        ("/closed", Some("bad"), 2),
        ("/closed", Some("bad"), 2),
        ("/shut", Some("good"), 3),
        // A failure is not cached.
        ("/closed", Some("down"), 4),
        ("/closed", Some("down"), 5),
    ] {
        send(&gateway, get(path, key)).await;
        assert_eq!(calls.load(SeqCst), asked, "{path} {key:?}");
    }
}

#[tokio::test]
async fn request_without_a_route_is_not_found() {
    let gateway = gateway(Arc::default());
    for request in [get("/open", None), get("/nothing", None), post("/closed", "")] {
        assert_eq!(send(&gateway, request).await, (404, json!({"message": "Not Found"})));
    }
}

#[tokio::test]
async fn failing_function_is_an_internal_server_error() {
    let gateway = gateway(Arc::default());
    for path in ["/open?fail", "/open?odd"] {
        let answer = send(&gateway, post(path, "")).await;
        assert_eq!(answer, (500, json!({"message": "Internal Server Error"})), "{path}");
    }
}

#[tokio::test]
async fn head_and_body_are_limited() {
    let gateway = gateway(Arc::default());
    let others = "POST /open HTTP/1.1\r\ncontent-type: text/plain\r\nx: \r\n".len();
    for (length, status) in [(MAX_HEAD - others, 200), (MAX_HEAD - others + 1, 431)] {
        let mut request = post("/open", "");
        request.headers_mut().insert("x", HeaderValue::try_from("a".repeat(length)).unwrap());
        assert_eq!(send(&gateway, request).await.0, status);
    }
    for (length, status) in [(MAX_BODY, 200), (MAX_BODY + 1, 413)] {
        assert_eq!(send(&gateway, post("/open", vec![b'a'; length])).await.0, status);
    }
}

#[tokio::test]
async fn preflight_and_error_responses_have_cors_headers() {
    let gateway = gateway(Arc::default());
    let preflight = Request::options("/closed").header("access-control-request-method", "GET");
    for (request, status) in [(preflight, 204), (Request::get("/closed"), 401)] {
        let request = request.header("origin", "https://app.example").body(Body::empty()).unwrap();
        let response = handle(State(Arc::clone(&gateway)), request).await;
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["access-control-allow-origin"], "*");
    }
}
