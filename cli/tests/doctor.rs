//! `latchkey doctor` against a local stack, working and broken.

mod stack;

use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::types::AttributeValue;
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use local::{Environment, Running};
use serde_json::Value;
use shared::runtime::aws::Aws;
use tempfile::TempDir;
use tokio::net::TcpListener;

use self::stack::local_stack;

struct Stack {
    running: Running,
    _folder: TempDir,
}

impl Stack {
    async fn start() -> Self {
        let (running, folder) = local_stack().await;
        Self { running, _folder: folder }
    }

    fn environment(&self) -> &Environment {
        &self.running.environment
    }

    fn aws(&self) -> Aws {
        Aws::from_settings(&self.environment().clone().into_iter().collect()).unwrap()
    }
}

fn run(environment: &Environment, changes: &[(&str, &str)], args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
    command.arg("doctor").args(args).env_clear().envs(environment).envs(changes.iter().copied());
    command.stdin(Stdio::null()).output().unwrap()
}

/// The checks and the exit status.
struct Diagnosis {
    checks: Vec<Value>,
    status: Option<i32>,
}

impl Diagnosis {
    fn of(environment: &Environment, changes: &[(&str, &str)], args: &[&str]) -> Self {
        let output = run(environment, changes, &[args, &["--output", "json"]].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        let lines = usize::from(!output.status.success());
        assert_eq!(stderr.lines().count(), lines, "{stderr}");
        let mut document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let Value::Array(checks) = document["checks"].take() else { panic!("no checks") };
        assert_eq!(checks.len(), 22, "all checks, even if one fails");
        Self { checks, status: output.status.code() }
    }

    fn named(&self, status: &str) -> Vec<&str> {
        let of_status = self.checks.iter().filter(|check| check["status"] == status);
        of_status.map(|check| check["name"].as_str().unwrap()).collect()
    }

    /// The problems are exactly these, and each has a remedy.
    fn has_problems(&self, problems: &[(&str, &str)]) {
        let names: Vec<_> = problems.iter().map(|(name, _)| *name).collect();
        assert_eq!((self.named("problem"), self.status), (names, Some(1)), "{:#?}", self.checks);
        for (name, words) in problems {
            let check = self.checks.iter().find(|check| check["name"] == *name).unwrap();
            let said = format!("{} {}", check["detail"], check["advice"]);
            assert!(said.contains(words) && check["advice"].is_string(), "{said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fresh_stack_has_no_problems() {
    let stack = Stack::start().await;
    let diagnosis = Diagnosis::of(stack.environment(), &[], &[]);
    assert_eq!(diagnosis.named("not_checked"), ["backups", "deletion protection", "encryption", "rotation"]);
    assert_eq!(diagnosis.named("ok").len() + 4, diagnosis.checks.len(), "{:#?}", diagnosis.checks);
    assert_eq!(diagnosis.status, Some(0));

    let shown = |changes: &[(&str, &str)]| {
        let output = run(stack.environment(), changes, &[]);
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), [].as_slice()));
        String::from_utf8(output.stdout).unwrap()
    };
    let plain = shown(&[]);
    assert!(
        plain.starts_with("✓  credentials ") && plain.ends_with("No problems, 4 not checked.\n"),
        "{plain}"
    );
    assert!(!plain.contains('\u{1b}') && shown(&[("CLICOLOR_FORCE", "1")]).contains('\u{1b}'));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_parts_are_checked_when_one_fails() {
    let stack = Stack::start().await;
    let diagnosis = |changes: &[(&str, &str)]| Diagnosis::of(stack.environment(), changes, &[]);
    let other_table = diagnosis(&[("TABLE_NAME", "other")]);
    other_table.has_problems(&[("table", "Check TABLE_NAME")]);
    for name in ["secret", "discovery", "issuer", "routes", "clock"] {
        assert!(other_table.named("ok").contains(&name), "{name}");
    }
    diagnosis(&[("TABLE_NAME", ""), ("SIGNING_SECRET_ID", "other")])
        .has_problems(&[("table", "TABLE_NAME is not set"), ("secret", "Check SIGNING_SECRET_ID")]);
    let secrets = stack.aws().secrets_manager();
    secrets.create_secret().name("empty").send().await.unwrap();
    secrets.create_secret().name("strange").secret_string("{}").send().await.unwrap();
    let empty = diagnosis(&[("SIGNING_SECRET_ID", "empty")]);
    empty.has_problems(&[("secret", "Run `latchkey signing-key rotate`")]);
    assert!(empty.named("ok").contains(&"table"));
    diagnosis(&[("SIGNING_SECRET_ID", "strange")])
        .has_problems(&[("secret", "does not contain a key document")]);
    diagnosis(&[("AWS_REGION", ""), ("AWS_DEFAULT_REGION", "")])
        .has_problems(&[("credentials", "no AWS region is set")]);
    diagnosis(&[("LATCHKEY_URL", "example")]).has_problems(&[("discovery", "example is not an API URL")]);
    let unknown = diagnosis(&[("LATCHKEY_URL", "")]);
    assert_eq!((unknown.status, unknown.named("problem").len()), (Some(0), 0), "no request is sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn unpublished_keys_are_a_problem() {
    let stack = Stack::start().await;
    let key = |text: &str| AttributeValue::S(text.to_owned());
    let delete = stack.aws().dynamodb().delete_item().table_name(&stack.environment()["TABLE_NAME"]);
    delete.key("pk", key("TRUST")).key("sk", key("JWKS")).send().await.unwrap();
    let diagnosis = Diagnosis::of(stack.environment(), &[], &[]);
    diagnosis.has_problems(&[
        ("trust snapshot", "rejects every token"),
        ("signing key", "Run `latchkey signing-key rotate`"),
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_stack_is_a_problem() {
    let stack = Stack::start().await;
    let environment = stack.environment().clone();
    stack.running.stop().await.unwrap();
    Diagnosis::of(&environment, &[], &[]).has_problems(&[
        ("table", "Start `latchkey dev`"),
        ("secret", "Start `latchkey dev`"),
        ("discovery", "does not answer"),
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn content_delivery_network_in_front_of_the_api_is_a_warning() {
    let stack = Stack::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(async || ([("x-amz-cf-id", "x")], "{}"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let diagnosis = Diagnosis::of(stack.environment(), &[], &["--url", &url]);
    let proxy = diagnosis.checks.iter().find(|check| check["name"] == "proxy").unwrap();
    assert_eq!(proxy["status"], "warning");
    let said = format!("{} {}", proxy["detail"], proxy["advice"]);
    assert!(said.contains("CloudFront") && said.contains("ProxySecret"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_to_the_api_contain_no_secret() {
    let stack = Stack::start().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heard = Arc::clone(&seen);
    let router = Router::new().fallback(move |request: Request| async move {
        heard.lock().unwrap().push(format!("{request:?}"));
        StatusCode::NOT_FOUND
    });
    tokio::spawn(async move { axum::serve(listener, router).await });

    let diagnosis = Diagnosis::of(stack.environment(), &[], &["--url", &url]);
    diagnosis
        .has_problems(&[("discovery", "answers 404"), ("routes", "none of the template's routes exists")]);
    let seen = seen.lock().unwrap().join("\n").to_lowercase();
    assert!(seen.contains("/oauth2/token"), "{seen}");
    for (name, value) in stack.environment() {
        let secret = name.contains("SECRET") || name.contains("KEY") || name.contains("PASSWORD");
        assert!(!secret || !seen.contains(&value.to_lowercase()), "{name}");
    }
    assert!(!seen.contains("\"authorization\"") && !seen.contains("\"x-api-key\""), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn api_that_allows_every_origin_is_a_warning() {
    let stack = Stack::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(|| async { [("access-control-allow-origin", "*")] });
    tokio::spawn(async move { axum::serve(listener, router).await });
    let diagnosis = Diagnosis::of(stack.environment(), &[], &["--url", &url]);
    let check = diagnosis.checks.iter().find(|check| check["name"] == "allowed origins").unwrap();
    let advice = check["advice"].as_str().unwrap_or_default();
    assert!(
        check["status"] == "warning" && advice.contains("AllowedOrigins=https://app.example.com"),
        "{check}"
    );
}
