//! What must hold, each as a ratio within one run: absolute times are the machine's, ratios are ours.

use std::collections::BTreeMap;

use crate::artifact::Artifact;
use crate::measure::{Figures, Metric, Summary, summary};

/// A bar.
struct Bar {
    what: &'static str,
    at_most: f64,
    /// Where the figure comes from.
    why: &'static str,
    ratio: fn(&Round<'_>) -> Option<f64>,
}

const MEGABYTE: f64 = 1e6;

const BARS: [Bar; 13] = [
    Bar {
        what: "authorizer, new token, warm CPU / hello-world",
        at_most: 1.6,
        why: "a verification costs half of what the runtime itself does; the rest is one parse and one line of log",
        ratio: |round| Some(round.warm("authorizer, new token RS256")? / round.warm("hello-world")?),
    },
    Bar {
        what: "authorizer, known token, warm CPU / hello-world",
        at_most: 1.2,
        why: "its signature need not be checked twice",
        ratio: |round| Some(round.warm("authorizer, known token RS256")? / round.warm("hello-world")?),
    },
    Bar {
        what: "authorizer, API key, warm CPU / hello-world",
        at_most: 1.2,
        why: "a look-up in memory",
        ratio: |round| Some(round.warm("authorizer, API key")? / round.warm("hello-world")?),
    },
    Bar {
        what: "authorizer, cold CPU / hello-world",
        at_most: 2.5,
        why: "a client of DynamoDB, and one read with it",
        ratio: |round| Some(round.cold("authorizer, known token RS256")? / round.cold("hello-world")?),
    },
    Bar {
        what: "token RS256, warm CPU / (hello-world + read + signature)",
        at_most: 1.25,
        why: "that is what no token endpoint with a store can do without",
        ratio: |round| round.token("RS256"),
    },
    Bar {
        what: "token ES256, warm CPU / (hello-world + read + signature)",
        at_most: 1.25,
        why: "as above; with the cheaper signature the rest shows more",
        ratio: |round| round.token("ES256"),
    },
    Bar {
        what: "token RS256, cold CPU / (3 hello-worlds + signature)",
        at_most: 1.0,
        why: "two clients of AWS, a read with each, a key",
        ratio: |round| round.cold_token("RS256"),
    },
    Bar {
        what: "token ES256, cold CPU / (3 hello-worlds + signature)",
        at_most: 1.0,
        why: "as above",
        ratio: |round| round.cold_token("ES256"),
    },
    Bar {
        what: "authorizer, new token RS256, warm CPU / aws-jwt-verify on Node",
        at_most: 1.0 / 4.0,
        why: "AWS's own verifier, its keys built in, with no answer to who was revoked",
        ratio: |round| Some(round.warm("authorizer, new token RS256")? / round.warm("aws-jwt-verify RS256")?),
    },
    Bar {
        what: "authorizer, new token ES256, warm CPU / aws-jwt-verify on Node",
        at_most: 1.0 / 4.0,
        why: "as above",
        ratio: |round| Some(round.warm("authorizer, new token ES256")? / round.warm("aws-jwt-verify ES256")?),
    },
    Bar {
        what: "authorizer, cold CPU / aws-jwt-verify on Node",
        at_most: 1.0 / 30.0,
        why: "no interpreter to start and nothing to compile",
        ratio: |round| Some(round.cold("authorizer, new token RS256")? / round.cold("aws-jwt-verify RS256")?),
    },
    Bar {
        what: "login, warm CPU / password hash",
        at_most: 1.0 / 0.95,
        why: "a password must cost whoever guesses it, and nothing else may",
        ratio: |round| {
            let hash = round.warm("hello-world + hash")? - round.warm("hello-world")?;
            Some(round.warm("login")? / hash)
        },
    },
    Bar {
        what: "authorizer, peak memory / 10 MB",
        at_most: 1.0,
        why: "far below the smallest function that can be had",
        ratio: |round| {
            Some(round.figure("authorizer, known token RS256", Metric::ColdMemory)? / (10.0 * MEGABYTE))
        },
    },
];

/// Every function's zip, in bytes: a cold start loads it from afar.
const MAX_ZIP: f64 = 3.0 * MEGABYTE;

/// One round's figures.
struct Round<'a> {
    figures: &'a Figures,
    index: usize,
}

impl Round<'_> {
    fn figure(&self, case: &str, metric: Metric) -> Option<f64> {
        self.figures.of(case, metric)?.get(self.index).copied()
    }

    fn warm(&self, case: &str) -> Option<f64> {
        self.figure(case, Metric::WarmCpu)
    }

    fn cold(&self, case: &str) -> Option<f64> {
        self.figure(case, Metric::ColdCpu)
    }

    fn signature(&self, algorithm: &str) -> Option<f64> {
        Some(self.warm(&format!("hello-world + signature {algorithm}"))? - self.warm("hello-world")?)
    }

    fn token(&self, algorithm: &str) -> Option<f64> {
        let floor = self.warm("hello-world + read")? + self.signature(algorithm)?;
        Some(self.warm(&format!("token {algorithm}"))? / floor)
    }

    fn cold_token(&self, algorithm: &str) -> Option<f64> {
        let floor = 3.0 * self.cold("hello-world")? + self.signature(algorithm)?;
        Some(self.cold(&format!("token {algorithm}"))? / floor)
    }
}

/// A bar and what was found.
pub struct Verdict {
    pub what: String,
    pub at_most: f64,
    pub why: &'static str,
    pub found: Summary,
}

impl Verdict {
    pub fn holds(&self) -> bool {
        self.found.median <= self.at_most
    }
}

/// Judges what was measured. A bar about something that wasn't is left out.
pub fn judge(figures: &Figures, rounds: usize, functions: &BTreeMap<&'static str, Artifact>) -> Vec<Verdict> {
    let ratios = BARS.iter().filter_map(|bar| {
        let ratios: Option<Vec<f64>> =
            (0..rounds).map(|index| (bar.ratio)(&Round { figures, index })).collect();
        let found = summary(&ratios?);
        Some(Verdict { what: bar.what.to_owned(), at_most: bar.at_most, why: bar.why, found })
    });
    let zips = functions.iter().map(|(name, artifact)| {
        let ratio = artifact.zipped as f64 / MAX_ZIP;
        Verdict {
            what: format!("{name}, zip / 3 MB"),
            at_most: 1.0,
            why: "a cold start loads it",
            found: Summary { low: ratio, median: ratio, high: ratio },
        }
    });
    ratios.chain(zips).collect()
}
