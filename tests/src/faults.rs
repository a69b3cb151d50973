//! What the tests of `RELIABILITY.md` have in common: how long they run, and how they say what they found.

use std::fmt;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::Stack;
use crate::proxy::{End, Fault};
use crate::stores::{Stores, name};

/// Set to anything, it makes the tests take the time that the bars speak of. Without it they take seconds.
pub const LONG: &str = "FAULTS_LONG";

/// The one value in the run of every day, the other in the long run.
pub fn short_or_long<T>(short: T, long: T) -> T {
    if std::env::var_os(LONG).is_some() { long } else { short }
}

/// Prints one line of `RELIABILITY.md`'s figures.
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
pub fn is_good(answer: &Value) -> bool {
    answer["statusCode"] == 200 || answer["isAuthorized"] == true
}

/// How long the first answer of a process that was frozen may take: an attempt that nobody answers is given up
/// after 1.15 s. Two may meet a connection that is gone, one after the other, and a third must do.
pub const THAW: Duration = Duration::from_millis(3700);

/// A process is frozen for some time after it has answered, as Lambda does, and its connections come to an
/// end meanwhile. The first request after that must succeed. Each event must be one that the store is asked
/// about.
///
/// Real time passes: what is tested is what the process's timers and sockets make of it.
pub async fn freeze_and_thaw(binary: &'static str, stack: &Stack, event: impl AsyncFn() -> Value) {
    let mut tasks = JoinSet::new();
    for seconds in short_or_long(vec![1, 3], vec![1, 5, 15, 60, 120, 180]) {
        for end in End::ALL {
            let stores = Stores::of(stack, binary).await;
            let mut function = stores.function(stack, &[READ_OFTEN]).await;
            // Twice: what is opened beside each other the first time is all in the pool the second.
            for _ in 0..2 {
                let answer = function.call(&event().await).await;
                assert!(is_good(&answer), "{answer}");
            }
            let event = event().await;
            tasks.spawn(async move {
                function.freeze();
                for proxy in stores.each() {
                    proxy.end_connections(end);
                }
                sleep(Duration::from_secs(seconds)).await;
                function.thaw();
                let asked_before = stores.dynamodb.count();
                let started = Instant::now();
                let (_, answer) = function.outcome(&event).await;
                let took = started.elapsed();
                assert!(stores.dynamodb.count() > asked_before, "the store was not asked");
                (seconds, end, answer, took)
            });
        }
    }
    let mut failed = Vec::new();
    for (seconds, end, answer, took) in tasks.join_all().await {
        let found = if is_good(&answer) { "good" } else { "bad" };
        figure(
            &format!("frozen, {}", name(binary)),
            format!("{seconds} s, connections {end:?}: first answer {found} in {} ms", took.as_millis()),
        );
        if !is_good(&answer) || took > THAW {
            failed.push((seconds, end, answer));
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

/// Both stores are gone without a word for some time, for a process that was warm and for one that starts
/// meanwhile. `is_authorizer` is whether the warm one may go on with what it has, and whether «not now» is an
/// error: it has no word for it, and all others say 503.
///
/// Real time passes, because the time-outs are what is tested.
pub async fn black_hole(binary: &'static str, stack: &Stack, event: Value, is_authorizer: bool) {
    let mut tasks = JoinSet::new();
    for warm in [true, false] {
        let stores = Stores::of(stack, binary).await;
        let mut function = None;
        if warm {
            function = Some(stores.function(stack, &[READ_OFTEN]).await);
            assert!(is_good(&function.as_mut().expect("just started").call(&event).await));
        }
        for proxy in stores.each() {
            proxy.break_after(0, Fault::Hang { applied: false });
        }
        let mut function = match function {
            Some(function) => function,
            None => stores.function(stack, &[READ_OFTEN]).await,
        };
        let event = event.clone();
        tasks.spawn(async move {
            let (lasts, started) = (Duration::from_secs(short_or_long(6, 60)), Instant::now());
            let mut tally = Tally::default();
            while started.elapsed() < lasts {
                let asked = Instant::now();
                let answer = function.outcome(&event).await;
                tally.count(is_good(&answer.1), asked.elapsed());
                let undecided = match answer.0.as_str() {
                    "error" => is_authorizer,
                    _ => !is_authorizer && answer.1["statusCode"] == 503,
                };
                assert!(undecided || (warm && is_authorizer), "{answer:?}");
                // A client's pause, lest the cool-downs' quick answers outnumber all others.
                sleep(Duration::from_millis(100)).await;
            }
            assert!(stores.each().iter().any(|proxy| proxy.faults() > 0), "no fault was met");
            for proxy in stores.each() {
                proxy.heal();
            }
            let healed = Instant::now();
            while !is_good(&function.outcome(&event).await.1) {
                assert!(healed.elapsed() < 2 * RECOVERY, "it does not recover");
                sleep(Duration::from_millis(100)).await;
            }
            (warm, tally, healed.elapsed())
        });
    }
    for (warm, tally, recovered) in tasks.join_all().await {
        let state = if warm { "warm" } else { "cold" };
        figure(
            &format!("black hole, {} {state}", name(binary)),
            format!("granted {tally}, recovered in {} ms", recovered.as_millis()),
        );
        assert!(tally.slowest < IN_TIME && recovered < RECOVERY);
        assert_eq!(tally.granted, if warm && is_authorizer { tally.asked } else { 0 });
    }
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
