//! Results as stored in `bench/results`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use bench::stats::percentile;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::artifact::root;

/// The time and place of a measurement.
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

/// Instruction counts and zip sizes.
#[derive(Default, Serialize, Deserialize)]
pub struct Counts {
    pub run: Run,
    /// By case.
    pub cases: BTreeMap<String, Instructions>,
    /// The size of each function in a deployment package, in bytes.
    pub zips: BTreeMap<String, u64>,
}

impl Counts {
    /// The instructions of a warm call.
    pub fn warm(&self, case: &str) -> Option<f64> {
        Some(self.cases.get(case)?.warm as f64)
    }

    /// The instructions of a cold start with its first call.
    pub fn cold(&self, case: &str) -> Option<f64> {
        Some(self.cases.get(case)?.cold as f64)
    }

    /// The instructions of a baseline's warm call beyond those of the plain hello-world.
    pub fn part(&self, case: &str) -> Option<f64> {
        Some(self.warm(case)? - self.warm("hello-world")?)
    }
}

/// The instructions of a case.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Instructions {
    /// From the start of the process to the response to its first call.
    pub cold: u64,
    /// A warm call.
    pub warm: u64,
}

/// Times and memory.
#[derive(Serialize, Deserialize)]
pub struct Times {
    pub run: Run,
    /// The number of rounds.
    pub rounds: usize,
    /// The cases in the order of the table.
    pub cases: Vec<Timed>,
}

/// The results of a case over all rounds.
#[derive(Serialize, Deserialize)]
pub struct Timed {
    pub name: String,
    pub metrics: BTreeMap<Metric, Summary>,
    /// The comparison of a peer with our case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
}

/// The comparison of a peer with our case that does the same.
#[derive(Serialize, Deserialize)]
pub struct Comparison {
    pub our_case: String,
    /// The peer's figure divided by ours, within a round.
    pub ratios: BTreeMap<Metric, Summary>,
}

/// The metrics of a case, measured once a round. Times are in microseconds, memory in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// From the start of the process until it requests its first event.
    Start,
    /// CPU time until the first event.
    StartCpu,
    /// The first call.
    FirstCall,
    /// CPU time until the first response.
    ColdCpu,
    /// The median of the warm calls.
    P50,
    /// The 99th percentile of the warm calls, absent below a hundred calls.
    P99,
    /// CPU time of a warm call.
    WarmCpu,
    /// The peak memory after all warm calls.
    Memory,
}

/// The median and the quartiles.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Summary {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

impl Summary {
    /// The summary of values, one a round.
    pub fn of(values: &[f64]) -> Self {
        let at = |percent| percentile(values.to_vec(), percent);
        Self { low: at(25), median: at(50), high: at(75) }
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
