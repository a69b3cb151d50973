//! The three loads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bench::usage::Usage;
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::callers::{Callers, Kind};
use crate::figures::{Mixed, Overload, Round, Samples, Seen, Tokens};

/// Connections that ask for tokens as fast as they get them: enough that the stack never waits.
const TOKEN_CONNECTIONS: usize = 8;

/// Requests a second under mixed load: as much as leaves the machine half idle, so that what is seen is the
/// stack and not a queue.
const RATES: [(Kind, u32); 4] =
    [(Kind::Token, 100), (Kind::Bearer, 200), (Kind::ApiKey, 200), (Kind::Login, 5)];

/// Requests a second of those who must not notice the overload.
const GENTLE: [(Kind, u32); 3] = [(Kind::Token, 50), (Kind::Bearer, 50), (Kind::ApiKey, 50)];

/// Logins at once. A hash keeps a core busy for tens of milliseconds: two cores have work for a second.
pub const LOGIN_CONNECTIONS: usize = 50;

/// Calm and overload take turns, so that what disturbs the machine disturbs both.
const ROUNDS: u32 = 5;

/// Before each part, and not counted: caches fill, connections open, the last part's work ends.
const WARM_UP: Duration = Duration::from_secs(3);
/// Before the mixed load, which is about what stays the same: a whole round of everything that is renewed
/// every 15 s.
const LONG_WARM_UP: Duration = Duration::from_secs(20);
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// Tokens for a client, as fast as they come.
pub async fn tokens(callers: &Arc<Callers>, usage: &Usage, time: Duration) -> anyhow::Result<Tokens> {
    eprintln!("tokens, {} s", time.as_secs());
    closed(callers, Kind::Token, TOKEN_CONNECTIONS, WARM_UP).await;
    let (cpu, began) = (usage.cpu()?, Instant::now());
    let samples = closed(callers, Kind::Token, TOKEN_CONNECTIONS, time).await;
    Ok(Tokens { samples, cpu: usage.cpu()? - cpu, took: began.elapsed() })
}

/// A bit of everything, at a steady rate.
pub async fn mixed(callers: &Arc<Callers>, usage: &Usage, time: Duration) -> anyhow::Result<Mixed> {
    eprintln!("mixed load, {} s", time.as_secs());
    steady(callers, &RATES, LONG_WARM_UP).await;
    let began = Instant::now();
    let (samples, seen) = tokio::join!(steady(callers, &RATES, time), watch(usage, time));
    Ok(Mixed { samples, seen: seen?, began, time })
}

/// More logins than the machine can take, beside callers who want little.
pub async fn overload(callers: &Arc<Callers>, usage: &Usage, time: Duration) -> anyhow::Result<Overload> {
    let turn = time / (2 * ROUNDS);
    let mut rounds = Vec::new();
    let mut memory = Vec::new();
    for round in 0..ROUNDS {
        eprintln!("overload, round {} of {ROUNDS}", round + 1);
        steady(callers, &GENTLE, WARM_UP).await;
        let calm = steady(callers, &GENTLE, turn).await;
        let (beside, logins, seen) = tokio::join!(
            async {
                steady(callers, &GENTLE, WARM_UP).await;
                steady(callers, &GENTLE, turn).await
            },
            closed(callers, Kind::Login, LOGIN_CONNECTIONS, WARM_UP + turn),
            watch(usage, WARM_UP + turn),
        );
        memory.extend(seen?.into_iter().map(|seen| seen.memory));
        rounds.push(Round { calm, beside, logins });
    }
    Ok(Overload { rounds, time: WARM_UP + turn, memory: memory.into_iter().max().unwrap_or_default() })
}

/// So many connections, each of which asks again when it has its answer.
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

/// So many requests a second of each kind, whether those before have their answers or not.
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

/// What the stack uses, again and again.
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
