//! Guessing passwords: it ends soon, it tells nothing, and it keeps nobody else out.

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
/// What API Gateway takes every caller for that comes through the proxy.
const PROXY: &str = "203.0.113.200";
const PROXY_SECRET: &str = "0123456789abcdef0123456789abcdef";
const SECRET: (&str, &str) = ("x-latchkey-proxy-secret", PROXY_SECRET);
const BCRYPT_13: &str = "$2y$13$0Ss3Kb99Ht/W4B/dGF/Iw.Tc2BwcDm7kkI88ZCoj.JryFKiOCS4Ri";
/// Tries at one account from one source.
const TRIES: usize = 10;

struct Door {
    stack: Stack,
    deps: login::Deps,
}

impl Door {
    async fn start() -> Self {
        Self::with(&[]).await
    }

    async fn with(settings: &[(&str, &str)]) -> Self {
        let stack = Stack::start().await;
        stack.user("ada", "a").await;
        let deps = login::Deps::from_settings(&stack.settings(settings)).unwrap();
        Self { stack, deps }
    }

    /// The status of a sign-in that comes from the proxy's address, with these headers beside.
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

/// The start of the next window of every kind: when a stack's key signs, and no test crosses into another.
fn window() -> u64 {
    (clock::now() / 3600 + 1) * 3600
}

#[tokio::test]
async fn after_ten_wrong_passwords_the_right_one_is_refused_there_and_works_elsewhere() {
    let door = Door::start().await;
    let now = window();
    let mut tasks = JoinSet::new();
    let door = Arc::new(door);
    for _ in 0..TRIES {
        let door = door.clone();
        tasks.spawn(async move { door.answer("ada", "wrong password", ATTACKER, now).await });
    }
    let wrong = tasks.join_all().await;
    assert!(wrong.iter().all(|answer| answer["statusCode"] == 401));
    let locked = door.answer("ADA", PASSWORD, ATTACKER, now).await;
    assert_eq!(status_and_body(&locked), status_and_body(&wrong[0]), "locked reads as wrong");
    assert_eq!(locked["headers"], wrong[0]["headers"]);
    assert_eq!(door.status("ada", PASSWORD, OWNER, now).await, 200, "the owner is elsewhere");
    assert_eq!(door.status("ada", PASSWORD, ATTACKER, now + 900).await, 200, "a quarter of an hour later");
}

#[tokio::test]
async fn the_other_way_in_has_the_same_lock() {
    let door = Door::start().await;
    let now = window();
    let form = async |password: &str| {
        let event = form_event("/token", json!({}), &[("username", "ada"), ("password", password)]);
        call(&event, |request| login::handle(&door.deps, request, now)).await["statusCode"].clone()
    };
    join_all((0..TRIES).map(|_| form("wrong password"))).await;
    assert_eq!(door.status("ada", PASSWORD, "127.0.0.1", now).await, 401);
    assert_eq!(form(PASSWORD).await, 401);
}

#[tokio::test]
async fn blanks_around_a_name_have_the_same_lock() {
    let door = Door::start().await;
    let now = window();
    join_all((0..TRIES).map(|_| door.status("ada ", "wrong password", ATTACKER, now))).await;
    assert_eq!(door.status("ada", PASSWORD, ATTACKER, now).await, 401);
    assert_eq!(door.status("\tada", PASSWORD, ATTACKER, now).await, 401);
}

/// Whether a password was looked at shows only when it is the right one.
#[tokio::test]
async fn with_one_try_left_fifty_guesses_at_once_are_one_look_at_most() {
    let door = Door::start().await;
    let now = window();
    join_all((0..TRIES - 1).map(|_| door.status("ada", "wrong password", ATTACKER, now))).await;
    let answers = join_all((0..50).map(|_| door.status("ada", PASSWORD, ATTACKER, now))).await;
    let looked_at = answers.iter().filter(|status| **status == 200).count();
    assert!(looked_at <= 1, "{looked_at} of fifty");
    assert!(answers.iter().all(|status| matches!(status, 200 | 401)));
}

#[tokio::test]
async fn slips_of_the_finger_are_forgotten_at_the_next_good_login() {
    let door = Door::start().await;
    let now = window();
    for _ in 0..3 {
        join_all((0..TRIES - 1).map(|_| door.status("ada", "wrong password", OWNER, now))).await;
        assert_eq!(door.status("ada", PASSWORD, OWNER, now).await, 200);
    }
}

#[tokio::test]
async fn a_source_that_tries_many_accounts_is_told_to_wait() {
    let door = Door::start().await;
    let now = window() + 100;
    let names: Vec<_> = (0..100).map(|number| format!("user-{number}")).collect();
    for names in names.chunks(20) {
        let statuses = join_all(names.iter().map(|name| door.status(name, "wrong password", ATTACKER, now)));
        assert!(statuses.await.iter().all(|status| *status == 401));
    }
    let refused = door.answer("ada", PASSWORD, ATTACKER, now).await;
    assert_eq!((&refused["statusCode"], &refused["headers"]["retry-after"]), (&json!(429), &json!("800")));
    assert_eq!(door.status("ada", PASSWORD, OWNER, now).await, 200, "nobody else is told so");
    assert_eq!(door.status("ada", PASSWORD, ATTACKER, now + 800).await, 200);
}

#[tokio::test]
async fn many_sources_together_have_a_hundred_tries_at_an_account() {
    let door = Door::start().await;
    let now = window();
    let sources: Vec<_> = (0..100).map(|number| format!("203.0.113.{number}")).collect();
    for sources in sources.chunks(20) {
        join_all(sources.iter().map(|source| door.status("ada", "wrong password", source, now))).await;
    }
    assert_eq!(door.status("ada", PASSWORD, OWNER, now).await, 401);
    Attempts::new(door.stack.table()).forget("Ada").await.unwrap();
    assert_eq!(door.status("ada", PASSWORD, OWNER, now).await, 200, "unlocked");
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_caller_is_a_source_of_its_own() {
    let now = window();
    let attacker = |number: usize| format!("{ATTACKER}:{}", 1024 + number);
    let forwarded = |number: usize| format!("{OWNER}, 10.0.0.{number}, {ATTACKER}, {PROXY}");
    let (viewer, for_list) = ("cloudfront-viewer-address", "x-forwarded-for");
    let addresses: [&dyn Fn(usize) -> String; 2] = [&attacker, &forwarded];
    for ((header, owner), address) in
        [(viewer, format!("{OWNER}:443")), (for_list, format!("{OWNER}, {PROXY}"))].iter().zip(addresses)
    {
        let door = Door::with(&[("PROXY_SECRET", PROXY_SECRET), ("PROXY_ADDRESS_HEADER", header)]).await;
        let sent: Vec<_> = (0..TRIES).map(address).collect();
        let tries = sent.iter().map(|address| [SECRET, (*header, address.as_str())]);
        let tries: Vec<_> = tries.collect();
        let statuses =
            join_all(tries.iter().map(|headers| door.proxied("wrong password", headers, now))).await;
        assert!(statuses.iter().all(|status| *status == 401), "{header}: {statuses:?}");
        assert_eq!(door.proxied(PASSWORD, &tries[0], now).await, 401, "{header}: the attacker is locked out");
        let owner = [SECRET, (*header, owner.as_str())];
        assert_eq!(door.proxied(PASSWORD, &owner, now).await, 200, "{header}: and nobody else");
        assert_eq!(door.status("ada", PASSWORD, PROXY, now).await, 200, "{header}: nor is the proxy itself");
        assert_eq!(door.status("ada", PASSWORD, ATTACKER, now).await, 401, "{header}: it is one address");
    }
}

#[tokio::test]
async fn the_address_in_a_header_counts_only_with_the_proxys_secret() {
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
        let door = Door::with(settings).await;
        join_all((0..TRIES).map(|_| door.proxied("wrong password", &first, now))).await;
        assert_eq!(door.proxied(PASSWORD, &second, now).await, 401, "{settings:?} {second:?}");
        assert_eq!(door.status("ada", PASSWORD, PROXY, now).await, 401, "the proxy's own address counted");
        assert_eq!(door.status("ada", PASSWORD, "198.51.100.1", now).await, 200, "{settings:?} {first:?}");
    }
}

#[tokio::test]
async fn somebody_elses_name_is_not_an_address() {
    // One user's email is another's username: they are two accounts, with two locks.
    let door = Door::start().await;
    let now = window();
    door.stack.user("ada@example.com", "b").await;
    join_all((0..TRIES).map(|_| door.status("ada@example.com", "wrong password", ATTACKER, now))).await;
    assert_eq!(door.status("ada", PASSWORD, ATTACKER, now).await, 200);
    assert_eq!(door.status("ada@example.com", PASSWORD, ATTACKER, now).await, 401);
}

#[tokio::test]
async fn without_the_counters_nobody_signs_in() {
    let door = Door::start().await;
    let settings = door.stack.settings(&[("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")]);
    let deps = login::Deps::from_settings(&settings).unwrap();
    let door = Door { deps, ..door };
    assert_eq!(door.status("ada", PASSWORD, OWNER, window()).await, 503);
}

/// Unknown, wrong and locked differ in their fastest answers by at most a twentieth of one hash, and so does a wrong
/// password where the dearest hash was imported.
#[tokio::test]
async fn unknown_wrong_and_locked_take_the_same_time() {
    const ROUNDS: usize = 334;
    /// Each takes half a second of CPU.
    const DEAREST_ROUNDS: usize = 30;
    let door = Arc::new(Door::start().await);
    let now = window();
    let password = "wrong password".into();
    let stored = PasswordHash::of("ada", &PASSWORD.into()).unwrap();
    let hash = (0..20).map(|_| {
        let started = Instant::now();
        PasswordHash::verify(Some(&stored), &password);
        started.elapsed()
    });
    let hash = hash.min().unwrap();
    door.stack.user("bob", "a").await;
    let dearest = PasswordHash::import(BCRYPT_13).unwrap();
    door.stack.user_with("eve", "a", dearest).await;
    let sources: Vec<_> = (0..100).map(|number| format!("203.0.113.{number}")).collect();
    // Not all at once: a machine that is busy otherwise would not get to all of them in time.
    for sources in sources.chunks(20) {
        join_all(sources.iter().map(|source| door.status("bob", "wrong password", source, now))).await;
    }
    assert_eq!(door.status("bob", PASSWORD, OWNER, now).await, 401, "locked");

    // A source of its own for each, so that no other limit comes in between.
    let cases = ["unknown", "wrong", "locked", "dearest"];
    let mut tasks = JoinSet::new();
    let turn = Arc::new(Semaphore::new(24));
    // One after another: in Lambda each has a core to itself.
    let turn_of_dearest = Arc::new(Semaphore::new(1));
    for round in 0..ROUNDS {
        let count = if round < DEAREST_ROUNDS { cases.len() } else { cases.len() - 1 };
        for case in 0..count {
            let (door, turn) = (door.clone(), if case == 3 { &turn_of_dearest } else { &turn }.clone());
            let names = [format!("nobody-{round}"), "ada".to_owned(), "bob".to_owned(), "eve".to_owned()];
            let name = names[case].clone();
            let source = format!("10.{case}.{}.{}", round / 256, round % 256);
            // The account's own limit is an hour's: each hundred tries have an hour of their own.
            let now = if case == 1 { now + 3600 * (1 + round as u64 / 90) } else { now };
            tasks.spawn(async move {
                let _turn = turn.acquire().await;
                let started = Instant::now();
                let status = door.status(&name, "wrong password", &source, now).await;
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
    let spread = *minima.iter().max().unwrap() - *minima.iter().min().unwrap();
    println!(
        "one hash: {hash:?}; the minima differ by {spread:?}, {:.2} % of it",
        100.0 * spread.as_secs_f64() / hash.as_secs_f64()
    );
    assert!(spread.as_secs_f64() <= 0.05 * hash.as_secs_f64(), "{minima:?}, one hash {hash:?}");
}
