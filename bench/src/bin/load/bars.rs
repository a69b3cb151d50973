//! What must hold: the stack's own CPU and memory, and ratios within one run. Times are the machine's.

use crate::callers::Kind;
use crate::figures::{Found, WINDOWS};

/// A bar and what was found.
pub struct Verdict {
    pub what: String,
    pub found: f64,
    pub at_most: f64,
    pub why: &'static str,
}

impl Verdict {
    pub fn holds(&self) -> bool {
        self.found <= self.at_most
    }
}

/// Judges a run.
pub fn judge(found: &Found) -> Vec<Verdict> {
    let verdict = |what: &str, found, at_most, why| Verdict { what: what.to_owned(), found, at_most, why };
    let mixed = &found.mixed;
    let mut verdicts = vec![
        verdict(
            "token ES256, 1,000 a CPU second / found",
            1000.0 / found.tokens.a_cpu_second(),
            1.0,
            "a laptop's stack is there to be tested against",
        ),
        verdict(
            "mixed load, memory, last window / first",
            mixed.memory(WINDOWS - 1) / mixed.memory(0),
            1.1,
            "what grows in a minute is gone in a night; the items that logins leave are within this",
        ),
    ];
    for kind in Kind::CHEAP {
        verdicts.push(verdict(
            &format!("mixed load, {}, p99, last third / first", kind.name()),
            mixed.drift(kind),
            1.5,
            "twice as slow in a minute would be a leak; half of that is what other work on a machine does",
        ));
    }
    for kind in Kind::CHEAP {
        verdicts.push(verdict(
            &format!("login overload, {}, p99, beside it / in calm", kind.name()),
            found.overload.slower(kind, 99),
            3.0,
            "WHY",
        ));
    }
    verdicts.push(verdict(
        "requests that failed",
        found.failures() as f64,
        0.0,
        "load is no reason to fail; only a login may be told to come again, and when",
    ));
    verdicts
}
