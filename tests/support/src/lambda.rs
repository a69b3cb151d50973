//! An emulator of the Lambda Runtime API, in which the real binaries run
//! (docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::Stdio;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::NamedTempFile;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, mpsc};

use crate::Stack;
use crate::events::{placeholders, recorded};
use crate::secrets::Secrets;
use crate::stores::Stores;

/// The path of a function's or the command line's binary, with the features of the workspace's test build. Cargo gives a
/// test the binaries of its package only, so this calls `cargo build`. After `cargo test --workspace` it only links.
pub fn binary(name: &str) -> &'static str {
    static BINARIES: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    let binaries = BINARIES.get_or_init(|| {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let folders = fs::read_dir(format!("{root}/functions")).expect("the functions");
        let names =
            folders.map(|folder| folder.expect("a folder").file_name().into_string().expect("a name"));
        let names: Vec<String> = names.chain(["latchkey".to_owned()]).collect();
        let mut cargo = std::process::Command::new(env!("CARGO"));
        cargo.args(["build", "--offline", "--locked", "--workspace", "--message-format", "json"]);
        let built = cargo.args(names.iter().flat_map(|name| ["--bin", name])).current_dir(root).output();
        let built = built.expect("cargo runs");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        // doc.rust-lang.org/cargo/reference/external-tools.html#artifact-messages
        let messages = serde_json::Deserializer::from_slice(&built.stdout).into_iter::<Value>();
        let binary = |message: Value| {
            Some((message["target"]["name"].as_str()?.to_owned(), message["executable"].as_str()?.to_owned()))
        };
        messages.filter_map(|message| binary(message.expect("JSON"))).collect()
    });
    binaries.get(name).unwrap_or_else(|| panic!("no binary {name}"))
}

/// A running function.
pub struct Function {
    events: mpsc::UnboundedSender<String>,
    answers: mpsc::UnboundedReceiver<(String, Value)>,
    process: Child,
    /// Its standard output and standard error.
    printed: NamedTempFile,
}

struct Api {
    events: Mutex<mpsc::UnboundedReceiver<String>>,
    answers: mpsc::UnboundedSender<(String, Value)>,
}

/// Environment variables on top of the stack's and Lambda's.
pub type Settings<'a> = &'a [(&'a str, &'a str)];

