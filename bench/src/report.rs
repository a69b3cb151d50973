//! What was found: a table for people, JSON for programs.

use std::collections::BTreeMap;
use std::iter;

use bench::table;
use serde_json::{Map, Value, json};

use crate::artifact::Artifact;
use crate::bars::Verdict;
use crate::case::Case;
use crate::instructions::Instructions;
use crate::measure::{Figures, Metric, summary};
use crate::memory;

/// What other people's cases are compared by.
const TIMES_OURS: [Metric; 3] = [Metric::WarmCpu, Metric::ColdCpu, Metric::WarmMemory];

/// Everything that was found.
pub struct Report<'a> {
    pub cases: &'a [Case],
    pub figures: &'a Figures,
    pub artifacts: &'a BTreeMap<&'static str, Artifact>,
    pub verdicts: &'a [Verdict],
    pub instructions: &'a BTreeMap<String, Instructions>,
}

impl Report<'_> {
    /// For people.
    pub fn table(&self) -> String {
        let columns =
            ["", "start ms", "first call ms", "cold CPU ms", "MB", "p50 µs", "p99 µs", "CPU µs", "±"];
        let mut costs = table::empty(&columns);
        for case in self.cases {
            let figure = |metric, scale: f64| {
                let found =
                    self.figures.of(&case.name, metric).map(|figures| summary(figures).median / scale);
                found.map_or_else(|| "–".to_owned(), |found| format!("{found:.1}"))
            };
            let spread = self.figures.of(&case.name, Metric::WarmCpu).map(|figures| {
                let found = summary(figures);
                format!("{:.0} %", (found.high - found.low) / 2.0 / found.median * 100.0)
            });
            costs.add_row([
                case.name.clone(),
                figure(Metric::Start, 1e3),
                figure(Metric::FirstCall, 1e3),
                figure(Metric::ColdCpu, 1e3),
                figure(Metric::WarmMemory, 1e6),
                figure(Metric::P50, 1.0),
                figure(Metric::P99, 1.0),
                figure(Metric::WarmCpu, 1.0),
                spread.unwrap_or_default(),
            ]);
        }
        let mut sizes = table::empty(&["", "binary MB", "zip MB"]);
        for (name, artifact) in self.artifacts {
            let megabytes = |bytes: u64| format!("{:.2}", bytes as f64 / 1e6);
            sizes.add_row([(*name).to_owned(), megabytes(artifact.size), megabytes(artifact.zipped)]);
        }
        let mut counts =
            table::empty(&["", "cold, million instructions", "warm call, thousand instructions"]);
        for (name, found) in self.instructions {
            let thousands = |count: u64, unit: f64| format!("{:.1}", count as f64 / unit);
            counts.add_row([name.clone(), thousands(found.cold, 1e6), thousands(found.warm, 1e3)]);
        }
        let mut ratios = table::empty(&["", "ratio", "middle half", "at most", ""]);
        for verdict in self.verdicts {
            let [ratio, middle] = match &verdict.found {
                Some(found) => {
                    [format!("{:.2}", found.median), format!("{:.2}–{:.2}", found.low, found.high)]
                }
                None => ["not measured".to_owned(), String::new()],
            };
            ratios.add_row([
                verdict.what.clone(),
                ratio,
                middle,
                format!("{:.2}", verdict.at_most),
                if verdict.holds() { String::new() } else { format!("exceeded: {}", verdict.why) },
            ]);
        }
        let columns =
            ["times ours", "warm CPU", "middle half", "cold CPU", "middle half", "memory", "middle half"];
        let mut peers = table::empty(&columns);
        for (case, ours) in self.peers() {
            let found = TIMES_OURS.iter().flat_map(|metric| {
                let ratio = self.figures.ratio(case, ours, *metric);
                let texts = ratio.map(|found| {
                    [format!("{:.1}", found.median), format!("{:.1}–{:.1}", found.low, found.high)]
                });
                texts.unwrap_or_default()
            });
            peers.add_row(iter::once(case.to_owned()).chain(found));
        }
        let peers = if peers.is_empty() { String::new() } else { format!("{peers}\n\n") };
        let counts = if self.instructions.is_empty() { String::new() } else { format!("{counts}\n\n") };
        let memory = memory::of(self.cases, self.figures);
        format!("{costs}\n\n{memory}\n\n{sizes}\n\n{counts}{peers}{ratios}")
    }

    /// Other people's cases, and ours that do the same, of those that were measured.
    fn peers(&self) -> impl Iterator<Item = (&str, &str)> {
        let both = self.cases.iter().filter_map(|case| Some((case.name.as_str(), case.beside.as_deref()?)));
        both.filter(|(_, ours)| self.cases.iter().any(|case| case.name == *ours))
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let spread = |found: &crate::measure::Summary| json!({"median": found.median, "lower_quartile": found.low, "upper_quartile": found.high});
        let cases: Map<String, Value> = self
            .cases
            .iter()
            .map(|case| {
                let metrics = Metric::ALL.into_iter().filter_map(|metric| {
                    let found = summary(self.figures.of(&case.name, metric)?);
                    Some((metric.name().to_owned(), spread(&found)))
                });
                let mut metrics: Map<String, Value> = metrics.collect();
                if let Some(found) = self.instructions.get(&case.name) {
                    metrics.insert("cold_instructions".to_owned(), found.cold.into());
                    metrics.insert("warm_instructions".to_owned(), found.warm.into());
                }
                (case.name.clone(), metrics.into())
            })
            .collect();
        let sizes: Map<String, Value> = self
            .artifacts
            .iter()
            .map(|(name, artifact)| {
                ((*name).to_owned(), json!({"binary_bytes": artifact.size, "zip_bytes": artifact.zipped}))
            })
            .collect();
        let bars = self.verdicts.iter().map(|verdict| {
            let mut found = verdict.found.as_ref().map_or_else(|| json!({}), spread);
            found["what"] = verdict.what.as_str().into();
            found["at_most"] = verdict.at_most.into();
            found["why"] = verdict.why.into();
            found["holds"] = verdict.holds().into();
            found
        });
        let peers: Map<String, Value> = self
            .peers()
            .map(|(case, ours)| {
                let metrics = TIMES_OURS.into_iter().filter_map(|metric| {
                    Some((metric.name().to_owned(), spread(&self.figures.ratio(case, ours, metric)?)))
                });
                let mut metrics: Map<String, Value> = metrics.collect();
                metrics.insert("ours".to_owned(), ours.into());
                (case.to_owned(), metrics.into())
            })
            .collect();
        json!({"cases": cases, "times_ours": peers, "sizes": sizes, "ratios": bars.collect::<Vec<_>>()})
    }
}
