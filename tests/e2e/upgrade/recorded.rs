//! A table that another release wrote, in a stack of current code.

use std::collections::BTreeMap;
use std::process::Stdio;

use aws_sdk_dynamodb::types::AttributeValue;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use shared::jose::algorithm::Algorithm;
use shared::runtime::settings::Settings;
use shared::signing::private_key::PrivateKey;
use shared::store::table::Item;
use test_support::Stack;
use test_support::lambda::binary;
use test_support::proofs::Holder;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::events::{call, form_event, http_event, status_and_body};

/// The trusted issuer of the recording.
const ISSUER: &str = "https://issuer.example.com";
const OUR_AUDIENCE: &str = "https://auth.example.com";

/// The table, its credentials in the clear, and the current functions. Only the command line reads the clock.
pub struct Recorded {
    pub stack: Stack,
    /// The time of the recording, which is `now` in the tests.
    pub now: u64,
    /// `iss` of the recorded tokens.
    pub issuer: String,
    /// Passwords, secrets, keys and tokens in the clear.
    pub known: Value,
    login: login::Deps,
    token: token::Deps,
    google: google::Deps,
    authorizer: authorizer::Deps,
    introspect: introspect::Deps,
    revoke: revoke::Deps,
    _trusted_issuer: MockServer,
}

impl Recorded {
    /// Replaces the items of a new stack by the recording.
    pub async fn by_db0866e() -> Self {
        let mut recording: Value = serde_json::from_str(include_str!("../../upgrade/db0866e.json")).unwrap();
        let stack = Stack::start().await;
        let (client, table) = (stack.dynamodb(), stack.running.environment["TABLE_NAME"].as_str());
        for (pk, sk) in items(&stack).await.into_keys() {
            let delete = client.delete_item().table_name(table);
            delete.key("pk", AttributeValue::S(pk)).key("sk", AttributeValue::S(sk)).send().await.unwrap();
        }
        for item in recording["items"].as_array().unwrap() {
            client.put_item().table_name(table).set_item(Some(map(item))).send().await.unwrap();
        }
        let text = recording["signing_secret"].to_string();
        stack.put_secret(&text).await;

        let known = recording["known"].take();
        let issuer = recording["issuer"].as_str().unwrap().to_owned();
        let trusted_issuer = MockServer::start().await;
        let keys = json!({"keys": [key(&known["keys"]["issuer"]).public_jwk()]});
        Mock::given(method("GET"))
            .respond_with(ResponseTemplate::new(200).set_body_json(keys))
            .mount(&trusted_issuer)
            .await;
        let settings = settings(&stack, &issuer, &trusted_issuer.uri());
        Self {
            now: recording["recorded_at"].as_u64().unwrap(),
            issuer,
            known,
            login: login::Deps::from_settings(&settings).unwrap(),
            token: token::Deps::from_settings(&settings).unwrap(),
            google: google::Deps::from_settings(&settings).unwrap(),
            authorizer: authorizer::Deps::from_settings(&settings).unwrap(),
            introspect: introspect::Deps::from_settings(&settings).unwrap(),
            revoke: revoke::Deps::from_settings(&settings).unwrap(),
            stack,
            _trusted_issuer: trusted_issuer,
        }
    }

