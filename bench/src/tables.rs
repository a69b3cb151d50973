//! The result tables in Markdown, for the terminal and for the page.

use bench::table;
use comfy_table::Table;

use crate::results::{Counts, Metric, Run, Summary, Timed, Times};
use crate::thresholds::{self, Threshold};

/// A table with its name.
pub type Named = (&'static str, String);

/// The tables of instruction counts.
pub fn of_counts(counts: &Counts) -> Vec<Named> {
    let run = run(&counts.run);
    vec![
        ("ratios", format!("{}\n\n{run}", ratios(counts))),
        ("instructions", instructions(counts).to_string()),
    ]
}

/// The tables of times and memory.
pub fn of_times(times: &Times) -> Vec<Named> {
    let run = format!("{} {} rounds.", run(&times.run), times.rounds);
    let (theirs, ours): (Vec<&Timed>, _) = times.cases.iter().partition(|case| case.comparison.is_some());
    vec![
        ("times", format!("{}\n\n{run}", costs(&ours))),
        ("times of peers", costs(&theirs).to_string()),
        ("peers", peers(&theirs).to_string()),
        ("memory", memory(&ours).to_string()),
    ]
}

fn run(run: &Run) -> String {
    format!("Measured on {} at {}, on {}.", run.date, run.revision, run.processor)
}

fn ratios(counts: &Counts) -> Table {
    let mut table = table::empty(&["ratio of instructions", "found", "at most", ""]);
    for threshold in thresholds::all(counts) {
        let verdict = match threshold.found {
            None => "**not counted**",
            Some(_) if threshold.holds() => "",
            Some(_) => "**exceeded**",
        };
        let Threshold { what, at_most, found } = threshold;
        let found = found.map_or_else(|| "–".to_owned(), ratio);
        table.add_row([what, found, ratio(at_most), verdict.to_owned()]);
    }
    table
}

fn ratio(ratio: f64) -> String {
    if ratio < 0.1 { format!("{ratio:.3}") } else { format!("{ratio:.2}") }
}

fn instructions(counts: &Counts) -> Table {
    let mut table = table::empty(&["case", "cold, million instructions", "warm call, thousand instructions"]);
    for (name, found) in &counts.cases {
        let in_units = |count: u64, unit: f64| format!("{:.1}", count as f64 / unit);
        table.add_row([name.clone(), in_units(found.cold, 1e6), in_units(found.warm, 1e3)]);
    }
    table
}

fn costs(cases: &[&Timed]) -> Table {
    let columns = [
        "case",
        "start, ms",
        "first call, ms",
        "cold CPU, ms",
        "peak MB",
        "p50, µs",
        "p99, µs",
        "CPU a warm call, µs",
        "±",
    ];
    let mut table = table::empty(&columns);
    for case in cases {
        let figure = |metric, unit: f64| {
            let found = case.metrics.get(&metric);
            found.map_or_else(|| "–".to_owned(), |found| format!("{:.1}", found.median / unit))
        };
        let spread = case
            .metrics
            .get(&Metric::WarmCpu)
            .map(|found| format!("{:.0} %", (found.high - found.low) / 2.0 / found.median * 100.0));
        table.add_row([
            case.name.clone(),
            figure(Metric::Start, 1e3),
            figure(Metric::FirstCall, 1e3),
            figure(Metric::ColdCpu, 1e3),
            figure(Metric::Memory, 1e6),
            figure(Metric::P50, 1.0),
            figure(Metric::P99, 1.0),
            figure(Metric::WarmCpu, 1.0),
            spread.unwrap_or_default(),
        ]);
    }
    table
}

fn peers(cases: &[&Timed]) -> Table {
    let mut table = table::empty(&["case", "warm CPU", "quartiles", "cold CPU", "quartiles", "memory"]);
    for case in cases {
        let Some(comparison) = &case.comparison else { continue };
        let cell = |metric, text: fn(&Summary) -> String| {
            comparison.ratios.get(&metric).map(text).unwrap_or_default()
        };
        let median = |found: &Summary| format!("{:.1}", found.median);
        let quartiles = |found: &Summary| format!("{:.1}–{:.1}", found.low, found.high);
        table.add_row([
            format!("{} / {}", case.name, comparison.our_case),
            cell(Metric::WarmCpu, median),
            cell(Metric::WarmCpu, quartiles),
            cell(Metric::ColdCpu, median),
            cell(Metric::ColdCpu, quartiles),
            cell(Metric::Memory, median),
        ]);
    }
    table
}

/// Memory settings of a function, in MB. The last one has a whole core
/// (docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html).
const SIZES: [u32; 5] = [128, 256, 512, 1024, WHOLE_CORE];
const WHOLE_CORE: u32 = 1769;

/// The first and a warm call at each memory setting, in milliseconds: the CPU time with that share of a core. The start of
/// the process is left out, because Lambda gives every function a whole core for it.
fn memory(cases: &[&Timed]) -> Table {
    let sizes = SIZES.map(|size| format!("{size} MB"));
    let columns: Vec<&str> =
        ["first / warm call, ms", "peak MB"].into_iter().chain(sizes.iter().map(String::as_str)).collect();
    let mut table = table::empty(&columns);
    // Baselines are not deployed.
    for case in cases.iter().filter(|case| !case.name.starts_with("hello-world")) {
        let median = |metric| case.metrics.get(&metric).map(|found| found.median);
        let (Some(start), Some(cold), Some(warm), Some(peak)) = (
            median(Metric::StartCpu),
            median(Metric::ColdCpu),
            median(Metric::WarmCpu),
            median(Metric::Memory),
        ) else {
            continue;
        };
        let at = |size: u32| {
            let milliseconds = |cpu: f64| cpu / 1e3 * f64::from(WHOLE_CORE) / f64::from(size);
            format!("{:.1} / {:.2}", milliseconds(cold - start), milliseconds(warm))
        };
        let row = [case.name.clone(), format!("{:.1}", peak / 1e6)];
        table.add_row(row.into_iter().chain(SIZES.map(at)));
    }
    table
}
