//! Lambda events: the recorded ones of `events/` with placeholders filled in and their expected outcomes, and builders
//! for others.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lambda_http::{Body, Request, Response};
use sam_template::policy::covers;
use serde_json::{Value, json};
use shared::runtime::lambda::{HttpEvent, answer};

use crate::{Stack, read};

/// A recorded event and its expected outcome.
pub struct Recorded {
    /// The file's name, such as `token/basic.json`.
    pub name: String,
    /// The event as Lambda sends it.
    pub event: Value,
    expected: Value,
}

/// Every recorded event with its placeholders filled in.
pub fn recorded(placeholders: &[(&str, String)]) -> Vec<Recorded> {
    let expected: BTreeMap<String, Value> =
        serde_json::from_str(&file("expected.json")).expect("expected.json is an object");
    assert!(expected.len() > 100);
    let values: Vec<_> = placeholders.iter().map(|(name, value)| (*name, value.as_str())).collect();
    expected
        .into_iter()
        .map(|(name, expected)| Recorded { event: event(&name, &values), name, expected })
        .collect()
}

/// A recorded event with its placeholders filled in.
pub fn event(name: &str, placeholders: &[(&str, &str)]) -> Value {
    let fill = |text: String, (name, value): &(&str, &str)| text.replace(&format!("${{{name}}}"), value);
    let text = placeholders.iter().fold(file(name), fill);
    serde_json::from_str(&text).expect(name)
}

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events").join(name)).expect(name)
}

/// The values of the placeholders: the demo identities and a token of each kind.
pub async fn placeholders(stack: &Stack) -> Vec<(&'static str, String)> {
    let of = |name: &'static str| (name, stack.running.environment[name].clone());
    let ((_, id), (_, secret)) = (of("DEMO_CLIENT_ID"), of("DEMO_CLIENT_SECRET"));
    let ((_, username), (_, password)) = (of("DEMO_USERNAME"), of("DEMO_PASSWORD"));
    let form = [("grant_type", "client_credentials"), ("scope", "todo:write")];
    let (_, narrow) = read(stack.post("/oauth2/token").basic_auth(&id, Some(&secret)).form(&form)).await;
    vec![
        of("DEMO_CLIENT_ID"),
        of("DEMO_CLIENT_SECRET"),
        of("DEMO_USERNAME"),
        of("DEMO_PASSWORD"),
        of("DEMO_API_KEY"),
        ("DEMO_BASIC", STANDARD.encode(format!("{id}:{secret}"))),
        ("ACCESS_TOKEN", stack.token(&id, &secret).await),
        ("NARROW_ACCESS_TOKEN", narrow["access_token"].as_str().expect("a token").to_owned()),
        ("REVOCABLE_TOKEN", stack.token(&id, &secret).await),
        ("REFRESH_TOKEN", stack.refresh_token(&username, &password).await),
        ("SPARE_REFRESH_TOKEN", stack.refresh_token(&username, &password).await),
        of("SIGNING_SECRET_ID"),
        ("ROTATION_TOKEN", "recorded-events-of-a-rotation-0001".to_owned()),
        ("GOOGLE_ID_TOKEN", stack.id_token("ada@example.com")),
    ]
}

impl Recorded {
    /// The function that receives it.
    pub fn function(&self) -> &str {
        self.name.split_once('/').expect("a folder for each function").0
    }

    /// The difference between a response and what is expected, if any.
    pub fn mismatch(&self, answer: &Value) -> Option<String> {
        let cache_control = &answer["headers"]["cache-control"];
        let is_secret = ["google", "introspect", "login", "revoke", "token"].contains(&self.function());
        if is_secret && (cache_control != "no-store" || answer["headers"]["pragma"] != "no-cache") {
            return Some(format!("{}: may be cached: {cache_control}", self.name));
        }
        let found = outcome(&self.event, answer, &self.expected);
        (found != self.expected).then(|| format!("{}: expected {}, found {found}", self.name, self.expected))
    }
}

/// The members of a response that `expected.json` names.
fn outcome(event: &Value, answer: &Value, expected: &Value) -> Value {
    let body: Value =
        answer["body"].as_str().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
    let member = |name: &str| match name {
        "answer" => answer.clone(),
        "status" => answer["statusCode"].clone(),
        "isAuthorized" => answer["isAuthorized"].clone(),
        "effect" => effect_of(event, answer),
        "kind" => answer["context"]["kind"].clone(),
        name => body[name].clone(),
    };
    expected.as_object().into_iter().flatten().map(|(name, _)| (name.clone(), member(name))).collect()
}

/// The policy's decision on the call itself: an explicit deny wins, and the default is deny.
fn effect_of(event: &Value, answer: &Value) -> Value {
    let Some(statements) = answer["policyDocument"]["Statement"].as_array() else { return Value::Null };
    let called = event["methodArn"].as_str().expect("the ARN of a call");
    let says = |effect: &str| {
        let statements = statements.iter().filter(|statement| statement["Effect"] == effect);
        let mut resources = statements.filter_map(|statement| statement["Resource"].as_array()).flatten();
        resources.any(|resource| covers(resource.as_str().expect("an ARN"), called))
    };
    json!(if says("Allow") && !says("Deny") { "Allow" } else { "Deny" })
}

/// Sends an event to a handler, through the Lambda adaptor, as text.
pub async fn call<F>(event: &Value, handler: impl Fn(Request) -> F) -> Value
where
    F: Future<Output = Response<Body>>,
{
    let request: HttpEvent = serde_json::from_str(&event.to_string()).expect("an HTTP API event");
    serde_json::to_value(answer(request, &handler).await).expect("JSON")
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

/// A form that is posted to one of our endpoints.
pub fn form_event(path: &str, headers: Value, fields: &[(&str, &str)]) -> Value {
    let mut all = json!({"content-type": "application/x-www-form-urlencoded"});
    all.as_object_mut().expect("an object").extend(headers.as_object().expect("an object").clone());
    let encoded: Vec<_> = fields
        .iter()
        .map(|(name, value)| {
            let percent = |byte: u8| format!("%{byte:02X}");
            format!("{name}={}", value.bytes().map(percent).collect::<String>())
        })
        .collect();
    http_event("POST", path, all, Some(&encoded.join("&")))
}

/// The status and the body of a response.
pub fn status_and_body(answer: &Value) -> (u64, Value) {
    let body = serde_json::from_str(answer["body"].as_str().unwrap_or_default()).unwrap_or_default();
    (answer["statusCode"].as_u64().expect("a status"), body)
}

/// The `Authorization` header of a client that authenticates with its secret.
pub fn basic(client_id: &str, secret: &str) -> Value {
    json!({"authorization": format!("Basic {}", STANDARD.encode(format!("{client_id}:{secret}")))})
}
