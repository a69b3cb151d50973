//! What was found.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::callers::{Kind, Outcome, Sample};

/// Requests and what came of them.
pub struct Samples(pub Vec<Sample>);

impl Samples {
    pub fn count(&self, outcome: Outcome) -> usize {
        self.0.iter().filter(|sample| sample.outcome == outcome).count()
    }

    /// How long the requests of a kind took whose answer was good, in milliseconds: so many in a hundred took
    /// no longer.
    pub fn took(&self, kind: Kind, hundredth: usize) -> f64 {
        percentile(self.0.iter().filter(|sample| sample.kind == kind), hundredth)
    }

    /// The same for those that began within a window.
    fn took_within(&self, kind: Kind, hundredth: usize, from: Instant, to: Instant) -> f64 {
        let within = |sample: &&Sample| sample.kind == kind && (from..to).contains(&sample.began);
        percentile(self.0.iter().filter(within), hundredth)
    }
}

fn percentile<'a>(samples: impl Iterator<Item = &'a Sample>, hundredth: usize) -> f64 {
    let good = samples.filter(|sample| sample.outcome == Outcome::Good);
    let mut took: Vec<f64> = good.map(|sample| sample.took.as_secs_f64() * 1e3).collect();
    took.sort_by(f64::total_cmp);
    took.get(took.len().saturating_sub(1) * hundredth / 100).copied().unwrap_or(f64::NAN)
}

/// The middle one.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

/// Tokens as fast as they come.
pub struct Tokens {
    pub samples: Samples,
    pub cpu: Duration,
    pub took: Duration,
}

impl Tokens {
    /// Of the stack's own CPU: what else the machine does, the callers included, does not count.
    pub fn a_cpu_second(&self) -> f64 {
        self.samples.count(Outcome::Good) as f64 / self.cpu.as_secs_f64()
    }

    pub fn a_second(&self) -> f64 {
        self.samples.count(Outcome::Good) as f64 / self.took.as_secs_f64()
    }
}

/// What the stack uses at a moment.
pub struct Seen {
    pub at: Instant,
    /// In bytes.
    pub memory: u64,
    /// Since it was started.
    pub cpu: Duration,
}

/// A steady mixture.
pub struct Mixed {
    pub samples: Samples,
    pub seen: Vec<Seen>,
    pub began: Instant,
    pub time: Duration,
}

/// Parts of the mixed load that are looked at by themselves.
pub const WINDOWS: u32 = 6;
/// Slices whose 99th percentiles are taken before the middle one of them stands for a window: a moment in
/// which somebody else had the machine is one slice's.
const SLICES: u32 = 5;

/// What a login leaves behind, in bytes: a session, until it expires. The item has 300 bytes, which take a
/// kilobyte of the memory that the embedded store keeps them in; this is twice that, for its pages fill unevenly.
const SESSION: f64 = 2e3;

impl Mixed {
    fn at(&self, part: u32, of: u32) -> Instant {
        self.began + self.time * part / of
    }

    fn seen(&self, windows: Range<u32>) -> impl Iterator<Item = &Seen> {
        let within = self.at(windows.start, WINDOWS)..self.at(windows.end, WINDOWS);
        self.seen.iter().filter(move |seen| within.contains(&seen.at))
    }

    /// The memory in a window: the middle of what was seen, in bytes.
    pub fn memory(&self, window: u32) -> f64 {
        median(self.seen(window..window + 1).map(|seen| seen.memory as f64).collect())
    }

    /// How many cores the stack keeps busy.
    pub fn cores(&self, windows: Range<u32>) -> f64 {
        let mut seen = self.seen(windows);
        let Some((first, last)) = seen.next().and_then(|first| Some((first, seen.last()?))) else {
            return f64::NAN;
        };
        (last.cpu - first.cpu).as_secs_f64() / (last.at - first.at).as_secs_f64()
    }

    pub fn p50(&self, kind: Kind, window: u32) -> f64 {
        self.samples.took_within(kind, 50, self.at(window, WINDOWS), self.at(window + 1, WINDOWS))
    }

