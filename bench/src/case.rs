//! What is measured: a binary, what it is started with, and what it is asked.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::artifact::{Artifact, target};
use crate::process::Process;
use crate::stack::Stack;

/// The recorded event that the authorizer is asked: a route that needs a scope.
pub const BEARER: &str = "authorizer/http_v2_bearer_scoped_route";

/// Tokens live as long as they can: a token that was seen before is shown again to the end.
pub const LONG_LIVED: (&str, &str) = ("ACCESS_TOKEN_TTL_SECONDS", "86400");

/// Warm calls a round: enough to see microseconds, and over before the machine has changed its mind.
pub const BATCH: usize = 300;
/// As above, of calls that take tens of milliseconds.
const SLOW_BATCH: usize = 12;

/// What a function is asked.
#[derive(Clone)]
pub enum Question {
    /// The same, again and again.
    Same(Vec<u8>),
    /// With tokens that the process has not seen.
    NewToken,
}

/// One line of the table.
#[derive(Clone)]
pub struct Case {
    pub name: String,
    /// Says which stack it runs against.
    pub algorithm: &'static str,
    pub command: Vec<String>,
    pub environment: BTreeMap<String, String>,
    pub question: Question,
    /// What every answer holds.
    pub expected: &'static str,
    /// Warm calls a round.
    pub batch: usize,
    /// If it is somebody else's: the case of ours that does the same.
    pub beside: Option<String>,
}

/// Tokens that were issued, by algorithm.
#[derive(Default)]
pub struct Tokens(BTreeMap<&'static str, Vec<String>>);

impl Tokens {
    /// Keeps the token of an answer, if there is one.
    pub fn keep(&mut self, algorithm: &'static str, answer: &[u8]) {
        if let Some(token) = access_token(answer) {
            self.0.entry(algorithm).or_default().push(token);
        }
    }

    /// The latest. They are for all cases of a round, each of which is a process of its own.
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

/// The body of an HTTP function's answer.
pub fn body(answer: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    answer["body"].as_str().map(str::to_owned)
}

impl Case {
    /// So many questions.
    pub fn events(&self, count: usize, stack: &Stack, tokens: &Tokens) -> anyhow::Result<Vec<Vec<u8>>> {
        match &self.question {
            Question::Same(event) => Ok(vec![event.clone(); count]),
            Question::NewToken => {
                let latest = tokens.latest(self.algorithm, count)?;
                latest.iter().map(|token| stack.event(BEARER, token)).collect()
            }
        }
    }

    /// Starts its process.
    pub fn start(&self) -> anyhow::Result<Process> {
        Process::start(&self.command, &self.environment, self.expected)
    }
}

/// The functions that are asked their plainest question, beside those below.
const OTHERS: [(&str, &str, &str); 7] = [
    ("discovery", "discovery/jwks", "\"statusCode\":200"),
    ("docs", "docs/document", "\"statusCode\":200"),
    ("google", "google/garbage", "\"statusCode\":401"),
    ("introspect", "introspect/access_token", "\"statusCode\":200"),
    ("revoke", "revoke/unknown_token", "\"statusCode\":200"),
    ("rotation", "rotation/daily", "null"),
    ("whoami", "whoami/profile", "\"statusCode\":200"),
];

/// All cases, of the functions that are wanted.
pub fn all(
    artifacts: &BTreeMap<&'static str, Artifact>,
    stacks: &[(&'static str, Stack)],
) -> anyhow::Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (algorithm, stack) in stacks {
        // The client's first use of the day is written down: not part of any figure.
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

/// A key for the hello-worlds that sign and verify.
fn signing_key(algorithm: &str) -> anyhow::Result<String> {
    let output = Command::new(target().join("release/key")).env("SIGNING_ALGORITHM", algorithm).output()?;
    ensure!(output.status.success(), "no key: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn of_stack(
    artifacts: &BTreeMap<&'static str, Artifact>,
    algorithm: &'static str,
    stack: &Stack,
    token: &str,
    signing_key: &str,
) -> anyhow::Result<Vec<Case>> {
    let bearer = stack.event(BEARER, token)?;
    let client = format!("CLIENT#{}", stack.value("DEMO_CLIENT_ID"));
    let case = |name: &str, function: &'static str, question, expected, batch| {
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
            question,
            expected,
            batch,
            beside: None,
        })
    };
    let same = |name: &str| Ok::<_, anyhow::Error>(Question::Same(stack.event(name, token)?));
    let allowed = "\"isAuthorized\":true";
    let signing = |name: &str| format!("{name} {algorithm}");
    let mut cases = vec![
        case(&signing("hello-world + signature"), "sign", Question::Same(bearer.clone()), "\"2.0\"", BATCH),
        case(
            &signing("hello-world + verification"),
            "verify",
            Question::Same(bearer.clone()),
            "\"2.0\"",
            BATCH,
        ),
        case(&signing("token"), "token", same("token/basic")?, "access_token", BATCH),
        case(&signing("authorizer, new token"), "authorizer", Question::NewToken, allowed, BATCH),
        case(
            &signing("authorizer, known token"),
            "authorizer",
            Question::Same(bearer.clone()),
            allowed,
            BATCH,
        ),
    ];
    if algorithm == "RS256" {
        cases.extend([
            case("hello-world", "hello", Question::Same(bearer.clone()), "\"2.0\"", BATCH),
            case("hello-world over HTTP", "http", same("token/basic")?, "\"statusCode\":200", BATCH),
            case("hello-world + read", "read", Question::Same(bearer.clone()), "\"2.0\"", BATCH),
            case("hello-world + hash", "hash", Question::Same(bearer), "\"2.0\"", SLOW_BATCH),
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