fn command(binary: &str, runtime_api: &str, stack: &Stack, settings: Settings<'_>) -> Command {
    let mut command = Command::new(binary);
    command
        .env_clear()
        .envs(stack.environment(settings))
        .envs([
            ("AWS_LAMBDA_RUNTIME_API", runtime_api),
            ("AWS_LAMBDA_FUNCTION_NAME", "test"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/test"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "test"),
            // These must not change what is logged.
            ("AWS_LAMBDA_LOG_LEVEL", "TRACE"),
            ("RUST_LOG", "trace"),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

impl Function {
    /// Starts a binary against a stack's stores.
    pub async fn start(binary: &str, stack: &Stack, settings: Settings<'_>) -> Self {
        let (events, to_run) = mpsc::unbounded_channel();
        let (done, answers) = mpsc::unbounded_channel();
        let api = Arc::new(Api { events: Mutex::new(to_run), answers: done });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/{outcome}", post(finished))
            .with_state(api);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        tokio::spawn(async { axum::serve(listener, router).await });
        let printed = NamedTempFile::new().expect("a temporary file");
        let end = || File::options().append(true).open(printed.path()).expect("a temporary file");
        let process = command(binary, &address, stack, settings).stdout(end()).stderr(end()).spawn();
        Self { events, answers, process: process.expect("the binary runs"), printed }
    }

    /// All output so far.
    pub fn printed(&self) -> String {
        fs::read_to_string(self.printed.path()).expect("UTF-8")
    }

    /// Sends the function an event and returns its response.
    pub async fn call(&mut self, event: &Value) -> Value {
        let (outcome, answer) = self.outcome(event).await;
        assert_eq!(outcome, "response", "{answer}");
        answer
    }

    /// Sends the function an event that it rejects and returns the error.
    pub async fn failure(&mut self, event: &Value) -> Value {
        let (outcome, error) = self.outcome(event).await;
        assert_eq!(outcome, "error", "{error}");
        error
    }

    /// Sends the function an event without waiting for the outcome.
    pub fn send(&self, event: &Value) {
        self.events.send(event.to_string()).expect("the function is running");
    }

    /// Kills the process.
    pub async fn kill(mut self) {
        self.process.kill().await.expect("a running process");
    }

    /// Stops the process, as Lambda does between two events.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Continues the process.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let id = self.process.id().and_then(|id| id.try_into().ok()).expect("a running process");
        kill(Pid::from_raw(id), signal).expect("a signal");
    }

    /// Sends the function an event and returns `response` or `error` with the body.
    pub async fn outcome(&mut self, event: &Value) -> (String, Value) {
        self.send(event);
        tokio::select! {
            outcome = self.answers.recv() => outcome.expect("the emulator is running"),
            ended = self.process.wait() => panic!("the function ended: {ended:?}"),
        }
    }
}

/// The tests that every function passes as a process on Lambda.
///
/// `settings` are added to the stack's environment. `then` is an async function of `&Stack` and [`Function`], which uses
/// what the role allows and no recorded event needs. Each of `bad_settings` stops the start.
#[macro_export]
macro_rules! lambda_contract_tests {
    (
        $function:literal,
        $(settings: [$($setting:expr),+],)?
        $(then: $then:path,)?
        $(bad_settings: $bad_settings:expr,)?
    ) => {
        #[tokio::test]
        async fn every_recorded_event_gets_its_expected_response_within_the_role() {
            let after = $crate::lambda::answer_every_recorded_event($function, &[$($($setting),+)?]).await;
            $($then(&after.stack, after.process).await;)?
            after.stores.role.assert_just_enough();
        }

        $(
            #[tokio::test]
            async fn an_invalid_setting_stops_the_function_and_is_named() {
                $crate::lambda::assert_each_stops_the_start($function, &$bad_settings).await;
            }
        )?
    };
}

/// What [`answer_every_recorded_event`] leaves.
pub struct Answered {
    /// The local stack.
    pub stack: Stack,
    /// The stores, as the function reaches them.
    pub stores: Stores,
    /// The function, which still runs.
    pub process: Function,
}

/// Runs every recorded event of a function through its binary, in the role that the template gives it. What it prints
/// is lines of JSON without a secret.
pub async fn answer_every_recorded_event(function: &str, settings: Settings<'_>) -> Answered {
    let stack = Stack::start().await;
    let stores = Stores::of(&stack, binary(function)).await;
    let mut process = stores.function(&stack, settings).await;
    let placeholders = placeholders(&stack).await;
    let mut secrets = Secrets::of(&placeholders);
    let mut wrong = Vec::new();
    let (mut count, mut unreadable) = (0, 0);
    for recorded in recorded(&placeholders).iter().filter(|recorded| recorded.function() == function) {
        let answer = process.call(&recorded.event).await;
        secrets.add_those_of(&answer);
        wrong.extend(recorded.mismatch(&answer));
        count += 1;
        // The Lambda adaptor rejects it before the function logs anything.
        unreadable += usize::from(recorded.name.ends_with("/bad_base64.json"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 0, "{function} has no events");
    secrets.add_signing_keys(&stack).await;
    let printed = process.printed();
    secrets.assert_none_in(&printed);
    assert_eq!(printed.lines().count(), count - unreadable, "{count} requests of {function}:\n{printed}");
    for line in printed.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok_and(|line| line.is_object()), "{line}");
    }
    Answered { stack, stores, process }
}

/// Asserts that each of these settings stops the start of a function, with an error that names the setting and holds no
/// `canary`.
pub async fn assert_each_stops_the_start(function: &str, bad_settings: Settings<'_>) {
    let stack = Stack::start().await;
    for setting in bad_settings {
        let output = command(binary(function), "127.0.0.1:9", &stack, &[*setting]).output().await;
        let output = output.expect("the binary runs");
        assert!(!output.status.success(), "{setting:?}");
        let text = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(text.contains(setting.0) && !text.contains("canary"), "{setting:?}: {text}");
    }
}

async fn next(State(api): State<Arc<Api>>) -> impl IntoResponse {
    let event = api.events.lock().await.recv().await;
    let headers = [
        ("lambda-runtime-aws-request-id", "1"),
        ("lambda-runtime-deadline-ms", "99999999999999"),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-west-1:123456789012:function:test"),
    ];
    event.map(|event| (headers, event)).ok_or(StatusCode::GONE)
}

async fn finished(
    State(api): State<Arc<Api>>,
    Path((_, outcome)): Path<(String, String)>,
    body: String,
) -> StatusCode {
    let answer = serde_json::from_str(&body).unwrap_or(Value::String(body));
    // The receiver is gone when the test is over.
    let _ = api.answers.send((outcome, answer));
    StatusCode::ACCEPTED
}
