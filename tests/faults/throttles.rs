//! DynamoDB has enough: a share of all requests is refused, retries like first tries. What becomes of the load
//! when all are refused is in `processes/token.rs`: the clients of a process share what they may
//! spend on retries.

use std::sync::Arc;

use shared::runtime::clock;
use test_support::Stack;
use test_support::faults::{Tally, figure, short_or_long};
use test_support::proxy::Fault;
use tokio::task::JoinSet;

use crate::flows::{Flow, Kind};

/// How often everything is asked for of a store that refuses nothing, to know what it costs.
const CALM: usize = 20;

/// How many requests a refused one may turn into beside itself: the retry, and little else.
const MOST_A_REFUSAL: f64 = 1.1;

/// What came of asking for one kind of thing, and what that cost the store.
struct Found {
    tally: Tally,
    /// What the store would have been asked if it had refused nothing.
    calm: usize,
    /// What it was asked.
    throttled: usize,
    refused: usize,
}

/// Asks through one proxy, one after the other: first of a store that refuses nothing, then of one that does.
async fn ask_for(stack: &Stack, kind: Kind, number: usize, share: u64, times: usize) -> Found {
    let mut flow = Flow::start(stack, kind, number).await;
    let now = clock::now();
    flow.warm_up(now).await;
    let before = flow.proxy.count();
    let good = ask(stack, &mut flow, &format!("calm-{number}"), now, CALM).await;
    assert_eq!(good.granted, CALM, "{kind:?}");
    let calm = (flow.proxy.count() - before) * times / CALM;
    flow.proxy.shares(number as u64, &[(share, Fault::Throttle)]);
    let before = flow.proxy.count();
    let later = now + CALM as u64;
    let tally = ask(stack, &mut flow, &format!("throttled-{number}"), later, times).await;
    Found { tally, calm, throttled: flow.proxy.count() - before, refused: flow.proxy.faults() }
}

async fn ask(stack: &Stack, flow: &mut Flow, name: &str, from: u64, times: usize) -> Tally {
    let mut tally = Tally::default();
    for round in 0..times {
        // A second later each time: what is cached is old, as it is wherever requests are rare.
        let now = from + round as u64 + 1;
        flow.renew(stack, name, round, now).await;
        let answer = flow.ask(now).await;
        let undecided = if flow.kind.is_authorizers() { 500 } else { 503 };
        assert!(answer.status == 200 || answer.status == undecided, "{:?}: {answer:?}", flow.kind);
        if flow.kind == Kind::Refresh && answer.status == 200 {
            flow.token = answer.text("refresh_token");
        }
        tally.count(answer.status == 200, answer.took);
    }
    tally
}

/// A share of throttles, and the success in a hundred that there has to be all the same, of each kind.
async fn throttled(share: u64, bar: f64) {
    let stack = Arc::new(Stack::start().await);
    let times = short_or_long(100, 1500);
    let mut tasks = JoinSet::new();
    for (number, kind) in Kind::ALL.into_iter().enumerate() {
        let stack = stack.clone();
        tasks.spawn(async move { (kind, ask_for(&stack, kind, number, share, times).await) });
    }
    let mut all = Tally::default();
    let (mut calm, mut throttled, mut refused) = (0, 0, 0);
    let mut missed = Vec::new();
    for (kind, found) in tasks.join_all().await {
        figure(
            &format!("{share} % throttles, {kind:?}"),
            format!(
                "{}, {} refused of {}, for {} in calm",
                found.tally, found.refused, found.throttled, found.calm
            ),
        );
        assert!(found.refused > 0, "{kind:?} met no fault");
        if found.tally.success() < bar {
            missed.push((kind, found.tally.success()));
        }
        all.add(found.tally);
        (calm, throttled, refused) =
            (calm + found.calm, throttled + found.throttled, refused + found.refused);
    }
    let load = throttled as f64 / calm as f64;
    figure(&format!("{share} % throttles"), format!("{all}, the store is asked {load:.2} times as often"));
    assert!(missed.is_empty(), "{missed:?}");
    assert!(
        throttled as f64 <= calm as f64 + MOST_A_REFUSAL * refused as f64,
        "{load:.2}, {refused} refused"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_twentieth_throttled_nothing_is_noticed() {
    throttled(5, 99.9).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_fifth_throttled_hardly_anything_is_noticed() {
    // Of a hundred of a kind, two may have had bad luck.
    throttled(20, short_or_long(98.0, 99.0)).await;
}
