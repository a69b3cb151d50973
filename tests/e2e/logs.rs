//! The log: one line of JSON per decision, and no secret in any.
//!
//! The functions log to standard error, so the test runs them in a separate process.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};

use sam_template::TEMPLATE;
use serde_json::Value;
use shared::runtime::clock;
use test_support::events::event;
use test_support::secrets::Secrets;
use test_support::{PASSWORD, Stack};

use crate::events::{call, call_token, form_event};

/// Set in the child process. Its value is the file for the secrets that the child handles.
pub const INNER: &str = "LATCHKEY_TEST_LOGS_INNER";

/// The metrics namespace of the local stack.
const NAMESPACE: (&str, &str) = ("METRICS_NAMESPACE", "Latchkey/latchkey");

#[tokio::test]
async fn logged_decisions() {
    if std::env::var_os(INNER).is_none() {
        return;
    }
    let stack = Stack::start().await;
    let secret = stack.client("backend", "todo:read").await;
    stack.user("ada", "todo:read").await;
    let (token, key) = (stack.token("backend", &secret).await, stack.api_key("", None).await);
    let id_token = stack.id_token("ada@example.com");
    // None has the form of a client id, because unknown client ids are logged.
    let canaries = ["CANARY password", "CANARY-\"quoted\"\nline", "CANARY-client\u{7}", "lk_cs_CANARY"];
    let send = async |request: reqwest::RequestBuilder| drop(request.send().await.expect("an answer"));
    send(stack.get("/profile").bearer_auth(&token)).await;
    send(stack.get("/profile").bearer_auth(format!("{token}CANARY"))).await;
    send(stack.get("/todo").bearer_auth(&token)).await;
    send(stack.get("/users").header("x-api-key", &key)).await;
    send(stack.get("/users").header("x-api-key", "lk_ak_CANARY")).await;
    send(stack.post("/google").bearer_auth(&id_token)).await;
    send(stack.post("/google").bearer_auth(format!("{id_token}CANARY"))).await;
    send(stack.post("/login").json(&serde_json::json!({"username": "ada", "password": PASSWORD}))).await;
    through_a_proxy(&stack).await;
    for canary in canaries {
        send(stack.post("/login").json(&serde_json::json!({"username": "ada", "password": canary}))).await;
        send(stack.post("/login").json(&serde_json::json!({"username": canary, "password": canary}))).await;
        send(stack.post("/token").form(&[
            ("username", canary),
            ("password", canary),
            ("grant_type", canary),
        ]))
        .await;
        send(stack.post("/oauth2/token").basic_auth(canary, Some(canary)).form(&[("grant_type", canary)]))
            .await;
        let form = [("grant_type", "client_credentials"), ("scope", canary), ("resource", canary)];
        send(stack.post("/oauth2/token").basic_auth("backend", Some(&secret)).form(&form)).await;
        let form = [("grant_type", "client_credentials"), ("client_id", canary), ("client_secret", &secret)];
        send(stack.post("/oauth2/token").form(&form)).await;
        send(stack.post("/login").header("content-type", "application/json").body(canary)).await;
        for name in ["refresh_token", "subject_token", "client_assertion", "token"] {
            let form = [("grant_type", "refresh_token"), (name, canary), ("client_id", "latchkey")];
            for path in ["/oauth2/token", "/oauth2/revoke", "/oauth2/introspect"] {
                send(stack.post(path).header("dpop", "CANARY").form(&form)).await;
                send(stack.post(path).form(&form)).await;
            }
        }
        send(stack.get("/todo").header("authorization", format!("DPoP {token}")).header("dpop", "CANARY"))
            .await;
    }
    // A token family from sign-in through reuse to its revocation.
    let first = stack.refresh_token("ada", PASSWORD).await;
    let refresh = async |token: &str| {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        test_support::read(stack.post("/oauth2/token").form(&form)).await.1["refresh_token"]
            .as_str()
            .map(str::to_owned)
    };
    let second = refresh(&first).await.expect("a refresh token");
    let third = refresh(&second).await.expect("a refresh token");
    assert_eq!(refresh(&first).await, None);
    for (path, token) in
        [("/oauth2/introspect", &token), ("/oauth2/revoke", &token), ("/oauth2/revoke", &third)]
    {
        send(stack.post(path).basic_auth("backend", Some(&secret)).form(&[("token", token)])).await;
    }
    send(stack.get("/.well-known/jwks.json")).await;
    send(stack.get("/openapi.json")).await;
    // A request without the store, and the daily check of the keys.
    let settings = stack.settings(&[("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9"), NAMESPACE]);
    let deps = token::Deps::from_settings(&settings).unwrap();
    assert_eq!(call_token(&deps, &secret).await["statusCode"], 503);
    every_reason_to_deny(&stack, &token).await;
    let deps = rotation::Deps::from_settings(&stack.settings(&[NAMESPACE])).unwrap();
    stack.rotate_every(30).await;
    let daily = serde_json::from_value(event("rotation/daily.json", &[])).unwrap();
    rotation::handle(&deps, daily, clock::now()).await.unwrap();
    // A rotation that fails at its first step, and one that succeeds.
    for (step, token) in [
        ("finishSecret", "CANARY-a-version-that-does-not-exist"),
        ("createSecret", "a-rotation-whose-keys-are-secret"),
        ("setSecret", "a-rotation-whose-keys-are-secret"),
        ("testSecret", "a-rotation-whose-keys-are-secret"),
        ("finishSecret", "a-rotation-whose-keys-are-secret"),
    ] {
        let secret_id = &stack.running.environment["SIGNING_SECRET_ID"];
        let event = serde_json::json!({"Step": step, "SecretId": secret_id, "ClientRequestToken": token});
        let result = rotation::handle(&deps, serde_json::from_value(event).unwrap(), clock::now()).await;
        assert_eq!(result.is_ok(), !token.starts_with("CANARY"));
    }
    // The parent process asserts that none of these is logged.
    let secrets_sent = [secret, token, key, id_token, first, second, third, PASSWORD.to_owned()];
    let mut secrets = Secrets(secrets_sent.to_vec());
    secrets.add_signing_keys(&stack).await;
    assert_eq!(secrets.0.len(), secrets_sent.len() + 2);
    fs::write(std::env::var(INNER).unwrap(), secrets.0.join("\n")).unwrap();
}

