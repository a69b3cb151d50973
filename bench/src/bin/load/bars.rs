//! What must hold: the stack's own CPU and memory, and ratios within one run. Times are the machine's.

use crate::callers::Kind;
use crate::drive::LOGIN_CONNECTIONS;
use crate::figures::Found;

/// What a password hash works in, in bytes: `MEMORY_KIB` of `shared/src/identity/passwords.rs`.
const HASH: f64 = 19_456.0 * 1024.0;

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
            "token ES256, CPU of the stack, ms (1.00 is 1,000 a second and core)",
            1000.0 / found.tokens.a_cpu_second(),
            1.0,
            "a laptop's stack is there to be tested against",
        ),
        verdict(
            "mixed load, memory, last window without what logins leave / first",
            mixed.growth(),
            1.1,
            "nothing but sessions is kept; what the allocator does is within this",
        ),
    ];
    verdicts.push(verdict(
        "mixed load, CPU of the stack, last third / first",
        mixed.effort(),
        1.25,
        "the same requests are the same work; other work on the machine makes it dearer by cold caches alone",
    ));
    for kind in Kind::CHEAP {
        verdicts.push(verdict(
            &format!("mixed load, {}, p99, calmest slice of the last third / of the first", kind.name()),
            mixed.drift(kind),
            1.5,
            "what takes longer the more there was before would be far above; other work on the machine is below",
        ));
    }
    for kind in Kind::CHEAP {
        verdicts.push(verdict(
            &format!("login overload, {}, p99, beside it / in calm", kind.name()),
            found.overload.slower(kind, 99),
            3.0,
            "a hash at a time leaves all cores but one to others, and of two cores that is half",
        ));
    }
    verdicts.push(verdict(
        "login overload, most memory / that of all hashes at once",
        found.overload.memory as f64 / (LOGIN_CONNECTIONS as f64 * HASH),
        0.5,
        "logins that wait hold no memory to hash in",
    ));
    verdicts.push(verdict(
        "requests that failed",
        found.failures() as f64,
        0.0,
        "load is no reason to fail; only a login may be told to come again, and when",
    ));
    verdicts
}
