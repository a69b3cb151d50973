//! The token endpoint as a process that is killed, and one that is throttled.

use std::time::Duration;

use serde_json::{Value, json};
use test_support::events::{form_event, status_and_body};
use test_support::faults::{READ_OFTEN, figure, is_active, refresh, short_or_long};
use test_support::lambda::{Function, binary};
use test_support::proxy::{Cut, Fault};
use test_support::stores::Stores;
use test_support::{PASSWORD, Stack};
use tokio::time::timeout;

use super::event;

/// Of a refresh, each a request to the store: the session, the user, the step to the next token.
const STEPS: usize = 3;

/// A process that has done all that it does before its first event.
async fn started(stores: &Stores, stack: &Stack) -> Function {
    let mut function = stores.function(stack, &[READ_OFTEN]).await;
    let nothing = form_event("/oauth2/token", json!({}), &[("grant_type", "nothing")]);
    assert_eq!(function.call(&nothing).await["statusCode"], 400);
    function
}

fn successor(answer: &Value) -> String {
    assert!(is_active(answer), "{answer}");
    status_and_body(answer).1["refresh_token"].as_str().expect("a refresh token").to_owned()
}

#[tokio::test]
async fn killed_at_any_step_of_a_refresh_the_clients_retry_succeeds() {
    let stack = super::stack_with_user().await;
    let stores = Stores::of(&stack, binary("token")).await;
    let mut token = stack.refresh_token("ada", PASSWORD).await;
    let rounds = short_or_long(100, 1000);
    let mut victim = started(&stores, &stack).await;
    let before = stores.dynamodb.count();
    token = successor(&victim.call(&refresh(&token)).await);
    assert_eq!(stores.dynamodb.count() - before, STEPS, "or a step would never be cut");
    for round in 0..rounds {
        stores.dynamodb.cut(Cut { after: round % STEPS, applied: round / STEPS % 2 == 1 });
        victim.send(&refresh(&token));
        let cut = timeout(Duration::from_secs(60), stores.dynamodb.was_cut()).await;
        cut.unwrap_or_else(|_| panic!("round {round} was not cut"));
        victim.kill().await;
        victim = started(&stores, &stack).await;
        let next = successor(&victim.call(&refresh(&token)).await);
        assert_eq!(
            next,
            successor(&victim.call(&refresh(&token)).await),
            "round {round}: one live successor"
        );
        token = next;
    }
    figure("kill -9", format!("{rounds} of {rounds} retries succeeded, one live successor each"));
}

/// The SDK makes at most five attempts. Its retry budget is a hundred, and five successes earn another retry. When the
/// budget is used up, it makes one attempt.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_everything_is_not_hammered() {
    let stack = Stack::start().await;
    let event = event("token", &stack).await;
    let stores = Stores::of(&stack, binary("token")).await;
    let mut function = started(&stores, &stack).await;
    // The first use of the day is written down.
    assert!(is_active(&function.call(&event).await));
    let times = short_or_long(10, 100);
    let mut ask = async || {
        let before = stores.dynamodb.count();
        let mut granted = 0;
        for _ in 0..times {
            let answer = function.call(&event).await;
            assert!(is_active(&answer) || answer["statusCode"] == 503, "{answer}");
            granted += usize::from(is_active(&answer));
        }
        (granted, stores.dynamodb.count() - before)
    };
    let (granted, calm) = ask().await;
    assert_eq!(granted, times);
    stores.dynamodb.break_after(0, Fault::Throttle);
    let (granted, throttled) = ask().await;
    let load = throttled as f64 / calm as f64;
    figure(
        "100 % throttles",
        format!(
            "granted {granted} of {times}, the store is asked {throttled} times, {load:.2} times as often as in calm"
        ),
    );
    assert_eq!(granted, 0);
    assert!(load <= 5.0, "{load}");
    let mut last = throttled;
    for _ in 0..short_or_long(5, 1) {
        (_, last) = ask().await;
    }
    let load = last as f64 / calm as f64;
    figure("100 % throttles, as it lasts", format!("the store is asked {load:.2} times as often as in calm"));
    assert!(load <= 1.0, "{load}");
}