/// Sign-ins with the proxy secret and with a wrong one.
async fn through_a_proxy(stack: &Stack) {
    let setting = ("PROXY_SECRET", "CANARY-of-a-proxy-0123456789abcdef");
    let deps = login::Deps::from_settings(&stack.settings(&[setting, NAMESPACE])).unwrap();
    for secret in [setting.1, "CANARY-of-no-proxy"] {
        let headers = serde_json::json!({
            "x-latchkey-proxy-secret": secret, "cloudfront-viewer-address": "CANARY",
        });
        let event = form_event("/token", headers, &[("username", "ada"), ("password", PASSWORD)]);
        let answer = call(&event, |request| login::handle(&deps, request, clock::now())).await;
        assert_eq!(answer["statusCode"], 200);
    }
}

/// Requests to the authorizer with the remaining deny reasons. `token` is revoked.
async fn every_reason_to_deny(stack: &Stack, token: &str) {
    const SCOPES: (&str, &str) = ("ROUTE_SCOPES", r#"{"GET /todo":["todo:write"]}"#);
    const DEAD: (&str, &str) = ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9");
    let secret = stack.client("caller", "todo:read").await;
    let good = stack.token("caller", &secret).await;
    let now = clock::now();
    for (event_name, token, setting, later) in [
        ("http_v2_no_credentials", "", SCOPES, 0),
        ("http_v2_bearer_scoped_route", good.as_str(), SCOPES, 0),
        ("http_v2_bearer", good.as_str(), SCOPES, 931),
        ("http_v2_bearer", good.as_str(), ("AUDIENCE", "other"), 0),
        ("http_v2_bearer", token, SCOPES, 0),
        ("http_v2_bearer", good.as_str(), DEAD, 0),
    ] {
        let deps = authorizer::Deps::from_settings(&stack.settings(&[NAMESPACE, setting])).unwrap();
        let event = event(&format!("authorizer/{event_name}.json"), &[("ACCESS_TOKEN", token)]);
        let answer = authorizer::handle(&deps, serde_json::from_value(event).unwrap(), now + later).await;
        assert_eq!(answer.is_err(), setting == DEAD);
    }
}

/// Runs a test in a child process. Returns its log as JSON and as text, and the content of the file [`INNER`].
pub fn run(test: &str) -> (Vec<Value>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let (log, secrets) = (folder.path().join("log"), folder.path().join("secrets"));
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INNER, &secrets)
        .env("RUST_LOG", "trace")
        .stderr(fs::File::create(&log).unwrap())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    let text = fs::read_to_string(&log).unwrap();
    assert!(status.success(), "{text}");
    let lines = text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    (lines, text, fs::read_to_string(&secrets).unwrap())
}

