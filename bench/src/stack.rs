//! A local stack to measure against: `latchkey dev` as a child process.
//!
//! It is a separate process, so that its dependencies and compiler options don't affect the functions.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

/// A running `latchkey dev`.
pub struct Stack {
    child: Child,
    /// The variables of `dev.env`.
    environment: BTreeMap<String, String>,
    _data: TempDir,
}

impl Stack {
    /// Starts a stack that signs tokens with this algorithm.
    pub fn start(latchkey: &Path, algorithm: &str) -> anyhow::Result<Self> {
        let data = tempfile::tempdir()?;
        let mut child = Command::new(latchkey)
            .args(["dev", "--ephemeral", "--port", "0", "--data"])
            .arg(data.path())
            // A separate stack, even if a dev.env was sourced.
            .env_remove("AWS_ENDPOINT_URL_DYNAMODB")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("latchkey dev")?;
        let output = BufReader::new(child.stdout.take().context("no output")?);
        let ready = output.lines().map_while(Result::ok).any(|line| line.starts_with("listening on "));
        ensure!(ready, "latchkey dev did not start");
        let environment = read(&fs::read_to_string(data.path().join("dev.env"))?);
        let stack = Self { child, environment, _data: data };
        if algorithm != "RS256" {
            let rotated = Command::new(latchkey)
                .args(["signing-key", "rotate", "--lead", "0s"])
                .envs(&stack.environment)
                .env("SIGNING_ALGORITHM", algorithm)
                .stdout(Stdio::null())
                .status()?;
            ensure!(rotated.success(), "cannot rotate the signing key");
        }
        Ok(stack)
    }

    /// The id of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The environment of a function, with the template's settings.
    pub fn environment(&self, more: &[(&str, &str)]) -> BTreeMap<String, String> {
        let mut pairs = self.environment.clone();
        let settings = [
            ("AUDIENCE", "latchkey"),
            ("DEPLOY_EXAMPLES", "true"),
            ("ISSUER", self.value("LATCHKEY_URL")),
            ("METRICS_NAMESPACE", "Latchkey/latchkey"),
            ("ROUTE_SCOPES", r#"{"GET /todo":["todo:read"]}"#),
        ];
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.extend(settings.iter().chain(more).map(own));
        pairs
    }

    /// A variable of `dev.env`.
    pub fn value(&self, name: &str) -> &str {
        self.environment.get(name).map_or("", String::as_str)
    }

    /// A recorded event with its placeholders filled in.
    pub fn event(&self, name: &str, access_token: &str) -> anyhow::Result<Vec<u8>> {
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../events").join(format!("{name}.json"));
        let mut text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let basic =
            STANDARD.encode(format!("{}:{}", self.value("DEMO_CLIENT_ID"), self.value("DEMO_CLIENT_SECRET")));
        let own = [("DEMO_BASIC", basic.as_str()), ("ACCESS_TOKEN", access_token)];
        let known = self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in known.chain(own) {
            text = text.replace(&format!("${{{name}}}"), value);
        }
        // Without whitespace, as Lambda sends it.
        let event: serde_json::Value = serde_json::from_str(&text)?;
        Ok(serde_json::to_vec(&event)?)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads `dev.env`.
fn read(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
    lines.map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned())).collect()
}
