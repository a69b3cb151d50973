//! The store is gone without a word, from some step of a request on. Real time passes here, because the
//! time-outs are what is tested; every case runs beside the others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use shared::runtime::clock;
use shared::store::table::StoreError;
use shared::trust::store::TrustStore;
use test_support::Stack;
use test_support::faults::{IN_TIME, RECOVERY, figure};
use test_support::proxy::Fault;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::flows::{Answer, Flow, Kind};

/// Later than every cache of a function is fresh, earlier than it is no longer usable.
const STALE: u64 = 299;

/// What the answer must be when only so many requests get through to the store.
fn expected(kind: Kind, steps: usize) -> u64 {
    match (kind, steps) {
        // The bundle that it holds is good for five minutes.
        (Kind::Bearer, _) => 200,
        (Kind::ApiKey, _) => 500,
        // Its client was read; which key signs is known for five minutes.
        (Kind::ClientCredentials, 1..) => 200,
        _ => 503,
    }
}

/// How many requests to the store one of these takes when all that is cached is old.
async fn steps(stack: &Stack, kind: Kind) -> usize {
    let flow = Flow::start(stack, kind, 1000 + kind as usize).await;
    let now = clock::now();
    flow.warm_up(now).await;
    let before = flow.proxy.count();
    assert_eq!(flow.ask(now + STALE).await.status, 200, "{kind:?}");
    flow.proxy.count() - before
}

/// The answer when only so many requests get through to the store, and how long it takes after its return
/// until there is a good one again.
async fn cut_off_after(stack: &Stack, kind: Kind, steps: usize, number: usize) -> (Answer, Duration) {
    let flow = Flow::start(stack, kind, number).await;
    let now = clock::now();
    flow.warm_up(now).await;
    flow.proxy.break_after(steps, Fault::Hang { applied: false });
    let answer = flow.ask(now + STALE).await;
    assert!(flow.proxy.faults() > 0, "{kind:?} was not cut off after {steps}");
    flow.proxy.heal();
    let healed = Instant::now();
    loop {
        let later = now + STALE + answer.took.as_secs() + healed.elapsed().as_secs();
        let status = flow.ask(later).await.status;
        let elapsed = healed.elapsed();
        if status == 200 {
            return (answer, elapsed);
        }
        assert!(elapsed < 3 * RECOVERY, "{kind:?} does not recover");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_off_at_any_step_every_answer_comes_in_time_and_grants_nothing() {
    let stack = Arc::new(Stack::start().await);
    let mut tasks = JoinSet::new();
    let mut number = 0;
    for kind in Kind::ALL {
        for step in 0..steps(&stack, kind).await {
            number += 1;
            let stack = stack.clone();
            tasks.spawn(async move { (kind, step, cut_off_after(&stack, kind, step, number).await) });
        }
    }
    let mut wrong = Vec::new();
    let (mut slowest, mut recovery) = (Duration::ZERO, Duration::ZERO);
    for (kind, step, (answer, recovered)) in tasks.join_all().await {
        let (status, took) = (answer.status, answer.took);
        figure(
            "black hole from a step on",
            format!(
                "{kind:?} step {step}: {status} in {took:.1?}, recovered in {} ms",
                recovered.as_millis()
            ),
        );
        slowest = slowest.max(took);
        recovery = recovery.max(recovered);
        if took >= IN_TIME || recovered >= RECOVERY || status != expected(kind, step) {
            wrong.push((kind, step, answer));
        }
    }
    figure(
        "black hole from a step on",
        format!("slowest answer {slowest:.1?}, slowest recovery {} ms", recovery.as_millis()),
    );
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// A store that begins each answer and stops within its body; its URL.
async fn stalling() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"Items\":[").await;
            open.push(stream);
        }
    });
    url
}

#[tokio::test]
async fn an_answer_that_stops_within_its_body_is_given_up_in_time() {
    let store = TrustStore::new(Stack::start().await.table_at(&stalling().await));
    let asked = Instant::now();
    assert!(matches!(store.snapshot(clock::now()).await, Err(StoreError::Unreachable(_))));
    let took = asked.elapsed();
    figure("an answer that stops within its body", format!("given up after {} ms", took.as_millis()));
    // Two attempts of 1.15 s, and what is left of the operation's 2.6 s.
    assert!(took < Duration::from_secs(3), "{took:?}");
}
