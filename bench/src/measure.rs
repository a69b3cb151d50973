//! Rounds: every case in turn, so that what disturbs the machine disturbs all of them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;

use crate::case::{Case, Tokens};
use crate::process::Process;
use crate::stack::Stack;

/// Calls before each batch that are not counted: others ran in between, and the caches are theirs.
const WARM_UP: usize = 5;

/// Cold starts a round, one after the other; the middle one counts. The first of them pays for caches that hold what
/// ran before it, which weighs most with what is over soonest.
const COLD_STARTS: usize = 5;

/// What is measured of a case, once a round. Times are in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// From the start of the process until it asks for its first event.
    Start,
    /// CPU of that.
    StartCpu,
    /// The first call.
    FirstCall,
    /// CPU of both.
    ColdCpu,
    /// The most memory until then, in bytes.
    ColdMemory,
    /// The middle one of the warm calls.
    P50,
    /// All but one in a hundred of the warm calls take less. Of fewer than a hundred there is none.
    P99,
    /// CPU of a warm call.
    WarmCpu,
    /// The most memory after all warm calls, in bytes.
    WarmMemory,
}

impl Metric {
    pub const ALL: [Self; 9] = [
        Self::Start,
        Self::StartCpu,
        Self::FirstCall,
        Self::ColdCpu,
        Self::ColdMemory,
        Self::P50,
        Self::P99,
        Self::WarmCpu,
        Self::WarmMemory,
    ];

    /// Its name in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start_us",
            Self::StartCpu => "start_cpu_us",
            Self::FirstCall => "first_call_us",
            Self::ColdCpu => "cold_cpu_us",
            Self::ColdMemory => "cold_memory_bytes",
            Self::P50 => "warm_p50_us",
            Self::P99 => "warm_p99_us",
            Self::WarmCpu => "warm_cpu_us",
            Self::WarmMemory => "warm_memory_bytes",
        }
    }
}

/// Figures by case and metric, one a round.
#[derive(Default)]
pub struct Figures(BTreeMap<(String, Metric), Vec<f64>>);

impl Figures {
    fn add(&mut self, case: &Case, metric: Metric, value: f64) {
        self.0.entry((case.name.clone(), metric)).or_default().push(value);
    }

    /// All rounds of a case.
    pub fn of(&self, case: &str, metric: Metric) -> Option<&[f64]> {
        self.0.get(&(case.to_owned(), metric)).map(Vec::as_slice)
    }

    /// How many times one case takes what another does, within a round.
    pub fn ratio(&self, case: &str, other: &str, metric: Metric) -> Option<Summary> {
        let pairs = self.of(case, metric)?.iter().zip(self.of(other, metric)?);
        Some(summary(&pairs.map(|(figure, other)| figure / other).collect::<Vec<_>>()))
    }
}

/// The middle, and a quarter of all below and above.
pub struct Summary {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

/// Sums figures up.
pub fn summary(figures: &[f64]) -> Summary {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at =
        |part: usize| sorted.get((sorted.len().saturating_sub(1)) * part / 4).copied().unwrap_or(f64::NAN);
    Summary { low: at(1), median: at(2), high: at(3) }
}

/// Measures all cases, so many rounds.
pub fn run(cases: &[Case], stacks: &[(&'static str, Stack)], rounds: usize) -> anyhow::Result<Figures> {
    let (mut figures, mut tokens) = (Figures::default(), Tokens::default());
    let mut warm = Vec::new();
    for case in cases {
        let mut process = case.start()?;
        process.ready().with_context(|| case.name.clone())?;
        warm.push(process);
    }
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        for (case, process) in cases.iter().zip(&mut warm) {
            let stack = stack(stacks, case);
            cold(case, stack, &mut tokens, &mut figures)
                .and_then(|()| batch(case, process, stack, &mut tokens, &mut figures))
                .with_context(|| case.name.clone())?;
        }
    }
    Ok(figures)
}

/// The stack that a case runs against.
pub fn stack<'a>(stacks: &'a [(&'static str, Stack)], case: &Case) -> &'a Stack {
    let own = stacks.iter().find(|(algorithm, _)| *algorithm == case.algorithm);
    own.map(|(_, stack)| stack).expect("a stack for every algorithm")
}

fn cold(case: &Case, stack: &Stack, tokens: &mut Tokens, figures: &mut Figures) -> anyhow::Result<()> {
    let mut starts: BTreeMap<Metric, Vec<f64>> = BTreeMap::new();
    for _ in 0..COLD_STARTS {
        let event = case.events(1, stack, tokens)?;
        let mut process = case.start()?;
        let start = process.ready()?;
        let start_cpu = process.usage().cpu()?;
        let answers = process.answers(event)?;
        let answer = answers.first().context("no answer")?;
        tokens.keep(case.algorithm, &answer.body);
        for (metric, value) in [
            (Metric::Start, microseconds(start)),
            (Metric::StartCpu, microseconds(start_cpu)),
            (Metric::FirstCall, microseconds(answer.took)),
            (Metric::ColdCpu, microseconds(process.usage().cpu()?)),
            (Metric::ColdMemory, process.usage().peak_memory()? as f64),
        ] {
            starts.entry(metric).or_default().push(value);
        }
    }
    for (metric, values) in starts {
        figures.add(case, metric, summary(&values).median);
    }
    Ok(())
}

fn batch(
    case: &Case,
    process: &mut Process,
    stack: &Stack,
    tokens: &mut Tokens,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let mut warm_up = case.events(WARM_UP + case.batch, stack, tokens)?;
    let counted = warm_up.split_off(WARM_UP);
    let mut answers = process.answers(warm_up)?;
    let before = process.usage().cpu()?;
    let timed = process.answers(counted)?;
    let spent = process.usage().cpu()? - before;
    let mut times: Vec<f64> = timed.iter().map(|answer| microseconds(answer.took)).collect();
    times.sort_by(f64::total_cmp);
    answers.extend(timed);
    for answer in &answers {
        tokens.keep(case.algorithm, &answer.body);
    }
    let at = |hundredth: usize| times.get((times.len() - 1) * hundredth / 100).copied().unwrap_or(f64::NAN);
    figures.add(case, Metric::P50, at(50));
    if times.len() >= 100 {
        figures.add(case, Metric::P99, at(99));
    }
    figures.add(case, Metric::WarmCpu, microseconds(spent) / case.batch as f64);
    figures.add(case, Metric::WarmMemory, process.usage().peak_memory()? as f64);
    Ok(())
}

fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
