//! Attempt limits: guessing stops early, reveals nothing and does not lock out the account's owner.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use serde_json::{Value, json};
use shared::passwords::hash::PasswordHash;
use shared::runtime::clock;
use shared::store::attempts::Attempts;
use test_support::{PASSWORD, Stack};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::events::{call, form_event, http_event, status_and_body};

const ATTACKER: &str = "192.0.2.1";
const OWNER: &str = "198.51.100.7";
/// The source address of every request that comes through the proxy.
const PROXY: &str = "203.0.113.200";
const PROXY_SECRET: &str = "0123456789abcdef0123456789abcdef";
const SECRET: (&str, &str) = ("x-latchkey-proxy-secret", PROXY_SECRET);
const BCRYPT_13: &str = "$2y$13$0Ss3Kb99Ht/W4B/dGF/Iw.Tc2BwcDm7kkI88ZCoj.JryFKiOCS4Ri";
/// Attempts at one account from one source.
const ATTEMPTS: usize = 10;

struct Login {
    stack: Stack,
    deps: login::Deps,
}

impl Login {
    async fn start() -> Self {
        Self::with(&[]).await
    }

    async fn with(settings: &[(&str, &str)]) -> Self {
        let stack = Stack::start().await;
        stack.user("ada", "a").await;
        let deps = login::Deps::from_settings(&stack.settings(settings)).unwrap();
        Self { stack, deps }
    }

    /// The status of a sign-in from the proxy's address with these headers.
    async fn proxied(&self, password: &str, headers: &[(&str, &str)], now: u64) -> u64 {
        let body = json!({"username": "ada", "password": password}).to_string();
        let mut all = json!({"content-type": "application/json"});
        for (name, value) in headers {
            all[*name] = json!(value);
        }
        let mut event = http_event("POST", "/login", all, Some(&body));
        event["requestContext"]["http"]["sourceIp"] = json!(PROXY);
        let answer = call(&event, |request| login::handle(&self.deps, request, now)).await;
        answer["statusCode"].as_u64().unwrap()
    }

    async fn answer(&self, name: &str, password: &str, source: &str, now: u64) -> Value {
        let body = json!({"username": name, "password": password}).to_string();
        let mut event =
            http_event("POST", "/login", json!({"content-type": "application/json"}), Some(&body));
        event["requestContext"]["http"]["sourceIp"] = json!(source);
        call(&event, |request| login::handle(&self.deps, request, now)).await
    }

    async fn status(&self, name: &str, password: &str, source: &str, now: u64) -> u64 {
        self.answer(name, password, source, now).await["statusCode"].as_u64().unwrap()
    }
}

/// The start of the next window of every limit, so that no test crosses into another one.
fn window() -> u64 {
    (clock::now() / 3600 + 1) * 3600
}

#[tokio::test]
async fn ten_wrong_passwords_lock_the_account_for_their_source() {
    let login = Login::start().await;
    let now = window();
    let mut tasks = JoinSet::new();
    let login = Arc::new(login);
    for _ in 0..ATTEMPTS {
        let login = login.clone();
        tasks.spawn(async move { login.answer("ada", "wrong password", ATTACKER, now).await });
    }
    let wrong = tasks.join_all().await;
    assert!(wrong.iter().all(|answer| answer["statusCode"] == 401));
    let locked = login.answer("ADA", PASSWORD, ATTACKER, now).await;
    assert_eq!(status_and_body(&locked), status_and_body(&wrong[0]), "a lockout looks like a wrong password");
    assert_eq!(locked["headers"], wrong[0]["headers"]);
    assert_eq!(login.status("ada", PASSWORD, OWNER, now).await, 200, "from another source");
    assert_eq!(login.status("ada", PASSWORD, ATTACKER, now + 900).await, 200, "after 15 minutes");
}

