//! The ratios that must hold. They are ratios of instruction counts, which are the same whatever else the machine
//! does; times are printed and not checked.

use crate::ALGORITHMS;
use crate::results::Counts;

/// A ratio and its limit.
pub struct Bar {
    pub what: String,
    pub at_most: f64,
    /// None when a figure is missing, which fails the bar.
    pub found: Option<f64>,
}

impl Bar {
    pub fn holds(&self) -> bool {
        self.found.is_some_and(|found| found <= self.at_most)
    }
}

/// The peer that a cold start is compared with: AWS's own verifier, its keys built in.
pub const PEER: &str = "aws-jwt-verify RS256";

/// Bytes. Lambda loads the zip at a cold start.
const MAX_ZIP: f64 = 3e6;

/// The bars of all functions that were counted.
pub fn bars(counts: &Counts) -> Vec<Bar> {
    let is_counted = |function| counts.zips.contains_key(function);
    let mut bars = Vec::new();
    if is_counted("authorizer") {
        bars.extend(authorizer(counts));
    }
    if is_counted("token") {
        bars.extend(token(counts));
    }
    if is_counted("login") {
        // A password must be dear to guess, and nothing but the hash may be.
        let hash = counts.part("hello-world + hash");
        bars.push(bar("login / password hash", 1.15, counts.warm("login"), hash));
    }
    bars.extend(counts.zips.iter().map(|(function, bytes)| {
        bar(&format!("{function}, zip / 3 MB"), 1.0, Some(*bytes as f64), Some(MAX_ZIP))
    }));
    bars
}

fn authorizer(counts: &Counts) -> Vec<Bar> {
    let hello = counts.warm("hello-world");
    let mut bars = Vec::new();
    for algorithm in ALGORITHMS {
        let [new, known] =
            ["new", "known"].map(|token| counts.warm(&format!("authorizer, {token} token {algorithm}")));
        // A new token costs its verification; what else it costs is the digest and the entry it is remembered by.
        bars.push(bar(
            &format!("authorizer, (new token − known token) / verification, {algorithm}"),
            1.15,
            new.zip(known).map(|(new, known)| new - known),
            counts.part(&format!("hello-world + verification {algorithm}")),
        ));
        // All checks but the signature's, and the line of log.
        bars.push(bar(&format!("authorizer, known token / hello-world, {algorithm}"), 1.3, known, hello));
    }
    // A digest and a look-up.
    bars.push(bar("authorizer, API key / hello-world", 1.1, counts.warm("authorizer, API key"), hello));
    // The trust bundle takes one read, and the first token a verification.
    let cold = counts.cold("authorizer, known token RS256");
    let read = counts.cold("hello-world + read");
    bars.push(bar("authorizer, cold / hello-world that reads one item", 1.15, cold, read));
    if let Some(peer) = counts.cold(PEER) {
        bars.push(bar("authorizer, cold / aws-jwt-verify on Node", 1.0 / 25.0, cold, Some(peer)));
    }
    bars
}

fn token(counts: &Counts) -> Vec<Bar> {
    let of_algorithm = |algorithm: &&str| {
        // What no token endpoint with a store can do without.
        let signature = counts.part(&format!("hello-world + signature {algorithm}"));
        let parts = [counts.warm("hello-world over HTTP"), counts.part("hello-world + read"), signature];
        let name = format!("token / (hello-world over HTTP + read + signature), {algorithm}");
        bar(&name, 1.25, counts.warm(&format!("token {algorithm}")), parts.into_iter().sum())
    };
    ALGORITHMS.iter().map(of_algorithm).collect()
}

fn bar(what: &str, at_most: f64, numerator: Option<f64>, denominator: Option<f64>) -> Bar {
    let found = numerator.zip(denominator).map(|(numerator, denominator)| numerator / denominator);
    Bar { what: what.to_owned(), at_most, found }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Instructions;

    #[test]
    fn a_missing_figure_fails_its_bar() {
        let mut counts = Counts::default();
        assert!(bars(&counts).is_empty());
        counts.zips.insert("authorizer".to_owned(), 3_000_000);
        counts.cases.insert("hello-world".to_owned(), Instructions { cold: 100, warm: 10 });
        counts.cases.insert("authorizer, API key".to_owned(), Instructions { cold: 100, warm: 11 });
        let held = |counts: &Counts| {
            bars(counts).into_iter().filter(Bar::holds).map(|bar| bar.what).collect::<Vec<_>>()
        };
        assert_eq!(held(&counts), ["authorizer, API key / hello-world", "authorizer, zip / 3 MB"]);
        assert_eq!(bars(&counts).len(), 7);
        counts.cases.insert("authorizer, API key".to_owned(), Instructions { cold: 100, warm: 12 });
        counts.zips.insert("authorizer".to_owned(), 3_000_001);
        assert_eq!(held(&counts), [""; 0]);
    }
}
