//! Thresholds for the stack's CPU time and memory and for ratios within one run. Absolute times depend on the machine.

use crate::callers::Kind;
use crate::drive::LOGIN_CONNECTIONS;
use crate::figures::Results;

/// The memory of a password hash in bytes: `MEMORY_KIB` of `shared/src/passwords/hash.rs`.
const HASH: f64 = 19_456.0 * 1024.0;

/// A figure and its limit.
pub struct Threshold {
    pub what: String,
    pub found: f64,
    pub at_most: f64,
    pub why: &'static str,
}

impl Threshold {
    pub fn holds(&self) -> bool {
        self.found <= self.at_most
    }
}

/// All thresholds of a run.
pub fn all(results: &Results) -> Vec<Threshold> {
    let threshold =
        |what: &str, found, at_most, why| Threshold { what: what.to_owned(), found, at_most, why };
    let mixed = &results.mixed;
    let mut thresholds = vec![
        threshold(
            "token ES256, CPU of the stack, ms (1.00 is 1,000 a second and core)",
            1000.0 / results.tokens.per_cpu_second(),
            1.0,
            "tests against the local stack must not wait for it",
        ),
        threshold(
            "mixed load, memory, last window without token families / first",
            mixed.memory_growth(),
            1.1,
            "only token families are stored, and the allocator stays within this",
        ),
    ];
    thresholds.push(threshold(
        "mixed load, CPU of the stack, last third / first",
        mixed.cpu_growth(),
        1.25,
        "the same requests take the same work, and other processes only cool the caches",
    ));
    for kind in Kind::CHEAP {
        thresholds.push(threshold(
            &format!("mixed load, {}, p99, fastest slice of the last third / of the first", kind.name()),
            mixed.drift(kind),
            1.5,
            "a cost that grows with the number of requests would be far above, and disturbances are below",
        ));
    }
    for kind in Kind::CHEAP {
        thresholds.push(threshold(
            &format!("login overload, {}, p99, during it / before it", kind.name()),
            results.overload.slowdown(kind, 99),
            3.0,
            "one hash at a time leaves half of two cores to other requests",
        ));
    }
    thresholds.push(threshold(
        "login overload, peak memory / memory of all hashes at once",
        results.overload.memory as f64 / (LOGIN_CONNECTIONS as f64 * HASH),
        0.5,
        "waiting logins have no memory for a hash",
    ));
    thresholds.push(threshold(
        "requests that failed",
        results.failures() as f64,
        0.0,
        "load must not fail a request; only logins may get a status with Retry-After",
    ));
    thresholds
}