    /// The known text at this JSON pointer.
    pub fn text(&self, pointer: &str) -> &str {
        self.known.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer}"))
    }

    /// The known texts of the object at this JSON pointer, by name.
    pub fn texts(&self, pointer: &str) -> impl Iterator<Item = (&str, &str)> {
        let object = self.known.pointer(pointer).and_then(Value::as_object).expect(pointer);
        object.iter().map(|(name, value)| (name.as_str(), value.as_str().expect(name)))
    }

    /// An assertion of the client `signer`.
    pub fn assertion(&self) -> String {
        let claims = json!({
            "iss": "signer", "sub": "signer", "aud": self.issuer, "iat": self.now, "exp": self.now + 60,
            "jti": "an-assertion-of-today",
        });
        sign(&self.known["keys"]["signer"], &claims)
    }

    /// A proof with the key of the recorded bound tokens.
    pub fn proof(&self, method: &str, path: &str, token: Option<&str>) -> String {
        let holder = Holder::of(self.text("/keys/holder/pkcs8"));
        holder.proof_at(method, &format!("http://api.example.com{path}"), token, self.now)
    }

    /// A token of the trusted issuer.
    pub fn subject_token(&self, subject: &str) -> String {
        let claims = json!({
            "iss": ISSUER, "aud": OUR_AUDIENCE, "sub": subject, "iat": self.now, "exp": self.now + 300,
        });
        sign(&self.known["keys"]["issuer"], &claims)
    }

    /// Signs in at `/token`.
    pub async fn sign_in(&self, username: &str, password: &str, source: &str) -> (u64, Value) {
        let mut event = form_event("/token", json!({}), &[("username", username), ("password", password)]);
        event["requestContext"]["http"]["sourceIp"] = source.into();
        status_and_body(&call(&event, |request| login::handle(&self.login, request, self.now)).await)
    }

    /// Posts a form to `/oauth2/token` at `now`.
    pub async fn token_at(&self, headers: Value, form: &[(&str, &str)], now: u64) -> (u64, Value) {
        let event = form_event("/oauth2/token", headers, form);
        self.token_event(&event, now).await
    }

    pub async fn token_event(&self, event: &Value, now: u64) -> (u64, Value) {
        status_and_body(&call(event, |request| token::handle(&self.token, request, now)).await)
    }

    /// Signs in at `/google`.
    pub async fn google(&self, email: &str) -> (u64, Value) {
        let id_token = self.stack.id_token_of(email, self.now);
        let bearer = json!({"authorization": format!("Bearer {id_token}")});
        let event = http_event("POST", "/google", bearer, None);
        status_and_body(&call(&event, |request| google::handle(&self.google, request, self.now)).await)
    }

    /// Introspects a token.
    pub async fn introspect(&self, headers: Value, token: &str) -> Value {
        let event = form_event("/oauth2/introspect", headers, &[("token", token)]);
        let answer = call(&event, |request| introspect::handle(&self.introspect, request, self.now)).await;
        status_and_body(&answer).1
    }

    /// Revokes a token of first-party sign-in.
    pub async fn revoke(&self, token: &str) -> u64 {
        let event = form_event("/oauth2/revoke", json!({}), &[("client_id", "latchkey"), ("token", token)]);
        status_and_body(&call(&event, |request| revoke::handle(&self.revoke, request, self.now)).await).0
    }

    /// Whether the authorizer allows a request with these headers at `now`.
    pub async fn allows_at(&self, headers: Value, now: u64) -> bool {
        let mut event = test_support::faults::authorized(headers);
        event["requestContext"]["domainName"] = "api.example.com".into();
        self.allows_event(&event, now).await
    }

    pub async fn allows_event(&self, event: &Value, now: u64) -> bool {
        let event = serde_json::from_value(event.clone()).unwrap();
        let answer = authorizer::handle(&self.authorizer, event, now).await.unwrap();
        serde_json::to_value(answer).unwrap()["isAuthorized"] == true
    }

    /// Runs the current command line on the table. It reads the real clock.
    pub async fn command(&self, args: &[&str], input: &str) -> Value {
        let mut process = Command::new(binary("latchkey"))
            .args(args)
            .args(["--output", "json"])
            .env_clear()
            .envs(&self.stack.running.environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that reads no input may have closed it.
        process.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap_or_default();
        let output = process.wait_with_output().await.unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Every item of the table by its keys.
    pub async fn items(&self) -> BTreeMap<(String, String), Item> {
        items(&self.stack).await
    }
}

fn settings(stack: &Stack, issuer: &str, keys: &str) -> Settings {
    let trusted = json!([{
        "issuer": ISSUER, "jwks_url": keys, "audiences": [OUR_AUDIENCE],
        "rules": [
            {"when": {"sub": "job-1"}, "client": "deploy", "scopes": ["todo:write"]},
            {"when": {"sub": "person-1"}, "scopes": ["todo:read", "todo:write"]},
        ],
    }]);
    stack.settings(&[
        ("ISSUER", issuer),
        ("TRUSTED_ISSUERS", &trusted.to_string()),
        ("GOOGLE_SCOPES", "todo:read"),
    ])
}

fn key(recorded: &Value) -> PrivateKey {
    let algorithm = Algorithm::from_name(recorded["algorithm"].as_str().unwrap()).unwrap();
    PrivateKey::parse(algorithm, &recorded["pkcs8"].as_str().unwrap().into()).unwrap()
}

fn sign(recorded: &Value, claims: &Value) -> String {
    key(recorded).sign("JWT", claims).unwrap().expose_secret().to_owned()
}

async fn items(stack: &Stack) -> BTreeMap<(String, String), Item> {
    let mut pages = stack
        .dynamodb()
        .scan()
        .table_name(&stack.running.environment["TABLE_NAME"])
        .into_paginator()
        .items()
        .send();
    let mut items = BTreeMap::new();
    while let Some(item) = pages.next().await {
        let item = item.unwrap();
        let text = |name: &str| item[name].as_s().unwrap().clone();
        items.insert((text("pk"), text("sk")), item);
    }
    items
}

/// Converts DynamoDB's JSON to the SDK's values.
fn map(json: &Value) -> Item {
    json.as_object().unwrap().iter().map(|(name, value)| (name.clone(), attribute(value))).collect()
}

fn attribute(json: &Value) -> AttributeValue {
    let (kind, value) = json.as_object().and_then(|object| object.iter().next()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    match kind.as_str() {
        "S" => AttributeValue::S(text(value)),
        "N" => AttributeValue::N(text(value)),
        "BOOL" => AttributeValue::Bool(value.as_bool().unwrap()),
        "NULL" => AttributeValue::Null(true),
        "SS" => AttributeValue::Ss(value.as_array().unwrap().iter().map(text).collect()),
        "L" => AttributeValue::L(value.as_array().unwrap().iter().map(attribute).collect()),
        "M" => AttributeValue::M(map(value)),
        kind => panic!("no attribute of a table is a {kind}"),
    }
}