    /// The middle of its slices' 99th percentiles.
    pub fn p99(&self, kind: Kind, window: u32) -> f64 {
        median(self.slices(kind, window).collect())
    }

    fn slices(&self, kind: Kind, window: u32) -> impl Iterator<Item = f64> {
        let (first, all) = (window * SLICES, WINDOWS * SLICES);
        let slice = move |at| self.samples.took_within(kind, 99, self.at(at, all), self.at(at + 1, all));
        (first..first + SLICES).map(slice)
    }

    /// How much longer the slowest take in the last third than in the first. The calmest slice of each counts:
    /// what other work on the machine adds to a slice says nothing, and what the stack itself adds is in all.
    pub fn drift(&self, kind: Kind) -> f64 {
        let third = WINDOWS / 3;
        let calmest = |windows: Range<u32>| {
            windows.flat_map(|window| self.slices(kind, window)).fold(f64::INFINITY, f64::min)
        };
        calmest(WINDOWS - third..WINDOWS) / calmest(0..third)
    }

    /// How much more of the CPU the same requests take in the last third than in the first.
    pub fn effort(&self) -> f64 {
        let third = WINDOWS / 3;
        self.cores(WINDOWS - third..WINDOWS) / self.cores(0..third)
    }

    /// How much the memory of the last window is, as a part of the first one's, without what logins leave.
    pub fn growth(&self) -> f64 {
        let logins = self.samples.0.iter().filter(|sample| sample.kind == Kind::Login).count();
        (self.memory(WINDOWS - 1) - logins as f64 * SESSION) / self.memory(0)
    }
}

/// Calm and overload in turns.
pub struct Overload {
    pub rounds: Vec<Round>,
    /// How long each overload lasted.
    pub time: Duration,
    /// The most memory seen meanwhile, in bytes.
    pub memory: u64,
}

/// One turn of each.
pub struct Round {
    pub calm: Samples,
    pub beside: Samples,
    pub logins: Samples,
}

impl Overload {
    /// How much longer a kind takes beside the overload: within a round, and the middle one of the rounds.
    pub fn slower(&self, kind: Kind, hundredth: usize) -> f64 {
        median(
            self.rounds
                .iter()
                .map(|round| round.beside.took(kind, hundredth) / round.calm.took(kind, hundredth))
                .collect(),
        )
    }

    pub fn calm(&self, kind: Kind, hundredth: usize) -> f64 {
        median(self.rounds.iter().map(|round| round.calm.took(kind, hundredth)).collect())
    }

    pub fn beside(&self, kind: Kind, hundredth: usize) -> f64 {
        median(self.rounds.iter().map(|round| round.beside.took(kind, hundredth)).collect())
    }

    /// How long the logins themselves take.
    pub fn login(&self, hundredth: usize) -> f64 {
        median(self.rounds.iter().map(|round| round.logins.took(Kind::Login, hundredth)).collect())
    }

    pub fn logins(&self, outcome: Outcome) -> usize {
        self.rounds.iter().map(|round| round.logins.count(outcome)).sum()
    }

    /// Logins that were answered with a token, a second.
    pub fn logins_a_second(&self) -> f64 {
        self.logins(Outcome::Good) as f64 / (self.time.as_secs_f64() * self.rounds.len() as f64)
    }
}

/// Everything.
pub struct Found {
    pub tokens: Tokens,
    pub mixed: Mixed,
    pub overload: Overload,
}

impl Found {
    /// Answers that nobody should get: neither good nor a clear «not now». Only a login may be told that.
    pub fn failures(&self) -> usize {
        let rounds = &self.overload.rounds;
        let others = [&self.tokens.samples, &self.mixed.samples].into_iter();
        let cheap = others.chain(rounds.iter().flat_map(|round| [&round.calm, &round.beside]));
        let refused: usize = cheap.map(|samples| samples.0.len() - samples.count(Outcome::Good)).sum();
        refused + self.overload.logins(Outcome::Bad)
    }
}
