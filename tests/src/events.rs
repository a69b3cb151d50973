//! The recorded events of `events/`, filled in from a running stack, and what each must come to.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::{Stack, read};

/// An event and its outcome.
pub struct Recorded {
    /// The file's name, such as `token/basic.json`.
    pub name: String,
    /// The event as Lambda hands it over.
    pub event: Value,
    expected: Value,
}

/// Every recorded event.
pub async fn recorded(stack: &Stack) -> Vec<Recorded> {
    let expected: BTreeMap<String, Value> =
        serde_json::from_str(&file("expected.json")).expect("expected.json is an object");
    assert!(expected.len() > 100);
    let values = placeholders(stack).await;
    let values: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    expected
        .into_iter()
        .map(|(name, expected)| Recorded { event: event(&name, &values), name, expected })
        .collect()
}

/// A recorded event, its placeholders replaced.
pub fn event(name: &str, placeholders: &[(&str, &str)]) -> Value {
    let fill = |text: String, (name, value): &(&str, &str)| text.replace(&format!("${{{name}}}"), value);
    let text = placeholders.iter().fold(file(name), fill);
    serde_json::from_str(&text).expect(name)
}

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../events").join(name)).expect(name)
}

/// The demo identities, and a token of each kind.
async fn placeholders(stack: &Stack) -> Vec<(&'static str, String)> {
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
    /// The function that it is for.
    pub fn function(&self) -> &str {
        self.name.split_once('/').expect("a folder for each function").0
    }

    /// What is wrong with an answer, if anything.
    pub fn complaint(&self, answer: &Value) -> Option<String> {
        let found = comes_to(answer, &self.expected);
        (found != self.expected).then(|| format!("{}: expected {}, found {found}", self.name, self.expected))
    }
}

/// The part of an answer that `expected.json` speaks of.
fn comes_to(answer: &Value, expected: &Value) -> Value {
    let body: Value =
        answer["body"].as_str().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
    let member = |name: &str| match name {
        "answer" => answer.clone(),
        "status" => answer["statusCode"].clone(),
        "isAuthorized" => answer["isAuthorized"].clone(),
        // With several statements the first one is about what the scopes open.
        "effect" => effect_of(answer),
        "kind" => answer["context"]["kind"].clone(),
        name => body[name].clone(),
    };
    expected.as_object().into_iter().flatten().map(|(name, _)| (name.clone(), member(name))).collect()
}

/// What the policy says of the call itself: a deny wins.
fn effect_of(answer: &Value) -> Value {
    let statements = answer["policyDocument"]["Statement"].as_array().cloned().unwrap_or_default();
    let has = |effect: &str| statements.iter().any(|statement| statement["Effect"] == effect);
    if has("Deny") { json!("Deny") } else { json!(has("Allow").then_some("Allow")) }
}