#[tokio::test]
async fn login_and_token_share_the_lockout() {
    let login = Login::start().await;
    let now = window();
    let form = async |password: &str| {
        let event = form_event("/token", json!({}), &[("username", "ada"), ("password", password)]);
        call(&event, |request| login::handle(&login.deps, request, now)).await["statusCode"].clone()
    };
    join_all((0..ATTEMPTS).map(|_| form("wrong password"))).await;
    assert_eq!(login.status("ada", PASSWORD, "127.0.0.1", now).await, 401);
    assert_eq!(form(PASSWORD).await, 401);
}

#[tokio::test]
async fn surrounding_whitespace_shares_the_lockout() {
    let login = Login::start().await;
    let now = window();
    join_all((0..ATTEMPTS).map(|_| login.status("ada ", "wrong password", ATTACKER, now))).await;
    assert_eq!(login.status("ada", PASSWORD, ATTACKER, now).await, 401);
    assert_eq!(login.status("\tada", PASSWORD, ATTACKER, now).await, 401);
}

/// Only a correct password shows whether it was verified.
#[tokio::test]
async fn the_last_attempt_is_granted_once_to_concurrent_guesses() {
    let login = Login::start().await;
    let now = window();
    join_all((0..ATTEMPTS - 1).map(|_| login.status("ada", "wrong password", ATTACKER, now))).await;
    let answers = join_all((0..50).map(|_| login.status("ada", PASSWORD, ATTACKER, now))).await;
    let verified = answers.iter().filter(|status| **status == 200).count();
    assert!(verified <= 1, "{verified} of fifty");
    assert!(answers.iter().all(|status| matches!(status, 200 | 401)));
}

#[tokio::test]
async fn a_successful_sign_in_resets_the_attempts_of_its_source() {
    let login = Login::start().await;
    let now = window();
    for _ in 0..3 {
        join_all((0..ATTEMPTS - 1).map(|_| login.status("ada", "wrong password", OWNER, now))).await;
        assert_eq!(login.status("ada", PASSWORD, OWNER, now).await, 200);
    }
}

#[tokio::test]
async fn a_source_that_tries_many_accounts_is_rate_limited() {
    let login = Login::start().await;
    let now = window() + 100;
    let names: Vec<_> = (0..100).map(|number| format!("user-{number}")).collect();
    for names in names.chunks(20) {
        let statuses = join_all(names.iter().map(|name| login.status(name, "wrong password", ATTACKER, now)));
        assert!(statuses.await.iter().all(|status| *status == 401));
    }
    let refused = login.answer("ada", PASSWORD, ATTACKER, now).await;
    assert_eq!((&refused["statusCode"], &refused["headers"]["retry-after"]), (&json!(429), &json!("800")));
    assert_eq!(login.status("ada", PASSWORD, OWNER, now).await, 200, "another source is not limited");
    assert_eq!(login.status("ada", PASSWORD, ATTACKER, now + 800).await, 200);
}

#[tokio::test]
async fn an_account_accepts_a_hundred_attempts_from_all_sources() {
    let login = Login::start().await;
    let now = window();
    let sources: Vec<_> = (0..100).map(|number| format!("203.0.113.{number}")).collect();
    for sources in sources.chunks(20) {
        join_all(sources.iter().map(|source| login.status("ada", "wrong password", source, now))).await;
    }
    assert_eq!(login.status("ada", PASSWORD, OWNER, now).await, 401);
    Attempts::new(login.stack.table()).reset("Ada").await.unwrap();
    assert_eq!(login.status("ada", PASSWORD, OWNER, now).await, 200, "unlocked");
}

