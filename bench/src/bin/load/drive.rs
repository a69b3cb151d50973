//! The three loads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bench::usage::Usage;
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::callers::{Callers, Kind};
use crate::figures::{Mixed, Overload, Round, Samples, Seen, Tokens};

/// Connections that request tokens in a loop, enough to keep the stack busy.
const TOKEN_CONNECTIONS: usize = 8;

/// Requests a second of the mixed load. They leave the machine half idle, so that no queue distorts the times.
const RATES: [(Kind, u32); 4] =
    [(Kind::Token, 100), (Kind::Bearer, 200), (Kind::ApiKey, 200), (Kind::Login, 5)];

/// Requests a second that the login overload must not slow down.
const BACKGROUND: [(Kind, u32); 3] = [(Kind::Token, 50), (Kind::Bearer, 50), (Kind::ApiKey, 50)];

/// Concurrent logins. A hash keeps a core busy for tens of milliseconds, so two cores need a second for all.
pub const LOGIN_CONNECTIONS: usize = 50;

/// Rounds with and without overload alternate, so that a disturbance affects both.
const ROUNDS: u32 = 5;

/// The time before each part that is not counted, while caches fill and connections open.
const WARM_UP: Duration = Duration::from_secs(3);
/// The warm-up of the mixed load, which includes a reload of everything that is cached for 15 s.
const LONG_WARM_UP: Duration = Duration::from_secs(20);
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// Requests tokens for a client as fast as possible.
pub async fn tokens(callers: &Arc<Callers>, usage: &Usage, time: Duration) -> anyhow::Result<Tokens> {
    eprintln!("tokens, {} s", time.as_secs());
    closed(callers, Kind::Token, TOKEN_CONNECTIONS, WARM_UP).await;
    let (cpu, began) = (usage.cpu()?, Instant::now());
    let samples = closed(callers, Kind::Token, TOKEN_CONNECTIONS, time).await;
    Ok(Tokens { samples, cpu: usage.cpu()?.checked_sub(cpu).unwrap(), took: began.elapsed() })
}

/// Sends every kind of request at a steady rate.
pub async fn mixed(callers: &Arc<Callers>, usage: &Usage, time: Duration) -> anyhow::Result<Mixed> {
    eprintln!("mixed load, {} s", time.as_secs());
    steady(callers, &RATES, LONG_WARM_UP).await;
    let began = Instant::now();
    let (samples, seen) = tokio::join!(steady(callers, &RATES, time), watch(usage, time));
    Ok(Mixed { samples, seen: seen?, began, time })
}

/// Sends more logins than the machine can handle, with background requests.
pub async fn overload(callers: &Arc<Callers>, usage: &Usage, time: Duration) -> anyhow::Result<Overload> {
    let part = time / (2 * ROUNDS);
    let mut rounds = Vec::new();
    let mut memory = Vec::new();
    for round in 0..ROUNDS {
        eprintln!("overload, round {} of {ROUNDS}", round + 1);
        steady(callers, &BACKGROUND, WARM_UP).await;
        let before = steady(callers, &BACKGROUND, part).await;
        let (during, logins, seen) = tokio::join!(
            async {
                steady(callers, &BACKGROUND, WARM_UP).await;
                steady(callers, &BACKGROUND, part).await
            },
            closed(callers, Kind::Login, LOGIN_CONNECTIONS, WARM_UP + part),
            watch(usage, WARM_UP + part),
        );
        memory.extend(seen?.into_iter().map(|seen| seen.memory));
        rounds.push(Round { before, during, logins });
    }
    Ok(Overload { rounds, time: WARM_UP + part, memory: memory.into_iter().max().unwrap_or_default() })
}

/// Sends requests over so many connections, each one after the last response.
async fn closed(callers: &Arc<Callers>, kind: Kind, connections: usize, time: Duration) -> Samples {
    let end = Instant::now() + time;
    let mut asking = JoinSet::new();
    for _ in 0..connections {
        let callers = Arc::clone(callers);
        asking.spawn(async move {
            let mut samples = Vec::new();
            while Instant::now() < end {
                samples.push(callers.ask(kind).await);
            }
            samples
        });
    }
    Samples(asking.join_all().await.into_iter().flatten().collect())
}

/// Sends so many requests a second of each kind, without waiting for responses.
async fn steady(callers: &Arc<Callers>, rates: &[(Kind, u32)], time: Duration) -> Samples {
    let mut asking = JoinSet::new();
    for &(kind, rate) in rates {
        let callers = Arc::clone(callers);
        asking.spawn(async move {
            let mut tick = interval(Duration::from_secs(1) / rate);
            let mut answers = JoinSet::new();
            for _ in 0..time.as_millis() * u128::from(rate) / 1000 {
                tick.tick().await;
                let callers = Arc::clone(&callers);
                answers.spawn(async move { callers.ask(kind).await });
            }
            answers.join_all().await
        });
    }
    Samples(asking.join_all().await.into_iter().flatten().collect())
}

/// Samples the stack's usage.
async fn watch(usage: &Usage, time: Duration) -> anyhow::Result<Vec<Seen>> {
    let end = Instant::now() + time;
    let mut tick = interval(WATCH_INTERVAL);
    let mut seen = Vec::new();
    while Instant::now() < end {
        tick.tick().await;
        seen.push(Seen { at: Instant::now(), memory: usage.memory()?, cpu: usage.cpu()? });
    }
    Ok(seen)
}
