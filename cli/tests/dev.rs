//! The process `latchkey dev`: it reports that it is ready, stops on a signal, and keeps its data.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::Client;
use serde_json::{Deserializer, Value};

const PROGRAM: &str = env!("CARGO_BIN_EXE_latchkey");

/// A running process that is ready.
struct Dev {
    process: Child,
    url: String,
}

/// A failed test leaves no process.
impl Drop for Dev {
    fn drop(&mut self) {
        self.process.kill().unwrap_or_default();
        self.process.wait().map(drop).unwrap_or_default();
    }
}

impl Dev {
    fn start(data: &Path) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(["dev", "--port", "0", "--output", "json", "--data"]).arg(data).env_clear();
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = process.stdout.take().unwrap();
        let ready: Value = Deserializer::from_reader(stdout).into_iter().next().unwrap().unwrap();
        Self { process, url: ready["url"].as_str().unwrap().to_owned() }
    }

    /// Sends a signal and returns the exit status.
    fn end(mut self, signal: Signal) -> Option<i32> {
        kill(Pid::from_raw(self.process.id().try_into().unwrap()), signal).unwrap();
        self.process.wait().unwrap().code()
    }
}

/// The answer of a command in a shell that has read `dev.env`.
fn in_shell(data: &Path, arguments: &[&str]) -> Value {
    let mut command = Command::new("sh");
    command
        .args(["-c", r#". "$0/dev.env" && exec "$@" --output json"#])
        .arg(data)
        .arg(PROGRAM)
        .args(arguments);
    let output = command.env_clear().output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn signal_stops_the_stack_and_the_next_start_has_its_data() {
    let folder = tempfile::tempdir().unwrap();
    for (signal, client_id) in [(Signal::SIGINT, "one"), (Signal::SIGTERM, "other")] {
        let data = folder.path().join(client_id);
        let first = Dev::start(&data);
        let created = in_shell(&data, &["client", "create", client_id, "--scope", "todo:read"]);
        assert_eq!(first.end(signal), Some(0), "{signal}");

        let second = Dev::start(&data);
        let request = Client::new().post(format!("{}/oauth2/token", second.url));
        let secret = created["client_secret"].as_str().unwrap();
        let request =
            request.basic_auth(client_id, Some(secret)).form(&[("grant_type", "client_credentials")]);
        assert_eq!(request.send().await.unwrap().status(), 200, "{signal}");
        assert_eq!(second.end(signal), Some(0), "{signal}");
    }
}
