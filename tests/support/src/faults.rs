//! Helpers for the tests of `docs/reliability.md`: their duration and the figures that they print.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

/// If set, the tests run for as long as `docs/reliability.md` says. Otherwise they take seconds.
pub const LONG: &str = "FAULTS_LONG";

/// `short` in a normal run, `long` in a run with [`LONG`].
pub fn short_or_long<T>(short: T, long: T) -> T {
    if std::env::var_os(LONG).is_some() { long } else { short }
}

/// Prints a figure of `docs/reliability.md`.
pub fn figure(name: &str, value: impl fmt::Display) {
    println!("FAULTS {name}: {value}");
}

/// The outcome of many requests.
#[derive(Clone, Copy, Default)]
pub struct Tally {
    pub asked: usize,
    pub granted: usize,
    pub slowest: Duration,
}

impl Tally {
    pub fn count(&mut self, granted: bool, took: Duration) {
        self.asked += 1;
        self.granted += usize::from(granted);
        self.slowest = self.slowest.max(took);
    }

    pub fn add(&mut self, other: Self) {
        self.asked += other.asked;
        self.granted += other.granted;
        self.slowest = self.slowest.max(other.slowest);
    }

    /// Granted requests in percent.
    pub fn success(&self) -> f64 {
        100.0 * self.granted as f64 / self.asked as f64
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked, granted, slowest } = self;
        write!(
            formatter,
            "{granted} of {asked} ({:.2} %), slowest {} ms",
            self.success(),
            slowest.as_millis()
        )
    }
}

/// The timeout of API Gateway and of the functions.
pub const IN_TIME: Duration = Duration::from_secs(10);
/// How soon after a store's return requests must succeed.
pub const RECOVERY: Duration = Duration::from_secs(5);

/// Makes nearly every request read what is otherwise cached.
pub const READ_OFTEN: (&str, &str) = ("TRUST_REFRESH_SECONDS", "1");

/// Whether a response grants the request.
pub fn is_granted(answer: &Value) -> bool {
    answer["statusCode"] == 200 || answer["isAuthorized"] == true
}

/// A refresh by a user who signed in without a client.
pub fn refresh(token: &str) -> Value {
    crate::events::form_event(
        "/oauth2/token",
        json!({}),
        &[("grant_type", "refresh_token"), ("refresh_token", token)],
    )
}

/// An authorizer event of an HTTP API.
pub fn authorized(headers: Value) -> Value {
    json!({
        "version": "2.0", "type": "REQUEST", "routeKey": "GET /profile", "rawPath": "/profile",
        "routeArn": "arn:aws:execute-api:eu-west-1:123456789012:api/prod/GET/profile",
        "rawQueryString": "", "headers": headers,
        "requestContext": {
            "requestId": "request-1", "stage": "$default", "http": {"method": "GET", "path": "/profile"},
        },
    })
}
