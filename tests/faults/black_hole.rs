//! The store stops responding at some step of a request.
//!
//! These tests take real time because they test timeouts. All cases run concurrently.

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

/// Seconds after which every cached value is stale and none has passed its limit.
const STALE: u64 = 299;

/// The expected status when only so many requests reach the store.
fn expected(kind: Kind, steps: usize) -> u64 {
    match (kind, steps) {
        // The trust snapshot, and the key schedule once the client was read, serve for five minutes.
        (Kind::Bearer, _) | (Kind::ClientCredentials, 1..) => 200,
        (Kind::ApiKey, _) => 500,
        _ => 503,
    }
}

/// The number of store requests for one request when every cached value is stale.
async fn steps(stack: &Stack, kind: Kind) -> usize {
    let flow = Flow::start(stack, kind, 1000 + kind as usize).await;
    let now = clock::now();
    flow.warm_up(now).await;
    let before = flow.proxy.count();
    assert_eq!(flow.ask(now + STALE).await.status, 200, "{kind:?}");
    flow.proxy.count() - before
}

/// The response when only so many requests reach the store, and the time from the store's return to the next success.
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
async fn a_store_that_hangs_at_any_step_grants_nothing_and_delays_no_answer() {
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

/// Starts a store that stalls in the body of each response, and returns its URL.
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
async fn a_store_response_that_stalls_in_its_body_times_out() {
    let store = TrustStore::new(Stack::start().await.table_at(&stalling().await));
    let asked = Instant::now();
    assert!(matches!(store.snapshot(clock::now()).await, Err(StoreError::Unreachable(_))));
    let took = asked.elapsed();
    figure("an answer that stops within its body", format!("given up after {} ms", took.as_millis()));
    // Two attempts take 1.15 s each, and the third ends with the operation's budget of 2.6 s.
    assert!(took < Duration::from_secs(3), "{took:?}");
}
