//! Requests of web pages and other programs to the servers of the local stack.

use reqwest::{Method, Response};
use shared::runtime::aws::Aws;
use test_support::{Stack, read};

/// A signature by an unknown access key.
const FORGED: &str = "AWS4-HMAC-SHA256 Credential=latchkeydev/20261128/us-east-1/dynamodb/aws4_request, \
    SignedHeaders=host, Signature=0000000000000000000000000000000000000000000000000000000000000000";

const SCAN: (&str, &str) = ("DynamoDB_20120810.Scan", r#"{"TableName":"latchkey"}"#);
const READ_SECRET: (&str, &str) =
    ("secretsmanager.GetSecretValue", r#"{"SecretId":"latchkey/signing-keys"}"#);

fn variable<'a>(stack: &'a Stack, name: &str) -> &'a str {
    &stack.running.environment[name]
}

/// Each emulator with a request that reads secret data.
fn emulators(stack: &Stack) -> [(&str, (&'static str, &'static str)); 2] {
    [
        (variable(stack, "AWS_ENDPOINT_URL_DYNAMODB"), SCAN),
        (variable(stack, "AWS_ENDPOINT_URL_SECRETS_MANAGER"), READ_SECRET),
    ]
}

async fn ask(
    stack: &Stack,
    (url, (target, body)): (&str, (&'static str, &'static str)),
    headers: &[(&str, &str)],
) -> Response {
    let mut request = stack.http.post(url).header("x-amz-target", target).body(body);
    request =
        request.header("content-type", "application/x-amz-json-1.0").header("x-amz-date", "20261128T120000Z");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

fn has_no_cors_headers(answer: &Response) -> bool {
    !answer.headers().keys().any(|name| name.as_str().starts_with("access-control-"))
}

#[tokio::test]
async fn a_request_for_another_host_is_rejected_by_every_local_server() {
    let stack = Stack::start().await;
    for url in [
        stack.url("/.well-known/jwks.json"),
        stack.url("/no/such/route"),
        variable(&stack, "GOOGLE_JWKS_URL").to_owned(),
        variable(&stack, "GOOGLE_JWKS_URL").replace("certs", "nothing"),
        variable(&stack, "AWS_ENDPOINT_URL_DYNAMODB").to_owned(),
        variable(&stack, "AWS_ENDPOINT_URL_SECRETS_MANAGER").to_owned(),
    ] {
        for host in ["evil.example", "localhost.evil.example:3000", "192.168.0.7:3000"] {
            let answer = stack.http.get(&url).header("host", host).send().await.unwrap();
            assert_eq!(answer.status(), 421, "{url} as {host}");
        }
    }
    for emulator in emulators(&stack) {
        let answer = ask(&stack, emulator, &[("host", "evil.example"), ("authorization", FORGED)]).await;
        assert_eq!(answer.status(), 421);
    }
    let port = stack.running.url.rsplit(':').next().unwrap();
    let localhost = format!("localhost:{port}");
    let answer = stack.get("/.well-known/jwks.json").header("host", localhost).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn cross_origin_requests_to_the_emulators_are_rejected() {
    let stack = Stack::start().await;
    for origin in ["https://evil.example", "http://localhost:5173", "null"] {
        for emulator in emulators(&stack) {
            let answer = ask(&stack, emulator, &[("origin", origin), ("authorization", FORGED)]).await;
            assert!(answer.status() == 403 && has_no_cors_headers(&answer), "{origin} {answer:?}");
            let preflight = stack
                .http
                .request(Method::OPTIONS, emulator.0)
                .header("origin", origin)
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", "authorization,x-amz-target,content-type");
            let answer = preflight.send().await.unwrap();
            assert!(answer.status() == 403 && has_no_cors_headers(&answer), "{origin} {answer:?}");
        }
        let keys = stack.http.get(variable(&stack, "GOOGLE_JWKS_URL")).header("origin", origin);
        let answer = keys.send().await.unwrap();
        assert!(answer.status() == 403 && has_no_cors_headers(&answer), "{origin} {answer:?}");
    }
}

#[tokio::test]
async fn an_emulator_requires_the_access_key_of_its_data_folder() {
    let stack = Stack::start().await;
    for (url, target) in emulators(&stack) {
        for (headers, kind) in [
            (vec![], "MissingAuthenticationTokenException"),
            (vec![("authorization", "Bearer latchkeydev")], "MissingAuthenticationTokenException"),
            (vec![("authorization", FORGED)], "UnrecognizedClientException"),
        ] {
            let answer = ask(&stack, (url, target), &headers).await;
            assert_eq!(answer.status(), 400);
            assert!(has_no_cors_headers(&answer));
            assert_eq!(test_support::json(answer).await["__type"], kind);
        }
        // The id alone is no proof, because requests and logs contain it.
        let id = variable(&stack, "AWS_ACCESS_KEY_ID");
        let forged = FORGED.replace("latchkeydev", id);
        let (status, body) = {
            let answer = ask(&stack, (url, target), &[("authorization", &forged)]).await;
            (answer.status(), test_support::json(answer).await)
        };
        assert_eq!((status.as_u16(), &body["__type"]), (400, &"InvalidSignatureException".into()));
        // Other methods are rejected too.
        for method in [Method::GET, Method::OPTIONS, Method::PUT] {
            assert_eq!(read(stack.http.request(method, url)).await.0, 400);
        }
    }
}

#[tokio::test]
async fn an_sdk_with_another_access_key_gets_the_remedy() {
    let stack = Stack::start().await;
    let (id, secret) = (variable(&stack, "AWS_ACCESS_KEY_ID"), variable(&stack, "AWS_SECRET_ACCESS_KEY"));
    for (id, secret, kind) in [
        ("latchkeydev", "latchkeydev", "UnrecognizedClientException"),
        (id, "another", "InvalidSignatureException"),
        (id, secret, ""),
    ] {
        let settings = stack.settings(&[("AWS_ACCESS_KEY_ID", id), ("AWS_SECRET_ACCESS_KEY", secret)]);
        let aws = Aws::from_settings(&settings).unwrap();
        let tables =
            aws.dynamodb().list_tables().send().await.map(drop).map_err(|error| format!("{error:?}"));
        let secrets = aws.secrets_manager().list_secrets().send().await.map(drop);
        for outcome in [tables, secrets.map_err(|error| format!("{error:?}"))] {
            match outcome {
                Ok(()) => assert_eq!(kind, ""),
                Err(text) => {
                    assert!(
                        !kind.is_empty() && text.contains(kind) && text.contains("dev.env again"),
                        "{text}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn each_data_folder_has_its_access_key() {
    let (one, other) = (Stack::start().await, Stack::start().await);
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        assert_ne!(variable(&one, name), variable(&other, name));
        assert!(variable(&one, name).len() >= 22);
    }
}

async fn preflight(stack: &Stack, origin: &str, headers: &str) -> Response {
    let request = stack.http.request(Method::OPTIONS, stack.url("/oauth2/token"));
    let request = request.header("origin", origin).header("access-control-request-method", "POST");
    request.header("access-control-request-headers", headers).send().await.unwrap()
}

#[tokio::test]
async fn only_loopback_origins_pass_the_preflight() {
    let stack = Stack::start().await;
    for origin in ["http://localhost", "http://localhost:5173", "http://127.0.0.1:8080", "http://127.0.0.1"] {
        let answer = preflight(&stack, origin, "authorization").await;
        assert_eq!(answer.status(), 204);
        assert_eq!(answer.headers()["access-control-allow-origin"], origin);
        assert_eq!(answer.headers()["vary"], "origin");
        let answer = stack.get("/.well-known/jwks.json").header("origin", origin).send().await.unwrap();
        assert_eq!(answer.headers()["access-control-allow-origin"], origin);
    }
    for origin in [
        "https://evil.example",
        "http://localhost.evil.example",
        "http://localhost:5173.evil.example",
        "http://127.0.0.1:80@evil.example",
        "http://192.168.0.7:5173",
        "null",
    ] {
        assert!(has_no_cors_headers(&preflight(&stack, origin, "authorization").await), "{origin}");
        let answer = stack.get("/.well-known/jwks.json").header("origin", origin).send().await.unwrap();
        assert!(has_no_cors_headers(&answer), "{origin}");
    }
}

#[tokio::test]
async fn a_preflight_allows_the_headers_of_common_libraries() {
    let stack = Stack::start().await;
    let wanted = [
        "authorization",
        "baggage",
        "content-type",
        "dpop",
        "mcp-protocol-version",
        "sentry-trace",
        "traceparent",
        "tracestate",
        "x-api-key",
        "x-requested-with",
    ];
    let answer = preflight(&stack, "http://localhost:5173", &wanted.join(",")).await;
    let allowed = answer.headers()["access-control-allow-headers"].to_str().unwrap();
    let mut allowed: Vec<_> = allowed.split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, wanted);
}
