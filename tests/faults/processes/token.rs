//! The token function as a process: killed, and throttled by its store.

use std::time::Duration;

use serde_json::{Value, json};
use test_support::events::{form_event, status_and_body};
use test_support::faults::{READ_OFTEN, figure, is_granted, refresh, short_or_long};
use test_support::lambda::{Function, binary};
use test_support::proxy::{Cut, Fault};
use test_support::stores::Stores;
use test_support::{PASSWORD, Stack};
use tokio::time::timeout;

use super::event;

/// The store requests of a refresh: read the token family, read the user, rotate.
const STEPS: usize = 3;

/// Starts a process and waits until it has warmed up.
async fn started(stores: &Stores, stack: &Stack) -> Function {
    let mut function = stores.function(stack, &[READ_OFTEN]).await;
    let nothing = form_event("/oauth2/token", json!({}), &[("grant_type", "nothing")]);
    assert_eq!(function.call(&nothing).await["statusCode"], 400);
    function
}

fn next_token(answer: &Value) -> String {
    assert!(is_granted(answer), "{answer}");
    status_and_body(answer).1["refresh_token"].as_str().expect("a refresh token").to_owned()
}

#[tokio::test]
async fn a_retry_succeeds_after_a_kill_at_any_step_of_a_refresh() {
    let stack = super::stack_with_user().await;
    let stores = Stores::of(&stack, binary("token")).await;
    let mut token = stack.refresh_token("ada", PASSWORD).await;
    let rounds = short_or_long(100, 1000);
    let mut victim = started(&stores, &stack).await;
    let before = stores.dynamodb.count();
    token = next_token(&victim.call(&refresh(&token)).await);
    assert_eq!(stores.dynamodb.count() - before, STEPS, "every step must be cut off");
    for round in 0..rounds {
        stores.dynamodb.cut(Cut { after: round % STEPS, applied: round / STEPS % 2 == 1 });
        victim.send(&refresh(&token));
        let cut = timeout(Duration::from_mins(1), stores.dynamodb.was_cut()).await;
        cut.unwrap_or_else(|_| panic!("round {round} was not cut off"));
        victim.kill().await;
        victim = started(&stores, &stack).await;
        let next = next_token(&victim.call(&refresh(&token)).await);
        assert_eq!(
            next,
            next_token(&victim.call(&refresh(&token)).await),
            "round {round}: one current token"
        );
        token = next;
    }
    figure("kill -9", format!("{rounds} of {rounds} retries succeeded, one current token each"));
}

/// The SDK makes at most five attempts. Its retry budget is a hundred, and five successes earn another retry. When the
/// budget is used up, it makes one attempt.
#[tokio::test(flavor = "multi_thread")]
async fn retries_against_a_throttling_store_are_bounded() {
    let stack = Stack::start().await;
    let event = event("token", &stack).await;
    let stores = Stores::of(&stack, binary("token")).await;
    let mut function = started(&stores, &stack).await;
    // Records the secret's first use of the day, which later requests don't.
    assert!(is_granted(&function.call(&event).await));
    let times = short_or_long(10, 100);
    let mut ask = async || {
        let before = stores.dynamodb.count();
        let mut granted = 0;
        for _ in 0..times {
            let answer = function.call(&event).await;
            assert!(is_granted(&answer) || answer["statusCode"] == 503, "{answer}");
            granted += usize::from(is_granted(&answer));
        }
        (granted, stores.dynamodb.count() - before)
    };
    let (granted, baseline) = ask().await;
    assert_eq!(granted, times);
    stores.dynamodb.break_after(0, Fault::Throttle);
    let (granted, throttled) = ask().await;
    let load = throttled as f64 / baseline as f64;
    figure(
        "100 % throttles",
        format!(
            "granted {granted} of {times}, the store is asked {throttled} times, {load:.2} times as often as without throttling"
        ),
    );
    assert_eq!(granted, 0);
    assert!(load <= 5.0, "{load}");
    let mut last = throttled;
    for _ in 0..short_or_long(5, 1) {
        (_, last) = ask().await;
    }
    let load = last as f64 / baseline as f64;
    figure(
        "100 % throttles, as it lasts",
        format!("the store is asked {load:.2} times as often as without throttling"),
    );
    assert!(load <= 1.0, "{load}");
}
