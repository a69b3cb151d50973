//! What memory buys: Lambda gives CPU in proportion to it, and bills it by the time.

use bench::table;
use comfy_table::Table;

use crate::case::Case;
use crate::measure::{Figures, Metric, summary};

/// What a function can be given, in MB; the last has one whole core
/// (docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html).
const SIZES: [f64; 5] = [128.0, 256.0, 512.0, 1024.0, WHOLE_CORE];
const WHOLE_CORE: f64 = 1769.0;

/// The first call and a warm one at each size, in milliseconds: their CPU, as long as it takes with that share
/// of a core. Worked out, not measured; what a call waits for comes on top, and the start of a process
/// doesn't count, for which Lambda gives a whole core to all.
pub fn of(cases: &[Case], figures: &Figures) -> Table {
    let mut rows = table::empty(&[
        "first / warm call, ms",
        "peak MB",
        "128 MB",
        "256 MB",
        "512 MB",
        "1024 MB",
        "1769 MB",
    ]);
    for case in cases.iter().filter(|case| case.beside.is_none()) {
        let median = |metric| figures.of(&case.name, metric).map(|figures| summary(figures).median);
        let (Some(start), Some(cold), Some(warm), Some(peak)) = (
            median(Metric::StartCpu),
            median(Metric::ColdCpu),
            median(Metric::WarmCpu),
            median(Metric::WarmMemory),
        ) else {
            continue;
        };
        let at = |size: f64| {
            let milliseconds = |cpu: f64| cpu / 1e3 * WHOLE_CORE / size;
            format!("{:.1} / {:.2}", milliseconds(cold - start), milliseconds(warm))
        };
        let row = [case.name.clone(), format!("{:.1}", peak / 1e6)];
        rows.add_row(row.into_iter().chain(SIZES.map(at)));
    }
    rows
}
