//! The measured figures.

use std::ops::Range;
use std::time::{Duration, Instant};

use bench::stats::{median, percentile};

use crate::callers::{Kind, Outcome, Sample};

/// Measured requests.
pub struct Samples(pub Vec<Sample>);

impl Samples {
    pub fn count(&self, outcome: Outcome) -> usize {
        self.0.iter().filter(|sample| sample.outcome == outcome).count()
    }

    /// A percentile of the times of successful requests of a kind, in milliseconds.
    pub fn took(&self, kind: Kind, percent: usize) -> f64 {
        milliseconds(self.0.iter().filter(|sample| sample.kind == kind), percent)
    }

    /// The same for requests that began within a window.
    fn took_within(&self, kind: Kind, percent: usize, from: Instant, to: Instant) -> f64 {
        let within = |sample: &&Sample| sample.kind == kind && (from..to).contains(&sample.began);
        milliseconds(self.0.iter().filter(within), percent)
    }
}

fn milliseconds<'a>(samples: impl Iterator<Item = &'a Sample>, percent: usize) -> f64 {
    let successful = samples.filter(|sample| sample.outcome == Outcome::Success);
    percentile(successful.map(|sample| sample.took.as_secs_f64() * 1e3).collect(), percent)
}

/// The result of [`crate::drive::tokens`].
pub struct Tokens {
    pub samples: Samples,
    pub cpu: Duration,
    pub took: Duration,
}

impl Tokens {
    /// Tokens per second of the stack's CPU time, which excludes the callers.
    pub fn per_cpu_second(&self) -> f64 {
        self.samples.count(Outcome::Success) as f64 / self.cpu.as_secs_f64()
    }

    /// Tokens per second.
    pub fn per_second(&self) -> f64 {
        self.samples.count(Outcome::Success) as f64 / self.took.as_secs_f64()
    }
}

/// The stack's usage at a moment.
pub struct Seen {
    pub at: Instant,
    /// The memory in bytes.
    pub memory: u64,
    /// The CPU time since its start.
    pub cpu: Duration,
}

/// The result of the mixed load.
pub struct Mixed {
    pub samples: Samples,
    pub seen: Vec<Seen>,
    pub began: Instant,
    pub time: Duration,
}

/// The number of windows into which the mixed load is divided.
pub const WINDOWS: u32 = 6;
/// The number of slices of a window. The window's p99 is the median of theirs, so that a short disturbance affects one
/// slice only.
const SLICES: u32 = 5;

/// The memory of a token family in bytes. The item has 300 bytes, which take a kilobyte in the embedded store. This is
/// twice that, because pages fill unevenly.
const TOKEN_FAMILY: f64 = 2e3;

impl Mixed {
    fn at(&self, part: u32, of: u32) -> Instant {
        self.began + self.time * part / of
    }

    fn seen(&self, windows: Range<u32>) -> impl Iterator<Item = &Seen> {
        let within = self.at(windows.start, WINDOWS)..self.at(windows.end, WINDOWS);
        self.seen.iter().filter(move |seen| within.contains(&seen.at))
    }

    /// The median memory of a window in bytes.
    pub fn memory(&self, window: u32) -> f64 {
        median(self.seen(window..window + 1).map(|seen| seen.memory as f64).collect())
    }

    /// The number of cores that the stack keeps busy.
    pub fn cores(&self, windows: Range<u32>) -> f64 {
        let mut seen = self.seen(windows);
        let Some((first, last)) = seen.next().and_then(|first| Some((first, seen.last()?))) else {
            return f64::NAN;
        };
        last.cpu.checked_sub(first.cpu).unwrap().as_secs_f64() / (last.at - first.at).as_secs_f64()
    }

    pub fn p50(&self, kind: Kind, window: u32) -> f64 {
        self.samples.took_within(kind, 50, self.at(window, WINDOWS), self.at(window + 1, WINDOWS))
    }

    /// The median of the slices' 99th percentiles.
    pub fn p99(&self, kind: Kind, window: u32) -> f64 {
        median(self.slices(kind, window).collect())
    }

    fn slices(&self, kind: Kind, window: u32) -> impl Iterator<Item = f64> {
        let (first, all) = (window * SLICES, WINDOWS * SLICES);
        let slice = move |at| self.samples.took_within(kind, 99, self.at(at, all), self.at(at + 1, all));
        (first..first + SLICES).map(slice)
    }

    /// The p99 of the last third relative to the first. The fastest slice of each counts, because a slowdown of the stack
    /// is in every slice and a disturbance is not.
    pub fn drift(&self, kind: Kind) -> f64 {
        let third = WINDOWS / 3;
        let fastest = |windows: Range<u32>| {
            windows.flat_map(|window| self.slices(kind, window)).fold(f64::INFINITY, f64::min)
        };
        fastest(WINDOWS - third..WINDOWS) / fastest(0..third)
    }

    /// The CPU usage of the last third relative to the first.
    pub fn cpu_growth(&self) -> f64 {
        let third = WINDOWS / 3;
        self.cores(WINDOWS - third..WINDOWS) / self.cores(0..third)
    }

    /// The memory of the last window, without its token families, relative to the first.
    pub fn memory_growth(&self) -> f64 {
        let logins = self.samples.0.iter().filter(|sample| sample.kind == Kind::Login).count();
        (self.memory(WINDOWS - 1) - logins as f64 * TOKEN_FAMILY) / self.memory(0)
    }
}

/// The result of the login overload.
pub struct Overload {
    pub rounds: Vec<Round>,
    /// The duration of each overload.
    pub time: Duration,
    /// The peak memory during an overload in bytes.
    pub memory: u64,
}

/// A round: background requests before and during an overload, and its logins.
pub struct Round {
    pub before: Samples,
    pub during: Samples,
    pub logins: Samples,
}

impl Overload {
    /// The median over the rounds of a kind's time during the overload relative to before.
    pub fn slowdown(&self, kind: Kind, percent: usize) -> f64 {
        median(
            self.rounds
                .iter()
                .map(|round| round.during.took(kind, percent) / round.before.took(kind, percent))
                .collect(),
        )
    }

    pub fn before(&self, kind: Kind, percent: usize) -> f64 {
        median(self.rounds.iter().map(|round| round.before.took(kind, percent)).collect())
    }

    pub fn during(&self, kind: Kind, percent: usize) -> f64 {
        median(self.rounds.iter().map(|round| round.during.took(kind, percent)).collect())
    }

    /// The time of the logins.
    pub fn login(&self, percent: usize) -> f64 {
        median(self.rounds.iter().map(|round| round.logins.took(Kind::Login, percent)).collect())
    }

    pub fn logins(&self, outcome: Outcome) -> usize {
        self.rounds.iter().map(|round| round.logins.count(outcome)).sum()
    }

    /// Successful logins per second.
    pub fn logins_per_second(&self) -> f64 {
        self.logins(Outcome::Success) as f64 / (self.time.as_secs_f64() * self.rounds.len() as f64)
    }
}

/// The results of all three loads.
pub struct Results {
    pub tokens: Tokens,
    pub mixed: Mixed,
    pub overload: Overload,
}

impl Results {
    /// Requests that failed. A login with `Retry-After` counts as handled.
    pub fn failures(&self) -> usize {
        let rounds = &self.overload.rounds;
        let others = [&self.tokens.samples, &self.mixed.samples].into_iter();
        let cheap = others.chain(rounds.iter().flat_map(|round| [&round.before, &round.during]));
        let failed: usize = cheap.map(|samples| samples.0.len() - samples.count(Outcome::Success)).sum();
        failed + self.overload.logins(Outcome::Failure)
    }
}
