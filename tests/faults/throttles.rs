//! DynamoDB has enough: a share of all requests is refused, retries like first tries.

use std::sync::Arc;

use e2e::Stack;
use e2e::faults::{Tally, figure, short_or_long};
use e2e::proxy::Fault;
use shared::clock;
use tokio::task::JoinSet;

use crate::flows::{Flow, Kind};

/// What everybody asks for through one proxy, one after the other; how often the store was asked for it,
/// and how often it refused.
async fn ask_for(
    stack: &Stack,
    kind: Kind,
    number: usize,
    share: u64,
    times: usize,
) -> (Tally, usize, usize) {
    let mut flow = Flow::start(stack, kind, number).await;
    let now = clock::now();
    flow.warm_up(now).await;
    flow.proxy.shares(number as u64, &[(share, Fault::Throttle)]);
    let before = flow.proxy.count();
    let mut tally = Tally::default();
    for round in 0..times {
        if kind == Kind::Google {
            // Somebody new each time: the first sign-in is the one that writes the most.
            flow.token = stack.id_token_of(&format!("{number}-{round}@example.com"), now);
        }
        // Some time later, so that what is cached is old, as it is wherever requests are rare. Within what
        // the tokens live, though.
        let answer = flow.ask(now + round as u64 % 40 * 16).await;
        assert!(matches!(answer.status, 200 | 500 | 503), "{kind:?}: {answer:?}");
        if kind == Kind::Refresh && answer.status == 200 {
            flow.token = answer.text("refresh_token");
        }
        tally.count(answer.status == 200, answer.took);
    }
    (tally, flow.proxy.count() - before, flow.proxy.faults())
}

/// A share of throttles, and the success in a hundred that there has to be all the same.
async fn throttled(share: u64, bar: f64) {
    let stack = Arc::new(Stack::start().await);
    let times = short_or_long(100, 1500);
    let mut tasks = JoinSet::new();
    for (number, kind) in Kind::ALL.into_iter().enumerate() {
        let stack = stack.clone();
        tasks.spawn(async move { (kind, ask_for(&stack, kind, number, share, times).await) });
    }
    let mut all = Tally::default();
    let (mut requests, mut refused) = (0, 0);
    for (kind, (tally, count, faults)) in tasks.join_all().await {
        figure(&format!("{share} % throttles, {kind:?}"), tally);
        all.add(tally);
        requests += count;
        refused += faults;
    }
    // Whatever was not refused was asked for once.
    let load = requests as f64 / (requests - refused) as f64;
    figure(&format!("{share} % throttles"), format!("{all}, the store is asked {load:.2} times as often"));
    assert!(all.success() >= bar, "{all}");
    assert!(load <= 3.0, "{load}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_twentieth_throttled_nothing_is_noticed() {
    throttled(5, 99.9).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_fifth_throttled_hardly_anything_is_noticed() {
    throttled(20, 99.0).await;
}
