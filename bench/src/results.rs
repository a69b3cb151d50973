//! Measured figures, as stored in `bench/results`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::artifact::root;

/// When and where figures were measured.
#[derive(Default, Serialize, Deserialize)]
pub struct Run {
    /// The day, in UTC.
    pub date: String,
    /// The commit that was measured.
    pub revision: String,
    pub processor: String,
}

impl Run {
    pub fn now() -> anyhow::Result<Self> {
        let output = |program: &str, arguments: &[&str]| {
            let output = Command::new(program)
                .args(arguments)
                .current_dir(root())
                .output()
                .context(program.to_owned());
            anyhow::Ok(String::from_utf8(output?.stdout)?.trim().to_owned())
        };
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Ok(Self {
            date: output("date", &["--utc", "+%F"])?,
            revision: output("git", &["rev-parse", "--short", "HEAD"])?,
            processor: model.map_or("unknown processor", |(_, name)| name).to_owned(),
        })
    }
}

/// Instruction counts, and the sizes of what was counted.
#[derive(Default, Serialize, Deserialize)]
pub struct Counts {
    pub run: Run,
    /// By case.
    pub cases: BTreeMap<String, Instructions>,
    /// What each function adds to a deployment package, in bytes.
    pub zips: BTreeMap<String, u64>,
}

impl Counts {
    /// A warm call of a case.
    pub fn warm(&self, case: &str) -> Option<f64> {
        Some(self.cases.get(case)?.warm as f64)
    }

    /// A cold start of a case, its first call included.
    pub fn cold(&self, case: &str) -> Option<f64> {
        Some(self.cases.get(case)?.cold as f64)
    }

    /// What a hello-world that does one thing more spends on that, in a warm call.
    pub fn part(&self, case: &str) -> Option<f64> {
        Some(self.warm(case)? - self.warm("hello-world")?)
    }
}

/// What a case costs in instructions.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Instructions {
    /// From the start of the process to the answer to its first call.
    pub cold: u64,
    /// A warm call.
    pub warm: u64,
}

/// Times and memory.
#[derive(Serialize, Deserialize)]
pub struct Times {
    pub run: Run,
    /// How often everything was measured.
    pub rounds: usize,
    /// In the order of the table.
    pub cases: Vec<Timed>,
}

/// What was measured of a case, over all rounds.
#[derive(Serialize, Deserialize)]
pub struct Timed {
    pub name: String,
    pub metrics: BTreeMap<Metric, Summary>,
    /// Of a peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
}

/// A peer beside the case of ours that does the same.
#[derive(Serialize, Deserialize)]
pub struct Comparison {
    pub our_case: String,
    /// The peer's figure divided by ours, within a round.
    pub ratios: BTreeMap<Metric, Summary>,
}

/// What is measured of a case, once a round. Times are in microseconds, memory in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// From the start of the process until it asks for its first event.
    Start,
    /// CPU time until the first event.
    StartCpu,
    /// The first call.
    FirstCall,
    /// CPU time until the first answer.
    ColdCpu,
    /// The median of the warm calls.
    P50,
    /// The 99th percentile of the warm calls; absent below a hundred calls.
    P99,
    /// CPU time of a warm call.
    WarmCpu,
    /// The most memory after all warm calls.
    Memory,
}

/// The median, and the quartiles around it.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Summary {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

impl Summary {
    /// Of figures, one a round.
    pub fn of(figures: &[f64]) -> Self {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |part: usize| {
            sorted.get((sorted.len().saturating_sub(1)) * part / 4).copied().unwrap_or(f64::NAN)
        };
        Self { low: at(1), median: at(2), high: at(3) }
    }
}

/// The file of [`Counts`].
pub const COUNTS: &str = "counts.json";
/// The file of [`Times`].
pub const TIMES: &str = "times.json";

pub fn load<T: DeserializeOwned>(file: &str) -> anyhow::Result<T> {
    let path = path(file);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

pub fn save(file: &str, figures: &impl Serialize) -> anyhow::Result<()> {
    let path = path(file);
    let text = format!("{}\n", serde_json::to_string_pretty(figures)?);
    fs::write(&path, text).with_context(|| path.display().to_string())
}

fn path(file: &str) -> PathBuf {
    root().join("bench/results").join(file)
}
