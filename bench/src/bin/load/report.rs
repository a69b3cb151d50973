//! The results as tables.

use bench::table;
use comfy_table::Table;

use crate::callers::{Kind, Outcome};
use crate::figures::{Mixed, Overload, Results, WINDOWS};
use crate::thresholds::Threshold;

/// All tables.
pub fn tables(results: &Results, thresholds: &[Threshold]) -> String {
    let tokens = &results.tokens;
    let mut limits = table::empty(&["", "found", "at most", ""]);
    for threshold in thresholds {
        limits.add_row([
            threshold.what.clone(),
            format!("{:.2}", threshold.found),
            format!("{:.2}", threshold.at_most),
            if threshold.holds() { String::new() } else { format!("exceeded: {}", threshold.why) },
        ]);
    }
    format!(
        "tokens at full speed: {:.0} per second of the stack's CPU time, {:.0} per second; p50 {:.1} ms, p99 {:.1} ms\n\n\
         {}\n\n\
         mixed load\n{}\n\n{limits}",
        tokens.per_cpu_second(),
        tokens.per_second(),
        tokens.samples.took(Kind::Token, 50),
        tokens.samples.took(Kind::Token, 99),
        overload(&results.overload),
        windows(&results.mixed),
    )
}

fn windows(mixed: &Mixed) -> Table {
    let mut table =
        table::empty(&["p50 / p99, ms", "token", "bearer token", "API key", "login", "CPU %", "memory MB"]);
    for window in 0..WINDOWS {
        let seconds = (mixed.time * window / WINDOWS).as_secs();
        let mut row = vec![format!("from {seconds} s")];
        row.extend(
            Kind::ALL.map(|kind| format!("{:.1} / {:.1}", mixed.p50(kind, window), mixed.p99(kind, window))),
        );
        row.push(format!("{:.0}", mixed.cores(window..window + 1) * 100.0));
        row.push(format!("{:.1}", mixed.memory(window) / 1e6));
        table.add_row(row);
    }
    table
}

fn overload(overload: &Overload) -> String {
    let mut table = table::empty(&["p50 / p99, ms", "before", "during the overload", "ratio"]);
    for kind in Kind::CHEAP {
        let pair = |of: &dyn Fn(usize) -> f64| format!("{:.1} / {:.1}", of(50), of(99));
        table.add_row([
            kind.name().to_owned(),
            pair(&|percent| overload.before(kind, percent)),
            pair(&|percent| overload.during(kind, percent)),
            pair(&|percent| overload.slowdown(kind, percent)),
        ]);
    }
    format!(
        "login overload: {} logins, {:.0} per second, p50 {:.0} ms, p99 {:.0} ms; {} with Retry-After; {} failed; \
         at most {:.0} MB\n{table}",
        overload.logins(Outcome::Success),
        overload.logins_per_second(),
        overload.login(50),
        overload.login(99),
        overload.logins(Outcome::RetryLater),
        overload.logins(Outcome::Failure),
        overload.memory as f64 / 1e6,
    )
}
