//! Thresholds for ratios of instruction counts, which don't depend on the machine's load. Times have no thresholds.

use crate::ALGORITHMS;
use crate::results::Counts;

/// A ratio and its limit.
pub struct Threshold {
    pub what: String,
    pub at_most: f64,
    /// None when a figure is missing, which fails the threshold.
    pub found: Option<f64>,
}

impl Threshold {
    pub fn holds(&self) -> bool {
        self.found.is_some_and(|found| found <= self.at_most)
    }
}

/// The peer of the authorizer's cold start: AWS's verifier with built-in keys.
pub const PEER: &str = "aws-jwt-verify RS256";

/// In bytes. Lambda loads the zip at a cold start.
const MAX_ZIP: f64 = 3e6;

/// The thresholds of all functions that were counted.
pub fn all(counts: &Counts) -> Vec<Threshold> {
    let is_counted = |function| counts.zips.contains_key(function);
    let mut thresholds = Vec::new();
    if is_counted("authorizer") {
        thresholds.extend(authorizer(counts));
    }
    if is_counted("token") {
        thresholds.extend(token(counts));
    }
    if is_counted("login") {
        // A login costs little beside its password hash.
        let hash = counts.part("hello-world + hash");
        thresholds.push(threshold("login / password hash", 1.15, counts.warm("login"), hash));
    }
    thresholds.extend(counts.zips.iter().map(|(function, bytes)| {
        threshold(&format!("{function}, zip / 3 MB"), 1.0, Some(*bytes as f64), Some(MAX_ZIP))
    }));
    thresholds
}

fn authorizer(counts: &Counts) -> Vec<Threshold> {
    let hello = counts.warm("hello-world");
    let mut thresholds = Vec::new();
    for algorithm in ALGORITHMS {
        let [new, known] =
            ["new", "known"].map(|token| counts.warm(&format!("authorizer, {token} token {algorithm}")));
        // A new token costs its verification, a digest and a cache entry.
        thresholds.push(threshold(
            &format!("authorizer, (new token − known token) / verification, {algorithm}"),
            1.15,
            new.zip(known).map(|(new, known)| new - known),
            counts.part(&format!("hello-world + verification {algorithm}")),
        ));
        // A known token costs the validation of its claims and a log line.
        thresholds.push(threshold(
            &format!("authorizer, known token / hello-world, {algorithm}"),
            1.3,
            known,
            hello,
        ));
    }
    // An API key costs a digest and a look-up.
    thresholds.push(threshold(
        "authorizer, API key / hello-world",
        1.1,
        counts.warm("authorizer, API key"),
        hello,
    ));
    // A cold start costs one read of the trust snapshot and a verification.
    let cold = counts.cold("authorizer, known token RS256");
    let read = counts.cold("hello-world + read");
    thresholds.push(threshold("authorizer, cold / hello-world that reads one item", 1.15, cold, read));
    if let Some(peer) = counts.cold(PEER) {
        thresholds.push(threshold("authorizer, cold / aws-jwt-verify on Node", 1.0 / 25.0, cold, Some(peer)));
    }
    thresholds
}

fn token(counts: &Counts) -> Vec<Threshold> {
    let of_algorithm = |algorithm: &&str| {
        // The parts that every token endpoint with a store needs.
        let signature = counts.part(&format!("hello-world + signature {algorithm}"));
        let parts = [counts.warm("hello-world over HTTP"), counts.part("hello-world + read"), signature];
        let name = format!("token / (hello-world over HTTP + read + signature), {algorithm}");
        threshold(&name, 1.25, counts.warm(&format!("token {algorithm}")), parts.into_iter().sum())
    };
    ALGORITHMS.iter().map(of_algorithm).collect()
}

fn threshold(what: &str, at_most: f64, numerator: Option<f64>, denominator: Option<f64>) -> Threshold {
    let found = numerator.zip(denominator).map(|(numerator, denominator)| numerator / denominator);
    Threshold { what: what.to_owned(), at_most, found }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Instructions;

    #[test]
    fn a_missing_figure_fails_its_threshold() {
        let mut counts = Counts::default();
        assert!(all(&counts).is_empty());
        counts.zips.insert("authorizer".to_owned(), 3_000_000);
        counts.cases.insert("hello-world".to_owned(), Instructions { cold: 100, warm: 10 });
        counts.cases.insert("authorizer, API key".to_owned(), Instructions { cold: 100, warm: 11 });
        let held = |counts: &Counts| {
            all(counts)
                .into_iter()
                .filter(Threshold::holds)
                .map(|threshold| threshold.what)
                .collect::<Vec<_>>()
        };
        assert_eq!(held(&counts), ["authorizer, API key / hello-world", "authorizer, zip / 3 MB"]);
        assert_eq!(all(&counts).len(), 7);
        counts.cases.insert("authorizer, API key".to_owned(), Instructions { cold: 100, warm: 12 });
        counts.zips.insert("authorizer".to_owned(), 3_000_001);
        assert_eq!(held(&counts), [""; 0]);
    }
}
