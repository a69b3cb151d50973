//! The callers: a client, a token, an API key and users who sign in.

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

/// The number of users. Invariants: more than sign in concurrently, because attempts at one account count while they last,
/// and within the attempt limit of one source address.
const USERS: usize = 60;
const PASSWORD: &str = "correct horse battery staple";

/// The kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Client credentials.
    Token,
    /// A protected route with the newest token.
    Bearer,
    /// A protected route with an API key.
    ApiKey,
    /// A username with the right password.
    Login,
}

impl Kind {
    /// The kinds without a password hash.
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

/// The outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    /// 429 or 503 with `Retry-After`.
    RetryLater,
    Failure,
}

/// A measured request.
#[derive(Clone, Copy)]
pub struct Sample {
    pub kind: Kind,
    pub began: Instant,
    pub took: Duration,
    pub outcome: Outcome,
}

/// All callers, with persistent connections.
pub struct Callers {
    http: Client,
    url: String,
    client: (String, String),
    api_key: String,
    newest_token: Mutex<String>,
    next_user: AtomicUsize,
}

impl Callers {
    /// Creates the users and gets the first token.
    pub async fn new(latchkey: &Path, stack: &Stack) -> anyhow::Result<Self> {
        for number in 0..USERS {
            create(latchkey, stack, &username(number))?;
        }
        let value = |name| stack.value(name).to_owned();
        let callers = Self {
            http: Client::new(),
            url: value("LATCHKEY_URL"),
            client: (value("DEMO_CLIENT_ID"), value("DEMO_CLIENT_SECRET")),
            api_key: value("DEMO_API_KEY"),
            newest_token: Mutex::default(),
            next_user: AtomicUsize::new(0),
        };
        ensure!(callers.ask(Kind::Token).await.outcome == Outcome::Success, "no token");
        Ok(callers)
    }

    /// Sends a request and measures it.
    pub async fn ask(&self, kind: Kind) -> Sample {
        let began = Instant::now();
        let outcome = match self.send(kind).await {
            Ok(outcome) => outcome,
            Err(error) => {
                eprintln!("{}: {error:#}", kind.name());
                Outcome::Failure
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
                let number = self.next_user.fetch_add(1, Ordering::Relaxed) % USERS;
                post("/login").json(&json!({"username": username(number), "password": PASSWORD}))
            }
        };
        let response = request.send().await?;
        let outcome = outcome(&response);
        let status = response.status();
        // Reads the whole body, or the connection is not reused.
        let body = response.bytes().await?;
        if outcome == Outcome::Failure {
            eprintln!("{}: {status} {}", kind.name(), String::from_utf8_lossy(&body));
        }
        if kind == Kind::Token && outcome == Outcome::Success {
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
        StatusCode::OK => Outcome::Success,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
            if response.headers().contains_key(RETRY_AFTER) =>
        {
            Outcome::RetryLater
        }
        _ => Outcome::Failure,
    }
}

fn username(number: usize) -> String {
    format!("user-{number}")
}

fn create(latchkey: &Path, stack: &Stack, username: &str) -> anyhow::Result<()> {
    let mut command = Command::new(latchkey)
        .args(["user", "create", username])
        .envs(stack.environment(&[]))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    command.stdin.take().context("no input")?.write_all(PASSWORD.as_bytes())?;
    ensure!(command.wait()?.success(), "cannot create {username}");
    Ok(())
}
