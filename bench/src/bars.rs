//! What must hold, each as a ratio within one run: absolute times are the machine's, ratios are ours.

use std::collections::BTreeMap;

use crate::ALGORITHMS;
use crate::artifact::Artifact;
use crate::instructions::Instructions;
use crate::measure::{Figures, Metric, Summary, summary};

/// A bar.
struct Bar<R> {
    what: &'static str,
    at_most: f64,
    /// Where the figure comes from.
    why: &'static str,
    ratio: R,
}

const MEGABYTE: f64 = 1e6;

type Ratio = fn(&Round<'_>) -> Option<f64>;
/// Of what is signed with an algorithm.
type SigningRatio = fn(&Round<'_>, &str) -> Option<f64>;

const BARS: [Bar<Ratio>; 7] = [
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
        what: "authorizer, peak memory after its warm calls / 10 MB",
        at_most: 1.0,
        why: "far below the smallest function that can be had",
        ratio: |round| {
            Some(round.figure("authorizer, new token RS256", Metric::WarmMemory)? / (10.0 * MEGABYTE))
        },
    },
];

/// The same for each algorithm.
const BARS_OF_AN_ALGORITHM: [Bar<SigningRatio>; 3] = [
    Bar {
        what: "token, warm CPU / (hello-world + read + signature)",
        at_most: 1.25,
        why: "that is what no token endpoint with a store can do without",
        ratio: |round, algorithm| {
            let floor = round.warm("hello-world + read")? + round.signature(algorithm)?;
            Some(round.warm(&format!("token {algorithm}"))? / floor)
        },
    },
    Bar {
        what: "token, cold CPU / (3 hello-worlds + signature)",
        at_most: 1.0,
        why: "two clients of AWS, a read with each, a key",
        ratio: |round, algorithm| {
            let floor = 3.0 * round.cold("hello-world")? + round.signature(algorithm)?;
            Some(round.cold(&format!("token {algorithm}"))? / floor)
        },
    },
    Bar {
        what: "authorizer, new token, warm CPU / aws-jwt-verify on Node",
        at_most: 1.0 / 4.0,
        why: "AWS's own verifier, its keys built in, with no answer to who was revoked",
        ratio: |round, algorithm| {
            let theirs = round.warm(&format!("aws-jwt-verify {algorithm}"))?;
            Some(round.warm(&format!("authorizer, new token {algorithm}"))? / theirs)
        },
    },
];

type RatioOfCounts = fn(&Counted<'_>) -> Option<f64>;

/// The same in instructions, which are counted alike on a machine that is busy: what was counted when each was
/// set, and a twentieth. Valgrind's processor is older than yours, so these are other ratios than those above.
const BARS_OF_COUNTS: [Bar<RatioOfCounts>; 6] = [
    Bar {
        what: "authorizer, new token RS256, warm instructions / hello-world",
        at_most: 2.95,
        why: "as counted: a verification takes more without the instructions that valgrind lacks",
        ratio: |counted| Some(counted.warm("authorizer, new token RS256")? / counted.warm("hello-world")?),
    },
    Bar {
        what: "authorizer, known token RS256, warm instructions / hello-world",
        at_most: 1.07,
        why: "as counted",
        ratio: |counted| Some(counted.warm("authorizer, known token RS256")? / counted.warm("hello-world")?),
    },
    Bar {
        what: "authorizer, API key, warm instructions / hello-world",
        at_most: 0.87,
        why: "as counted",
        ratio: |counted| Some(counted.warm("authorizer, API key")? / counted.warm("hello-world")?),
    },
    Bar {
        what: "authorizer, cold instructions / hello-world",
        at_most: 4.05,
        why: "as counted",
        ratio: |counted| Some(counted.cold("authorizer, known token RS256")? / counted.cold("hello-world")?),
    },
    Bar {
        what: "token ES256, warm instructions / (hello-world + read + signature)",
        at_most: 1.15,
        why: "as counted",
        ratio: |counted| {
            let signature = counted.warm("hello-world + signature ES256")? - counted.warm("hello-world")?;
            Some(counted.warm("token ES256")? / (counted.warm("hello-world + read")? + signature))
        },
    },
    Bar {
        what: "token ES256, cold instructions / hello-world",
        at_most: 11.55,
        why: "as counted",
        ratio: |counted| Some(counted.cold("token ES256")? / counted.cold("hello-world")?),
    },
];

/// Instructions, by case.
struct Counted<'a>(&'a BTreeMap<String, Instructions>);

impl Counted<'_> {
    fn warm(&self, case: &str) -> Option<f64> {
        Some(self.0.get(case)?.warm as f64)
    }

    fn cold(&self, case: &str) -> Option<f64> {
        Some(self.0.get(case)?.cold as f64)
    }
}

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
}

/// A bar and what was found.
pub struct Verdict {
    pub what: String,
    pub at_most: f64,
    pub why: &'static str,
    /// None when it wasn't measured.
    pub found: Option<Summary>,
    /// Whether it was to be measured: then it must have been.
    needed: bool,
}

impl Verdict {
    pub fn holds(&self) -> bool {
        self.found.as_ref().map_or(!self.needed, |found| found.median <= self.at_most)
    }
}

/// Judges what was measured.
pub fn judge(
    figures: &Figures,
    rounds: usize,
    instructions: &BTreeMap<String, Instructions>,
    functions: &BTreeMap<&'static str, Artifact>,
) -> Vec<Verdict> {
    let exactly = |ratio: f64| Summary { low: ratio, median: ratio, high: ratio };
    let found = |ratio: &dyn Fn(&Round<'_>) -> Option<f64>| {
        let ratios = (0..rounds).map(|index| ratio(&Round { figures, index })).collect::<Option<Vec<_>>>();
        ratios.filter(|ratios| !ratios.is_empty()).map(|ratios| summary(&ratios))
    };
    let ratios = BARS.iter().map(|bar| Verdict {
        what: bar.what.to_owned(),
        at_most: bar.at_most,
        why: bar.why,
        found: found(&bar.ratio),
        needed: false,
    });
    let ratios_of_algorithms = BARS_OF_AN_ALGORITHM.iter().flat_map(|bar| {
        ALGORITHMS.map(|algorithm| Verdict {
            what: format!("{}, {algorithm}", bar.what),
            at_most: bar.at_most,
            why: bar.why,
            found: found(&|round| (bar.ratio)(round, algorithm)),
            needed: false,
        })
    });
    // They are about the authorizer and the token function, which is always there.
    let counted = !instructions.is_empty() && functions.contains_key("authorizer");
    let counts = BARS_OF_COUNTS.iter().map(|bar| Verdict {
        what: bar.what.to_owned(),
        at_most: bar.at_most,
        why: bar.why,
        found: (bar.ratio)(&Counted(instructions)).map(exactly),
        needed: counted,
    });
    let zips = functions.iter().map(|(name, artifact)| {
        let ratio = artifact.zipped as f64 / MAX_ZIP;
        Verdict {
            what: format!("{name}, zip / 3 MB"),
            at_most: 1.0,
            why: "a cold start loads it",
            found: Some(exactly(ratio)),
            needed: true,
        }
    });
    ratios.chain(ratios_of_algorithms).chain(counts).chain(zips).collect()
}
