//! What was found: tables for people, JSON for programs.

use bench::table;
use comfy_table::Table;
use serde_json::{Value, json};

use crate::bars::Verdict;
use crate::callers::{Kind, Outcome};
use crate::figures::{Found, Mixed, Overload, WINDOWS};

/// For people.
pub fn table(found: &Found, verdicts: &[Verdict]) -> String {
    let tokens = &found.tokens;
    let mut bars = table::empty(&["", "found", "at most", ""]);
    for verdict in verdicts {
        bars.add_row([
            verdict.what.clone(),
            format!("{:.2}", verdict.found),
            format!("{:.2}", verdict.at_most),
            if verdict.holds() { String::new() } else { format!("exceeded: {}", verdict.why) },
        ]);
    }
    format!(
        "tokens, as fast as they come: {:.0} a CPU second of the stack, {:.0} a second; p50 {:.1} ms, p99 {:.1} ms\n\n\
         {}\n\n\
         mixed load\n{}\n\n{bars}",
        tokens.a_cpu_second(),
        tokens.a_second(),
        tokens.samples.took(Kind::Token, 50),
        tokens.samples.took(Kind::Token, 99),
        overload(&found.overload),
        windows(&found.mixed),
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
    let mut table = table::empty(&["p50 / p99, ms", "in calm", "beside the overload", "ratio"]);
    for kind in Kind::CHEAP {
        let pair = |of: &dyn Fn(usize) -> f64| format!("{:.1} / {:.1}", of(50), of(99));
        table.add_row([
            kind.name().to_owned(),
            pair(&|hundredth| overload.calm(kind, hundredth)),
            pair(&|hundredth| overload.beside(kind, hundredth)),
            pair(&|hundredth| overload.slower(kind, hundredth)),
        ]);
    }
    format!(
        "login overload: {} logins, {:.0} a second, p50 {:.0} ms, p99 {:.0} ms; {} told to come again; {} failed; \
         at most {:.0} MB\n{table}",
        overload.logins(Outcome::Good),
        overload.logins_a_second(),
        overload.login(50),
        overload.login(99),
        overload.logins(Outcome::NotNow),
        overload.logins(Outcome::Bad),
        overload.memory as f64 / 1e6,
    )
}

/// For programs.
pub fn json(verdicts: &[Verdict]) -> Value {
    let bars = verdicts.iter().map(|verdict| {
        json!({
            "what": verdict.what,
            "found": verdict.found,
            "at_most": verdict.at_most,
            "why": verdict.why,
            "holds": verdict.holds(),
        })
    });
    json!({"bars": bars.collect::<Vec<_>>()})
}
