//! Measures all cases in rounds, so that a disturbance of the machine affects all of them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use bench::stats::{median, percentile};

use crate::case::{Case, Tokens};
use crate::process::Process;
use crate::results::{Comparison, Metric, Run, Summary, Timed, Times};
use crate::stack::Stack;

/// Calls before each batch that are not counted, because other cases have filled the CPU's caches.
const WARM_UP: usize = 5;

/// Cold starts a round, of which the median counts. The first one finds the CPU's caches filled by another case.
const COLD_STARTS: usize = 5;

/// The metrics of the comparison with peers.
const COMPARED: [Metric; 3] = [Metric::WarmCpu, Metric::ColdCpu, Metric::Memory];

/// Values by case and metric, one a round.
#[derive(Default)]
struct Figures(BTreeMap<(String, Metric), Vec<f64>>);

impl Figures {
    fn add(&mut self, case: &Case, metric: Metric, value: f64) {
        self.0.entry((case.name.clone(), metric)).or_default().push(value);
    }

    fn timed(&self, case: &Case) -> Timed {
        let of_case = self.0.iter().filter(|((name, _), _)| *name == case.name);
        Timed {
            name: case.name.clone(),
            metrics: of_case.map(|((_, metric), figures)| (*metric, Summary::of(figures))).collect(),
            comparison: case.compared_with.as_deref().map(|ours| self.comparison(&case.name, ours)),
        }
    }

    fn comparison(&self, theirs: &str, ours: &str) -> Comparison {
        let figures = |case: &str, metric| self.0.get(&(case.to_owned(), metric));
        let ratio = |metric| {
            let rounds = figures(theirs, metric)?.iter().zip(figures(ours, metric)?);
            let ratios: Vec<f64> = rounds.map(|(theirs, ours)| theirs / ours).collect();
            Some((metric, Summary::of(&ratios)))
        };
        Comparison { our_case: ours.to_owned(), ratios: COMPARED.into_iter().filter_map(ratio).collect() }
    }
}

/// Measures all cases in so many rounds.
pub fn run(cases: &[Case], stacks: &[(&'static str, Stack)], rounds: usize) -> anyhow::Result<Times> {
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
    let cases = cases.iter().map(|case| figures.timed(case)).collect();
    Ok(Times { run: Run::now()?, rounds, cases })
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
        ] {
            starts.entry(metric).or_default().push(value);
        }
    }
    for (metric, values) in starts {
        figures.add(case, metric, median(values));
    }
    Ok(())
}

/// Runs one batch. Each argument has another owner.
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
    let spent = process.usage().cpu()?.checked_sub(before).unwrap();
    let times: Vec<f64> = timed.iter().map(|answer| microseconds(answer.took)).collect();
    answers.extend(timed);
    for answer in &answers {
        tokens.keep(case.algorithm, &answer.body);
    }
    if times.len() >= 100 {
        figures.add(case, Metric::P99, percentile(times.clone(), 99));
    }
    figures.add(case, Metric::P50, median(times));
    figures.add(case, Metric::WarmCpu, microseconds(spent) / case.batch as f64);
    figures.add(case, Metric::Memory, process.usage().peak_memory()? as f64);
    Ok(())
}

fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
