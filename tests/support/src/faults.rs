//! What the tests of `docs/reliability.md` have in common: how long they run, and how they say what they found.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

/// Set to anything, it makes the tests take the time that the bars speak of. Without it they take seconds.
pub const LONG: &str = "FAULTS_LONG";

/// The one value in the run of every day, the other in the long run.
pub fn short_or_long<T>(short: T, long: T) -> T {
    if std::env::var_os(LONG).is_some() { long } else { short }
}

/// Prints one line of `docs/reliability.md`'s figures.
pub fn figure(bar: &str, found: impl fmt::Display) {
    println!("FAULTS {bar}: {found}");
}

/// What came of many requests.
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

    /// In a hundred.
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

/// API Gateway's and the functions' own limit for an answer.
pub const IN_TIME: Duration = Duration::from_secs(10);
/// How long after a store's return there must be good answers again.
pub const RECOVERY: Duration = Duration::from_secs(5);

/// What is read at every request but for the cache is read at nearly every request.
pub const READ_OFTEN: (&str, &str) = ("TRUST_REFRESH_SECONDS", "1");

/// Whether an answer is what was asked for.
pub fn is_active(answer: &Value) -> bool {
    answer["statusCode"] == 200 || answer["isAuthorized"] == true
}

/// A refresh by somebody who signed in without a client.
pub fn refresh(token: &str) -> Value {
    crate::events::form_event(
        "/oauth2/token",
        json!({}),
        &[("grant_type", "refresh_token"), ("refresh_token", token)],
    )
}

/// An HTTP API's question to the authorizer.
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