#[test]
fn no_secret_is_logged_and_every_line_is_json() {
    let (lines, text, secrets) = run("logs::logged_decisions");
    assert!(!text.contains("CANARY"), "{text}");
    Secrets(secrets.lines().map(str::to_owned).collect()).assert_none_in(&text);
    for (function, outcome, reason) in [
        ("token", "issued", None),
        ("token", "refused", Some("invalid_client")),
        ("token", "refused", Some("invalid_scope")),
        ("login", "issued", None),
        ("login", "refused", Some("invalid_grant")),
        ("google", "issued", None),
        ("google", "refused", Some("invalid_grant")),
        ("token", "refused", Some("invalid_grant")),
        ("token", "refused", Some("invalid_dpop_proof")),
        ("revoke", "revoked", None),
        ("revoke", "refused", Some("unauthorized_client")),
        ("introspect", "introspected", None),
        ("introspect", "refused", Some("invalid_client")),
        ("authorizer", "allowed", None),
        ("authorizer", "denied", Some("invalid_token")),
        ("authorizer", "denied", Some("invalid_signature")),
        ("authorizer", "denied", Some("missing_token")),
        ("authorizer", "denied", Some("insufficient_scope")),
        ("authorizer", "denied", Some("token_expired")),
        ("authorizer", "denied", Some("invalid_claims")),
        ("authorizer", "denied", Some("revoked")),
        ("authorizer", "failed", Some("keys_unavailable")),
        ("rotation", "done", None),
        ("rotation", "failed", None),
        ("discovery", "served", None),
        ("docs", "served", None),
        ("whoami", "served", None),
    ] {
        let found = lines.iter().any(|line| {
            line["function"] == function && line["outcome"] == outcome && line["reason"].as_str() == reason
        });
        assert!(found, "{function} {outcome} {reason:?}\n{text}");
    }
    let by_request = |line: &&Value| line["function"] != "rotation";
    assert!(lines.iter().filter(by_request).all(|line| line["request_id"].is_string()), "{text}");
    metrics_are_those_of_the_template(&lines);
}

/// A metric by its name and the names of its dimensions.
type Metric = (String, Vec<String>);

/// Asserts that the metrics written are those of the template's alarms and dashboard, because each metric costs money.
fn metrics_are_those_of_the_template(lines: &[Value]) {
    let mut written: BTreeSet<Metric> = BTreeSet::new();
    for line in lines {
        for directive in line["_aws"]["CloudWatchMetrics"].as_array().into_iter().flatten() {
            assert_eq!(directive["Namespace"], NAMESPACE.1, "{line}");
            for (metric, set) in directive["Metrics"].as_array().unwrap().iter().flat_map(|metric| {
                directive["Dimensions"].as_array().unwrap().iter().map(move |set| (metric, set))
            }) {
                let name = metric["Name"].as_str().unwrap();
                let set: Vec<_> =
                    set.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
                assert!(line[name].is_number(), "{name}: {line}");
                assert!(set.iter().all(|dimension| line[dimension].is_string()), "{name}: {line}");
                written.insert((name.to_owned(), set));
            }
        }
    }
    assert!(written.len() > 8, "{written:?}");
    assert_eq!(written, metrics_of_the_template());
}

/// The metrics of our namespace in `template.yaml`: in alarms, in searches by dimensions and in the dashboard's lists.
fn metrics_of_the_template() -> BTreeSet<Metric> {
    const OURS: &str = "Latchkey/${AWS::StackName}";
    let name = |text: &str| {
        let end = text.find(|character: char| !character.is_alphanumeric());
        text[..end.unwrap_or(text.len())].to_owned()
    };
    let mut named = BTreeSet::new();
    for (before, after) in TEMPLATE.match_indices(OURS).map(|(at, _)| TEMPLATE.split_at(at)) {
        let after = after.strip_prefix(OURS).unwrap();
        if before.ends_with("Namespace: !Sub ") {
            let metric = after.trim_start().strip_prefix("MetricName: ").expect(after);
            named.insert((name(metric), Vec::new()));
        } else if before.ends_with("SEARCH('{\\\"") {
            let (dimensions, after) =
                after.strip_prefix("\\\",").unwrap().split_once("} MetricName=\\\"").unwrap();
            named.insert((name(after), dimensions.split(',').map(str::to_owned).collect()));
        } else if before.ends_with("[[\"") {
            let (list, _) = after.split_once("]]").unwrap();
            for metric in list.split("\", \"").skip(1) {
                named.insert((name(metric), Vec::new()));
            }
        } else {
            assert!(before.ends_with("METRICS_NAMESPACE: !If [WithMetrics, !Sub \""), "{after}");
        }
    }
    named
}