#[tokio::test]
async fn callers_behind_a_trusted_proxy_are_separate_sources() {
    let now = window();
    let attacker = |number: usize| format!("{ATTACKER}:{}", 1024 + number);
    let forwarded = |number: usize| format!("{OWNER}, 10.0.0.{number}, {ATTACKER}, {PROXY}");
    let (viewer, for_list) = ("cloudfront-viewer-address", "x-forwarded-for");
    let addresses: [&dyn Fn(usize) -> String; 2] = [&attacker, &forwarded];
    for ((header, owner), address) in
        [(viewer, format!("{OWNER}:443")), (for_list, format!("{OWNER}, {PROXY}"))].iter().zip(addresses)
    {
        let login = Login::with(&[("PROXY_SECRET", PROXY_SECRET), ("PROXY_ADDRESS_HEADER", header)]).await;
        let sent: Vec<_> = (0..ATTEMPTS).map(address).collect();
        let attempts = sent.iter().map(|address| [SECRET, (*header, address.as_str())]);
        let attempts: Vec<_> = attempts.collect();
        let statuses =
            join_all(attempts.iter().map(|headers| login.proxied("wrong password", headers, now))).await;
        assert!(statuses.iter().all(|status| *status == 401), "{header}: {statuses:?}");
        assert_eq!(
            login.proxied(PASSWORD, &attempts[0], now).await,
            401,
            "{header}: the attacker is locked out"
        );
        let owner = [SECRET, (*header, owner.as_str())];
        assert_eq!(login.proxied(PASSWORD, &owner, now).await, 200, "{header}: another source is not");
        assert_eq!(
            login.status("ada", PASSWORD, PROXY, now).await,
            200,
            "{header}: the proxy's address is not"
        );
        assert_eq!(
            login.status("ada", PASSWORD, ATTACKER, now).await,
            401,
            "{header}: the attempts count for one address"
        );
    }
}

#[tokio::test]
async fn the_address_header_counts_only_with_the_proxy_secret() {
    let now = window();
    let viewer = |number: usize| ("cloudfront-viewer-address", ["198.51.100.1:1", "198.51.100.2:2"][number]);
    let other = ("x-latchkey-proxy-secret", "0123456789abcdef0123456789abcdeg");
    let twice = format!("{PROXY_SECRET},{PROXY_SECRET}");
    let twice = ("x-latchkey-proxy-secret", twice.as_str());
    let garbage = ("cloudfront-viewer-address", "198.51.100.1, 198.51.100.2");
    let trusting = [("PROXY_SECRET", PROXY_SECRET)];
    for (settings, first, second) in [
        (trusting.as_slice(), vec![viewer(0)], vec![viewer(1)]),
        (&trusting, vec![other, viewer(0)], vec![other, viewer(1)]),
        (&trusting, vec![twice, viewer(0)], vec![twice, viewer(1)]),
        (&trusting, vec![SECRET, garbage], vec![SECRET]),
        (&trusting, vec![SECRET, ("x-forwarded-for", "198.51.100.1")], vec![SECRET]),
        (&[], vec![SECRET, viewer(0)], vec![SECRET, viewer(1)]),
        (&[("PROXY_ADDRESS_HEADER", "x-real-ip")], vec![("x-real-ip", "198.51.100.1")], vec![]),
    ] {
        let login = Login::with(settings).await;
        join_all((0..ATTEMPTS).map(|_| login.proxied("wrong password", &first, now))).await;
        assert_eq!(login.proxied(PASSWORD, &second, now).await, 401, "{settings:?} {second:?}");
        assert_eq!(login.status("ada", PASSWORD, PROXY, now).await, 401, "the proxy's own address counted");
        assert_eq!(login.status("ada", PASSWORD, "198.51.100.1", now).await, 200, "{settings:?} {first:?}");
    }
}

#[tokio::test]
async fn an_email_address_and_a_username_have_separate_lockouts() {
    // One user's email address is another user's username.
    let login = Login::start().await;
    let now = window();
    login.stack.user("ada@example.com", "b").await;
    join_all((0..ATTEMPTS).map(|_| login.status("ada@example.com", "wrong password", ATTACKER, now))).await;
    assert_eq!(login.status("ada", PASSWORD, ATTACKER, now).await, 200);
    assert_eq!(login.status("ada@example.com", PASSWORD, ATTACKER, now).await, 401);
}

