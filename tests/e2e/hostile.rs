//! Hostile input at every route causes no 5xx and is never granted.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reqwest::Method;
use test_support::Stack;

const PUBLIC: [&str; 7] = [
    "/login",
    "/token",
    "/oauth2/token",
    "/oauth2/authorize",
    "/oauth2/revoke",
    "/oauth2/introspect",
    "/google",
];
const PROTECTED: [&str; 5] = ["/profile", "/get/clientinfo", "/todo", "/users", "/whoami"];
const TYPES: [&str; 5] = [
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain",
    "a;;=é",
];
const AUTHORIZATIONS: [&str; 8] = [
    "Bearer e30.e30.e30",
    "Bearer eyJhbGciOiJub25lIn0.e30.",
    "Basic Og==",
    "Basic %%%",
    "Bearer",
    "bearer \u{e9}",
    "",
    "Digest x",
];

/// Bodies that have broken parsers, and random bytes.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        "",
        "{",
        "[",
        "null",
        "{}",
        "{\"username\":{}}",
        "{\"username\":\"a\",\"username\":\"b\",\"password\":\"c\"}",
        "{\"id_token\":[]}",
        "%",
        "%%%",
        "a&b&c",
        "=&=",
        "grant_type=client_credentials&grant_type=x",
        "grant_type=client_credentials&client_id=%00&client_secret=%ff",
        "username=%F0%9F%92%A9&password=%00",
        "credential=x&g_csrf_token=x",
        "grant_type=refresh_token&refresh_token=lk_rt_%00",
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token=e30.e30.e30&subject_token_type=x",
        "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion=e30.e30.e30",
        "client_id=latchkey&client_secret=&token=%22",
        "{\"username\":\"\\u0000\",\"password\":\"\\ud800\"}",
        "\u{feff}{}",
    ];
    let deep = "[".repeat(20_000);
    prop_oneof![
        proptest::sample::select(known.to_vec()).prop_map(|text| text.as_bytes().to_vec()),
        Just(deep.into_bytes()),
        Just(vec![b'a'; 40_000]),
        proptest::collection::vec(any::<u8>(), 0..200),
        "[a-z_]{1,12}=\\PC{0,40}(&[a-z_]{1,12}=\\PC{0,40}){0,4}".prop_map(String::into_bytes),
    ]
}

#[test]
fn no_input_causes_a_5xx_or_is_granted() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stack = runtime.block_on(Stack::start());
    let paths: Vec<&str> = PUBLIC.iter().chain(&PROTECTED).copied().collect();
    let case = (
        proptest::sample::select(paths),
        proptest::sample::select(TYPES.to_vec()),
        proptest::sample::select(AUTHORIZATIONS.to_vec()),
        "[ -~]{0,20}",
        bodies(),
    );
    let mut runner = TestRunner::new(Config { cases: 400, failure_persistence: None, ..Config::default() });
    let result = runner.run(&case, |(path, content_type, authorization, noise, body)| {
        let method = if PUBLIC.contains(&path) { Method::POST } else { Method::GET };
        let request = stack
            .http
            .request(method, stack.url(path) + "?q=%00%ff%22&q&&=")
            .header("content-type", content_type.as_bytes())
            .header("authorization", authorization.as_bytes())
            .header("cookie", noise.as_bytes())
            .header("dpop", noise.as_bytes())
            .header("x-forwarded-proto", noise.as_bytes())
            .header("x-api-key", if path == "/users" { noise.as_bytes() } else { b"" })
            .body(body);
        let answer = runtime.block_on(async { request.send().await.map(|answer| (answer.status(), answer)) });
        let (status, answer) = answer.map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert!(status.is_client_error(), "{path}: {status}");
        // RFC 6749 §5.2: printable ASCII without `"` and `\`.
        let body = runtime.block_on(test_support::json(answer));
        let description = body["error_description"].as_str().unwrap_or_default();
        let allowed = |byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        prop_assert!(description.bytes().all(allowed), "{path}: {description}");
        Ok(())
    });
    result.unwrap();
}
