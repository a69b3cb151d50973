//! A process is frozen for some time after it has answered, as Lambda does, and its connections come to an end
//! meanwhile. The first request after that must succeed.
//!
//! Real time passes: what is tested is what the process's timers and sockets make of it.

use std::time::{Duration, Instant};

use test_support::faults::{READ_OFTEN, figure, is_active, short_or_long};
use test_support::lambda::binary;
use test_support::proxy::End;
use test_support::stores::Stores;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{FUNCTIONS, event, stack_with_user};

/// How long the first answer of a process that was frozen may take: an attempt without an answer is given up
/// after 1.15 s. Two may meet a connection that is gone, one after the other, and a third must do.
const THAW: Duration = Duration::from_millis(3700);

#[tokio::test(flavor = "multi_thread")]
async fn frozen_while_its_connections_end_a_function_answers_the_first_request() {
    let stack = stack_with_user().await;
    let mut tasks = JoinSet::new();
    for function in FUNCTIONS {
        for seconds in short_or_long(vec![1, 3], vec![1, 5, 15, 60, 120, 180]) {
            for end in End::ALL {
                let stores = Stores::of(&stack, binary(function)).await;
                let mut process = stores.function(&stack, &[READ_OFTEN]).await;
                // Twice: what is opened beside each other the first time is all in the pool the second.
                for _ in 0..2 {
                    let answer = process.call(&event(function, &stack).await).await;
                    assert!(is_active(&answer), "{function}: {answer}");
                }
                let event = event(function, &stack).await;
                tasks.spawn(async move {
                    process.freeze();
                    for proxy in stores.each() {
                        proxy.end_connections(end);
                    }
                    sleep(Duration::from_secs(seconds)).await;
                    process.thaw();
                    let asked_before = stores.dynamodb.count();
                    let started = Instant::now();
                    let (_, answer) = process.outcome(&event).await;
                    let took = started.elapsed();
                    assert!(stores.dynamodb.count() > asked_before, "{function} did not ask the store");
                    (function, seconds, end, answer, took)
                });
            }
        }
    }
    let mut failed = Vec::new();
    for (function, seconds, end, answer, took) in tasks.join_all().await {
        let found = if is_active(&answer) { "good" } else { "bad" };
        figure(
            &format!("frozen, {function}"),
            format!("{seconds} s, connections {end:?}: first answer {found} in {} ms", took.as_millis()),
        );
        if !is_active(&answer) || took > THAW {
            failed.push((function, seconds, end, answer));
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}