#[tokio::test]
async fn a_sign_in_without_the_attempt_counters_is_unavailable() {
    let login = Login::start().await;
    let settings = login.stack.settings(&[("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")]);
    let deps = login::Deps::from_settings(&settings).unwrap();
    let login = Login { deps, ..login };
    assert_eq!(login.status("ada", PASSWORD, OWNER, window()).await, 503);
}

/// The fastest responses to an unknown user, a wrong password, a locked account and the slowest imported hash differ by
/// at most five percent of one hash.
#[tokio::test]
async fn unknown_wrong_and_locked_sign_ins_take_the_same_time() {
    const ROUNDS: usize = 334;
    /// Each takes half a second of CPU time.
    const SLOWEST_ROUNDS: usize = 30;
    let login = Arc::new(Login::start().await);
    let now = window();
    let password = "wrong password".into();
    let stored = PasswordHash::new("ada", &PASSWORD.into()).unwrap();
    let hash = (0..20).map(|_| {
        let started = Instant::now();
        PasswordHash::verify(Some(&stored), &password);
        started.elapsed()
    });
    let hash = hash.min().unwrap();
    login.stack.user("bob", "a").await;
    let slowest = PasswordHash::import(BCRYPT_13).unwrap();
    login.stack.user_with("eve", "a", slowest).await;
    let sources: Vec<_> = (0..100).map(|number| format!("203.0.113.{number}")).collect();
    // In chunks, because a busy machine would not finish all of them in time.
    for sources in sources.chunks(20) {
        join_all(sources.iter().map(|source| login.status("bob", "wrong password", source, now))).await;
    }
    assert_eq!(login.status("bob", PASSWORD, OWNER, now).await, 401, "locked");

    // A separate source for each, so that no other limit applies.
    let cases = ["unknown", "wrong", "locked", "slowest"];
    let mut tasks = JoinSet::new();
    let limit = Arc::new(Semaphore::new(24));
    // One at a time, because on Lambda each has a core.
    let limit_of_slowest = Arc::new(Semaphore::new(1));
    for round in 0..ROUNDS {
        let count = if round < SLOWEST_ROUNDS { cases.len() } else { cases.len() - 1 };
        for case in 0..count {
            let (login, limit) = (login.clone(), if case == 3 { &limit_of_slowest } else { &limit }.clone());
            let names = [format!("missing-{round}"), "ada".to_owned(), "bob".to_owned(), "eve".to_owned()];
            let name = names[case].clone();
            let source = format!("10.{case}.{}.{}", round / 256, round % 256);
            // The account's limit is a hundred attempts an hour.
            let now = if case == 1 { now + 3600 * (1 + round as u64 / 90) } else { now };
            tasks.spawn(async move {
                let _permit = limit.acquire().await;
                let started = Instant::now();
                let status = login.status(&name, "wrong password", &source, now).await;
                assert_eq!(status, 401, "{name}");
                (case, started.elapsed())
            });
        }
    }
    let mut times = vec![Vec::new(); cases.len()];
    for (case, time) in tasks.join_all().await {
        times[case].push(time);
    }
    let minima: Vec<_> = times.iter().map(|times| *times.iter().min().unwrap()).collect();
    for (case, times) in cases.iter().zip(&mut times) {
        times.sort();
        println!(
            "{case}: min {:?}, median {:?}, max {:?} of {}",
            times[0],
            times[times.len() / 2],
            times[times.len() - 1],
            times.len()
        );
    }
    let spread = (*minima.iter().max().unwrap()).checked_sub(*minima.iter().min().unwrap()).unwrap();
    println!(
        "one hash: {hash:?}; the minima differ by {spread:?}, {:.2} % of it",
        100.0 * spread.as_secs_f64() / hash.as_secs_f64()
    );
    assert!(spread.as_secs_f64() <= 0.05 * hash.as_secs_f64(), "{minima:?}, one hash {hash:?}");
}
