//! Who calls: a client, somebody with a token, somebody with an API key, and people who sign in.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bench::stack::Stack;
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

/// People. Invariant: more than are signing in at once, because tries at one account are counted while they
/// last, and that many from one address are not too many.
const PEOPLE: usize = 60;
const PASSWORD: &str = "correct horse battery staple";

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Client credentials.
    Token,
    /// A protected route, with the newest token: its signature is checked every time.
    Bearer,
    /// A protected route, with an API key.
    ApiKey,
    /// A user name and the right password.
    Login,
}

impl Kind {
    /// What is cheap.
    pub const CHEAP: [Self; 3] = [Self::Token, Self::Bearer, Self::ApiKey];
    pub const ALL: [Self; 4] = [Self::Token, Self::Bearer, Self::ApiKey, Self::Login];

    pub fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Bearer => "bearer token",
            Self::ApiKey => "API key",
            Self::Login => "login",
        }
    }
}

/// What came of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Good,
    /// Not now, and when again: 429 or 503 with `Retry-After`.
    NotNow,
    Bad,
}

/// One request.
#[derive(Clone, Copy)]
pub struct Sample {
    pub kind: Kind,
    pub began: Instant,
    pub took: Duration,
    pub outcome: Outcome,
}

/// Everybody, over connections that stay open.
pub struct Callers {
    http: Client,
    url: String,
    client: (String, String),
    api_key: String,
    newest_token: Mutex<String>,
    next_person: AtomicUsize,
}

impl Callers {
    /// Makes the people, and gets the first token.
    pub async fn new(latchkey: &Path, stack: &Stack) -> anyhow::Result<Self> {
        for number in 0..PEOPLE {
            create(latchkey, stack, &person(number))?;
        }
        let value = |name| stack.value(name).to_owned();
        let callers = Self {
            http: Client::new(),
            url: value("LATCHKEY_URL"),
            client: (value("DEMO_CLIENT_ID"), value("DEMO_CLIENT_SECRET")),
            api_key: value("DEMO_API_KEY"),
            newest_token: Mutex::default(),
            next_person: AtomicUsize::new(0),
        };
        ensure!(callers.ask(Kind::Token).await.outcome == Outcome::Good, "no token");
        Ok(callers)
    }

    /// Asks once.
    pub async fn ask(&self, kind: Kind) -> Sample {
        let began = Instant::now();
        let outcome = match self.send(kind).await {
            Ok(outcome) => outcome,
            Err(error) => {
                eprintln!("{}: {error:#}", kind.name());
                Outcome::Bad
            }
        };
        Sample { kind, began, took: began.elapsed(), outcome }
    }

    async fn send(&self, kind: Kind) -> anyhow::Result<Outcome> {
        let get = |path: &str| self.http.get(format!("{}{path}", self.url));
        let post = |path: &str| self.http.post(format!("{}{path}", self.url));
        let request = match kind {
            Kind::Token => {
                let (id, secret) = &self.client;
                post("/oauth2/token")
                    .basic_auth(id, Some(secret))
                    .form(&[("grant_type", "client_credentials")])
            }
            Kind::Bearer => get("/todo").bearer_auth(self.newest_token()),
            Kind::ApiKey => get("/users").header("x-api-key", &self.api_key),
            Kind::Login => {
                let number = self.next_person.fetch_add(1, Ordering::Relaxed) % PEOPLE;
                post("/login").json(&json!({"username": person(number), "password": PASSWORD}))
            }
        };
        let response = request.send().await?;
        let outcome = outcome(&response);
        let status = response.status();
        // To its end, or the connection is not used again.
        let body = response.bytes().await?;
        if outcome == Outcome::Bad {
            eprintln!("{}: {status} {}", kind.name(), String::from_utf8_lossy(&body));
        }
        if kind == Kind::Token && outcome == Outcome::Good {
            let answer: Value = serde_json::from_slice(&body)?;
            let token = answer["access_token"].as_str().context("no token")?.to_owned();
            *self.newest_token.lock().unwrap_or_else(PoisonError::into_inner) = token;
        }
        Ok(outcome)
    }

    fn newest_token(&self) -> String {
        self.newest_token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn outcome(response: &Response) -> Outcome {
    match response.status() {
        StatusCode::OK => Outcome::Good,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
            if response.headers().contains_key(RETRY_AFTER) =>
        {
            Outcome::NotNow
        }
        _ => Outcome::Bad,
    }
}

fn person(number: usize) -> String {
    format!("person-{number}")
}

fn create(latchkey: &Path, stack: &Stack, username: &str) -> anyhow::Result<()> {
    let mut command = Command::new(latchkey)
        .args(["user", "create", username])
        .envs(stack.environment(&[]))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    command.stdin.take().context("no input")?.write_all(PASSWORD.as_bytes())?;
    ensure!(command.wait()?.success(), "{username} could not be made");
    Ok(())
}
