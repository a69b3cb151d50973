//! Secrets Manager stops responding.
//!
//! `e2e/rotation.rs` tests with simulated time that a warm function signs for an hour. This test takes real time because
//! it tests timeouts.

use std::time::{Duration, Instant};

use shared::runtime::clock;
use test_support::Stack;
use test_support::events::{basic, call, form_event, status_and_body};
use test_support::faults::figure;
use test_support::proxy::{Fault, Proxy};

async fn ask(deps: &token::Deps, secret: &str, now: u64) -> (u64, Duration) {
    let event =
        form_event("/oauth2/token", basic("backend", secret), &[("grant_type", "client_credentials")]);
    let started = Instant::now();
    let answer = call(&event, |request| token::handle(deps, request, now)).await;
    (status_and_body(&answer).0, started.elapsed())
}

#[tokio::test]
async fn a_secrets_manager_outage_fails_cold_functions_and_spares_warm_ones() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "a").await;
    let proxy = Proxy::start(&stack.running.environment["AWS_ENDPOINT_URL_SECRETS_MANAGER"]).await;
    let settings = stack.settings(&[("AWS_ENDPOINT_URL_SECRETS_MANAGER", &proxy.url)]);
    let warm = token::Deps::from_settings(&settings).unwrap();
    let cold = token::Deps::from_settings(&settings).unwrap();
    let now = clock::now();
    assert_eq!(ask(&warm, &secret, now).await.0, 200);
    proxy.break_after(0, Fault::Hang { applied: false });
    // The cached secret is stale.
    let later = now + 600;
    let (cold_answer, warm_answer) = tokio::join!(ask(&cold, &secret, later), ask(&warm, &secret, later));
    for (name, (status, took), expected) in [("cold", cold_answer, 503), ("warm", warm_answer, 200)] {
        figure("Secrets Manager black-holed", format!("{name}: {status} in {took:.1?}"));
        assert_eq!(status, expected, "{name}");
        assert!(took < Duration::from_secs(10), "{name}");
    }
    let (status, took) = ask(&warm, &secret, later + 1).await;
    assert_eq!(status, 200);
    assert!(took < Duration::from_secs(1), "the backoff makes no request: {took:?}");
    proxy.heal();
    assert_eq!(ask(&cold, &secret, later + 5).await.0, 200, "within five seconds of its return");
}
