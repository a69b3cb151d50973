//! A process is frozen between two requests, as Lambda does, and its connections end meanwhile. The next request must
//! succeed.
//!
//! These tests take real time because they test the process's timers and sockets.

use std::time::{Duration, Instant};

use test_support::faults::{READ_OFTEN, figure, is_granted, short_or_long};
use test_support::lambda::binary;
use test_support::proxy::Ending;
use test_support::stores::Stores;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{FUNCTIONS, event, stack_with_user};

/// The time limit of the first response after the freeze. An attempt times out after 1.15 s. Two attempts may use a dead
/// connection, and the third must succeed.
const THAW: Duration = Duration::from_millis(3700);

#[tokio::test(flavor = "multi_thread")]
async fn the_first_request_after_a_freeze_succeeds_though_connections_ended() {
    let stack = stack_with_user().await;
    let mut tasks = JoinSet::new();
    for function in FUNCTIONS {
        for seconds in short_or_long(vec![1, 3], vec![1, 5, 15, 60, 120, 180]) {
            for ending in Ending::ALL {
                let stores = Stores::of(&stack, binary(function)).await;
                let mut process = stores.function(&stack, &[READ_OFTEN]).await;
                // Twice, because connections that the first request opened concurrently are reused by the second.
                for _ in 0..2 {
                    let answer = process.call(&event(function, &stack).await).await;
                    assert!(is_granted(&answer), "{function}: {answer}");
                }
                let event = event(function, &stack).await;
                tasks.spawn(async move {
                    process.freeze();
                    for proxy in stores.each() {
                        proxy.end_connections(ending);
                    }
                    sleep(Duration::from_secs(seconds)).await;
                    process.thaw();
                    let asked_before = stores.dynamodb.count();
                    let started = Instant::now();
                    let (_, answer) = process.outcome(&event).await;
                    let took = started.elapsed();
                    assert!(stores.dynamodb.count() > asked_before, "{function} did not ask the store");
                    (function, seconds, ending, answer, took)
                });
            }
        }
    }
    let mut failed = Vec::new();
    for (function, seconds, ending, answer, took) in tasks.join_all().await {
        let found = if is_granted(&answer) { "good" } else { "bad" };
        figure(
            &format!("frozen, {function}"),
            format!("{seconds} s, connections {ending:?}: first answer {found} in {} ms", took.as_millis()),
        );
        if !is_granted(&answer) || took > THAW {
            failed.push((function, seconds, ending, answer));
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}
