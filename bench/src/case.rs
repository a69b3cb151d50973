//! Cases: a binary, its environment and its events.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::artifact::{Artifact, target};
use crate::process::Process;
use crate::stack::Stack;

/// The recorded event of the authorizer: a route that needs a scope.
pub const BEARER: &str = "authorizer/http_v2_bearer_scoped_route";

/// The longest token lifetime, so that a token stays valid until the end of the measurement.
pub const LONG_LIVED: (&str, &str) = ("ACCESS_TOKEN_TTL_SECONDS", "86400");

/// Warm calls a round: enough to resolve microseconds, and short enough for a steady machine.
pub const BATCH: usize = 300;
/// Warm calls a round of functions that take tens of milliseconds.
const SLOW_BATCH: usize = 12;

/// The events of a case.
#[derive(Clone)]
pub enum Input {
    /// The same event every time.
    Same(Vec<u8>),
    /// Events with tokens that the process has not seen.
    NewToken,
}

/// One line of the table.
#[derive(Clone)]
pub struct Case {
    pub name: String,
    /// Decides the stack that it runs against.
    pub algorithm: &'static str,
    pub command: Vec<String>,
    pub environment: BTreeMap<String, String>,
    pub input: Input,
    /// A text that every response contains.
    pub expected: &'static str,
    /// Warm calls a round.
    pub batch: usize,
    /// Of a peer: our case that does the same.
    pub compared_with: Option<String>,
}

/// Issued tokens by algorithm.
#[derive(Default)]
pub struct Tokens(BTreeMap<&'static str, Vec<String>>);

impl Tokens {
    /// Keeps the token of a response, if it has one.
    pub fn keep(&mut self, algorithm: &'static str, answer: &[u8]) {
        if let Some(token) = access_token(answer) {
            self.0.entry(algorithm).or_default().push(token);
        }
    }

    /// The latest tokens. All cases of a round use them, because each case is a separate process.
    fn latest(&self, algorithm: &'static str, count: usize) -> anyhow::Result<&[String]> {
        let issued = self.0.get(algorithm).map_or(&[][..], Vec::as_slice);
        let first = issued.len().checked_sub(count).context("too few tokens were issued")?;
        Ok(&issued[first..])
    }
}

fn access_token(answer: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_str(&body(answer)?).ok()?;
    body["access_token"].as_str().map(str::to_owned)
}

/// The body of an HTTP function's response.
pub fn body(answer: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    answer["body"].as_str().map(str::to_owned)
}

impl Case {
    /// So many events.
    pub fn events(&self, count: usize, stack: &Stack, tokens: &Tokens) -> anyhow::Result<Vec<Vec<u8>>> {
        match &self.input {
            Input::Same(event) => Ok(vec![event.clone(); count]),
            Input::NewToken => {
                let latest = tokens.latest(self.algorithm, count)?;
                latest.iter().map(|token| stack.event(BEARER, token)).collect()
            }
        }
    }

    /// Starts the process of this case.
    pub fn start(&self) -> anyhow::Result<Process> {
        Process::start(&self.command, &self.environment, self.expected)
    }
}

/// The functions that have one plain case.
const OTHERS: [(&str, &str, &str); 7] = [
    ("discovery", "discovery/jwks", "\"statusCode\":200"),
    ("docs", "docs/document", "\"statusCode\":200"),
    ("google", "google/garbage", "\"statusCode\":401"),
    ("introspect", "introspect/access_token", "\"statusCode\":200"),
    ("revoke", "revoke/unknown_token", "\"statusCode\":200"),
    ("rotation", "rotation/daily", "null"),
    ("whoami", "whoami/profile", "\"statusCode\":200"),
];

/// All cases of the functions that were built.
pub fn all(
    artifacts: &BTreeMap<&'static str, Artifact>,
    stacks: &[(&'static str, Stack)],
) -> anyhow::Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (algorithm, stack) in stacks {
        // Records the client secret's first use of the day, which is not measured.
        let token = first_token(artifacts, stack)?;
        cases.extend(of_stack(artifacts, algorithm, stack, &token, &signing_key(algorithm)?)?);
    }
    Ok(cases)
}

fn first_token(artifacts: &BTreeMap<&'static str, Artifact>, stack: &Stack) -> anyhow::Result<String> {
    let command = [artifacts["token"].path.display().to_string()];
    let mut process = Process::start(&command, &stack.environment(&[LONG_LIVED]), "access_token")?;
    process.ready()?;
    let answers = process.answers(vec![stack.event("token/basic", "")?])?;
    answers.first().and_then(|answer| access_token(&answer.body)).context("no token")
}

/// A key for the baselines that sign and verify.
fn signing_key(algorithm: &str) -> anyhow::Result<String> {
    let output = Command::new(target().join("release/key")).env("SIGNING_ALGORITHM", algorithm).output()?;
    ensure!(output.status.success(), "no key: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// The cases of one stack. Each argument is one input that all cases share.
fn of_stack(
    artifacts: &BTreeMap<&'static str, Artifact>,
    algorithm: &'static str,
    stack: &Stack,
    token: &str,
    signing_key: &str,
) -> anyhow::Result<Vec<Case>> {
    let bearer = stack.event(BEARER, token)?;
    let client = format!("CLIENT#{}", stack.value("DEMO_CLIENT_ID"));
    let case = |name: &str, function: &'static str, input, expected, batch| {
        let settings = [
            LONG_LIVED,
            ("PARTITION_KEY", client.as_str()),
            ("SIGNING_ALGORITHM", algorithm),
            ("SIGNING_KEY", signing_key),
        ];
        artifacts.get(function).map(|artifact| Case {
            name: name.to_owned(),
            algorithm,
            command: vec![artifact.path.display().to_string()],
            environment: stack.environment(&settings),
            input,
            expected,
            batch,
            compared_with: None,
        })
    };
    let same = |name: &str| Ok::<_, anyhow::Error>(Input::Same(stack.event(name, token)?));
    let allowed = "\"isAuthorized\":true";
    let signing = |name: &str| format!("{name} {algorithm}");
    let mut cases = vec![
        case(&signing("hello-world + signature"), "sign", Input::Same(bearer.clone()), "\"2.0\"", BATCH),
        case(&signing("hello-world + verification"), "verify", Input::Same(bearer.clone()), "\"2.0\"", BATCH),
        case(&signing("token"), "token", same("token/basic")?, "access_token", BATCH),
        case(&signing("authorizer, new token"), "authorizer", Input::NewToken, allowed, BATCH),
        case(&signing("authorizer, known token"), "authorizer", Input::Same(bearer.clone()), allowed, BATCH),
    ];
    if algorithm == "RS256" {
        cases.extend([
            case("hello-world", "hello", Input::Same(bearer.clone()), "\"2.0\"", BATCH),
            case("hello-world over HTTP", "http", same("token/basic")?, "\"statusCode\":200", BATCH),
            case("hello-world + read", "read", Input::Same(bearer.clone()), "\"2.0\"", BATCH),
            case("hello-world + hash", "hash", Input::Same(bearer), "\"2.0\"", SLOW_BATCH),
            case("login", "login", same("login/login")?, "access_token", SLOW_BATCH),
            case("authorizer, API key", "authorizer", same("authorizer/http_v2_api_key")?, allowed, BATCH),
        ]);
        for (function, event, expected) in OTHERS {
            cases.push(case(function, function, same(event)?, expected, BATCH));
        }
    }
    let cases: Vec<Case> = cases.into_iter().flatten().collect();
    ensure!(!cases.is_empty(), "nothing to measure");
    Ok(cases)
}
