//! Both stores stop responding for some time, for a warm process and for one that starts meanwhile. A warm authorizer
//! decides with its last trust snapshot, which serves for five minutes.
//!
//! These tests take real time because they test timeouts.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use test_support::Stack;
use test_support::faults::{
    IN_TIME, READ_OFTEN, RECOVERY, Tally, authorized, figure, is_granted, short_or_long,
};
use test_support::lambda::{Function, binary};
use test_support::proxy::Fault;
use test_support::stores::Stores;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{FUNCTIONS, event, stack_with_user};

#[tokio::test(flavor = "multi_thread")]
async fn a_function_without_its_stores_fails_closed_in_time() {
    let stack = stack_with_user().await;
    let mut tasks = JoinSet::new();
    for function in FUNCTIONS {
        let event = match function {
            "authorizer" => bearer(&stack).await,
            _ => event(function, &stack).await,
        };
        for warm in [true, false] {
            let stores = Stores::of(&stack, binary(function)).await;
            let mut process = None;
            if warm {
                let mut started = stores.function(&stack, &[READ_OFTEN]).await;
                assert!(is_granted(&started.call(&event).await), "{function}");
                process = Some(started);
            }
            for proxy in stores.each() {
                proxy.break_after(0, Fault::Hang { applied: false });
            }
            let process = match process {
                Some(process) => process,
                None => stores.function(&stack, &[READ_OFTEN]).await,
            };
            let event = event.clone();
            tasks.spawn(async move {
                let (tally, recovered) = outage(function, warm, process, &stores, &event).await;
                (function, warm, tally, recovered)
            });
        }
    }
    for (function, warm, tally, recovered) in tasks.join_all().await {
        let state = if warm { "warm" } else { "cold" };
        figure(
            &format!("black hole, {function} {state}"),
            format!("granted {tally}, recovered in {} ms", recovered.as_millis()),
        );
        assert!(tally.slowest < IN_TIME, "{function} {state}: {:?}", tally.slowest);
        assert!(recovered < RECOVERY, "{function} {state}: {recovered:?}");
        assert_eq!(
            tally.granted,
            if serves_from_caches(function, warm) { tally.asked } else { 0 },
            "{function} {state}"
        );
    }
}

/// An event with a token, which a warm authorizer verifies with its last trust snapshot.
async fn bearer(stack: &Stack) -> Value {
    let secret = stack.client("backend", "a").await;
    let token = stack.token("backend", &secret).await;
    authorized(json!({"authorization": format!("Bearer {token}")}))
}

/// Whether a process may grant requests from its caches.
fn serves_from_caches(function: &str, warm: bool) -> bool {
    warm && function == "authorizer"
}

/// The responses of a process during the outage of its stores, and the time from their return to the next success.
/// Unavailability is an error of the authorizer, whose response has no status, and 503 of the other functions. Each
/// argument is one part of the case.
async fn outage(
    function: &str,
    warm: bool,
    mut process: Function,
    stores: &Stores,
    event: &Value,
) -> (Tally, Duration) {
    let (lasts, started) = (Duration::from_secs(short_or_long(6, 60)), Instant::now());
    let mut tally = Tally::default();
    while started.elapsed() < lasts {
        let asked = Instant::now();
        let (outcome, answer) = process.outcome(event).await;
        tally.count(is_granted(&answer), asked.elapsed());
        let unavailable = match outcome.as_str() {
            "error" => function == "authorizer",
            _ => function != "authorizer" && answer["statusCode"] == 503,
        };
        assert!(unavailable || serves_from_caches(function, warm), "{function}: {outcome} {answer}");
        // A pause, so that the fast responses of the backoff don't outnumber the others.
        sleep(Duration::from_millis(100)).await;
    }
    assert!(stores.each().iter().any(|proxy| proxy.faults() > 0), "{function}: no fault was injected");
    for proxy in stores.each() {
        proxy.heal();
    }
    let healed = Instant::now();
    while !is_granted(&process.outcome(event).await.1) {
        assert!(healed.elapsed() < 2 * RECOVERY, "{function} does not recover");
        sleep(Duration::from_millis(100)).await;
    }
    (tally, healed.elapsed())
}
