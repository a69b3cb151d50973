//! DynamoDB throttles a share of all requests, retries included.
//!
//! `processes/token.rs` throttles all of them: the clients of a process share one retry budget.

use std::sync::Arc;

use shared::runtime::clock;
use test_support::Stack;
use test_support::faults::{Tally, figure, short_or_long};
use test_support::proxy::Fault;
use tokio::task::JoinSet;

use crate::flows::{Flow, Kind};

/// The number of requests of each kind without throttling, to learn what they cost.
const BASELINE: usize = 20;

/// The most extra requests per throttled one: its retry, and some margin.
const MAX_RETRIES_PER_THROTTLE: f64 = 1.1;

/// The outcome of one kind of request, and its store requests.
struct Outcome {
    tally: Tally,
    /// The store requests that the same load takes without throttling.
    baseline: usize,
    /// The store requests, throttled ones included.
    requests: usize,
    throttled: usize,
}

/// Sends requests one after the other through one proxy, first without and then with throttling. Each argument is one
/// setting of the measurement.
async fn measure(stack: &Stack, kind: Kind, number: usize, share: u64, times: usize) -> Outcome {
    let mut flow = Flow::start(stack, kind, number).await;
    let now = clock::now();
    flow.warm_up(now).await;
    let before = flow.proxy.count();
    let tally = ask(stack, &mut flow, &format!("baseline-{number}"), now, BASELINE).await;
    assert_eq!(tally.granted, BASELINE, "{kind:?}");
    let baseline = (flow.proxy.count() - before) * times / BASELINE;
    flow.proxy.shares(number as u64, &[(share, Fault::Throttle)]);
    let before = flow.proxy.count();
    let later = now + BASELINE as u64;
    let tally = ask(stack, &mut flow, &format!("throttled-{number}"), later, times).await;
    Outcome { tally, baseline, requests: flow.proxy.count() - before, throttled: flow.proxy.faults() }
}

/// Sends that many requests, one a second from a moment on. Each argument is one setting of the measurement.
async fn ask(stack: &Stack, flow: &mut Flow, name: &str, from: u64, times: usize) -> Tally {
    let mut tally = Tally::default();
    for round in 0..times {
        // A second later each time, so that every cached value is stale, as where requests are rare.
        let now = from + round as u64 + 1;
        flow.renew(stack, name, round, now).await;
        let answer = flow.ask(now).await;
        let unavailable = if flow.kind.is_authorizers() { 500 } else { 503 };
        assert!(answer.status == 200 || answer.status == unavailable, "{:?}: {answer:?}", flow.kind);
        if flow.kind == Kind::Refresh && answer.status == 200 {
            flow.token = answer.text("refresh_token");
        }
        tally.count(answer.status == 200, answer.took);
    }
    tally
}

/// Throttles a share of the store requests, in percent, and asserts each kind's success in percent.
async fn assert_success(share: u64, threshold: f64) {
    let stack = Arc::new(Stack::start().await);
    let times = short_or_long(100, 1500);
    let mut tasks = JoinSet::new();
    for (number, kind) in Kind::ALL.into_iter().enumerate() {
        let stack = stack.clone();
        tasks.spawn(async move { (kind, measure(&stack, kind, number, share, times).await) });
    }
    let mut all = Tally::default();
    let (mut baseline, mut requests, mut throttled) = (0, 0, 0);
    let mut missed = Vec::new();
    for (kind, found) in tasks.join_all().await {
        figure(
            &format!("{share} % throttles, {kind:?}"),
            format!(
                "{}, {} throttled of {}, for {} without throttling",
                found.tally, found.throttled, found.requests, found.baseline
            ),
        );
        assert!(found.throttled > 0, "{kind:?}: no fault was injected");
        if found.tally.success() < threshold {
            missed.push((kind, found.tally.success()));
        }
        all.add(found.tally);
        baseline += found.baseline;
        requests += found.requests;
        throttled += found.throttled;
    }
    let load = requests as f64 / baseline as f64;
    figure(&format!("{share} % throttles"), format!("{all}, the store is asked {load:.2} times as often"));
    assert!(missed.is_empty(), "{missed:?}");
    assert!(
        requests as f64 <= baseline as f64 + MAX_RETRIES_PER_THROTTLE * throttled as f64,
        "{load:.2}, {throttled} throttled"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn five_percent_throttling_is_invisible() {
    assert_success(5, 99.9).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_percent_throttling_fails_at_most_one_request_in_a_hundred() {
    // The short run has a hundred requests of each kind, where two may fail by chance.
    assert_success(20, short_or_long(98.0, 99.0)).await;
}
