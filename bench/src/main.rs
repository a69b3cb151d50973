//! Measures the release binaries of the functions in an emulator of the Lambda Runtime API, against a local stack and
//! beside a hello-world on the same runtime.
//!
//! `docs/benchmarks.md` has the results.

mod case;
mod instructions;
mod measure;
mod page;
mod peers;
mod process;
mod results;
mod runtime_api;
mod tables;
mod thresholds;

use std::collections::BTreeMap;
use std::process::ExitCode;

use bench::artifact::Artifact;
use bench::stack::Stack;
use bench::{artifact, stack};
use clap::{Args, Parser};

use self::case::Case;
use self::results::{COUNTS, Counts, Run, TIMES};
use self::thresholds::Threshold;

/// The functions.
const FUNCTIONS: [&str; 10] = [
    "authorizer",
    "discovery",
    "docs",
    "google",
    "introspect",
    "login",
    "revoke",
    "rotation",
    "token",
    "whoami",
];

/// The baselines: binaries of the crate `floor`.
const BASELINES: [&str; 6] = ["hello", "http", "read", "sign", "verify", "hash"];

/// The signing algorithms that are measured.
const ALGORITHMS: [&str; 2] = ["RS256", "ES256"];

/// Measure the functions beside a hello-world
///
/// The exit status is 1 when a ratio is exceeded, and 2 when a tool is missing.
#[derive(Parser)]
enum Command {
    /// Count instructions with valgrind and check the thresholds
    Count(Selection),
    /// Measure times and memory
    Time {
        /// Number of rounds
        #[arg(long, default_value_t = 15)]
        rounds: usize,
        #[command(flatten)]
        selection: Selection,
    },
    /// Write the tables of docs/benchmarks.md from bench/results
    Page,
}

#[derive(Args)]
struct Selection {
    /// Also measure peers from npm and PyPI; needs Node 20 and Python 3.11
    #[arg(long)]
    peers: bool,
    /// Store the results under bench/results; needs --peers and all functions
    #[arg(long, requires = "peers")]
    save: bool,
    /// The functions to build and measure, beside `token`
    #[arg(default_values = FUNCTIONS, value_parser = FUNCTIONS, conflicts_with = "save")]
    functions: Vec<String>,
}

fn main() -> anyhow::Result<ExitCode> {
    match Command::parse() {
        Command::Count(selection) => count(&selection),
        Command::Time { rounds, selection } => time(&selection, rounds),
        Command::Page => page::write().map(|()| ExitCode::SUCCESS),
    }
}

fn count(selection: &Selection) -> anyhow::Result<ExitCode> {
    if let Err(missing) = instructions::check_tools().and_then(|()| selection.check_tools()) {
        return Ok(missing_tool(&missing));
    }
    let mut bench = Bench::prepare(selection)?;
    bench.cases.retain(|case| case.compared_with.is_none() || case.name == thresholds::PEER);
    let functions = bench.artifacts.iter().filter(|(name, _)| FUNCTIONS.contains(name));
    let counts = Counts {
        run: Run::now()?,
        cases: instructions::count(&bench.cases, &bench.stacks)?,
        zips: functions.map(|(name, artifact)| ((*name).to_owned(), artifact.zipped)).collect(),
    };
    selection.save(COUNTS, &counts)?;
    print(tables::of_counts(&counts));
    let all_hold = thresholds::all(&counts).iter().all(Threshold::holds);
    Ok(if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn time(selection: &Selection, rounds: usize) -> anyhow::Result<ExitCode> {
    if let Err(missing) = selection.check_tools() {
        return Ok(missing_tool(&missing));
    }
    let bench = Bench::prepare(selection)?;
    let times = measure::run(&bench.cases, &bench.stacks, rounds)?;
    selection.save(TIMES, &times)?;
    print(tables::of_times(&times));
    Ok(ExitCode::SUCCESS)
}

fn missing_tool(missing: &str) -> ExitCode {
    eprintln!("bench: {missing}");
    ExitCode::from(2)
}

fn print(tables: Vec<tables::Named>) {
    for (_, table) in tables {
        println!("{table}\n");
    }
}

impl Selection {
    /// Checks that the tools of the peers are installed. The error names the missing one.
    fn check_tools(&self) -> Result<(), String> {
        if self.peers { peers::check_tools() } else { Ok(()) }
    }

    fn save(&self, file: &str, figures: &impl serde::Serialize) -> anyhow::Result<()> {
        if self.save { results::save(file, figures) } else { Ok(()) }
    }
}

/// The binaries, the running stacks and the cases.
struct Bench {
    artifacts: BTreeMap<&'static str, Artifact>,
    stacks: Vec<(&'static str, Stack)>,
    cases: Vec<Case>,
}

impl Bench {
    fn prepare(selection: &Selection) -> anyhow::Result<Self> {
        let wanted = |function: &&str| match *function {
            // Issues the tokens.
            "token" => true,
            // The peers get its public keys.
            "discovery" if selection.peers => true,
            name => selection.functions.iter().any(|function| function == name),
        };
        let functions: Vec<&'static str> = FUNCTIONS.into_iter().filter(wanted).collect();
        let latchkey = artifact::latchkey()?;
        for package in functions.iter().chain(&["floor"]) {
            artifact::build(package, "release")?;
        }
        let built = |name: &&'static str| anyhow::Ok((*name, Artifact::of(name)?));
        let artifacts: BTreeMap<_, _> =
            functions.iter().chain(&BASELINES).map(built).collect::<Result<_, _>>()?;
        let started = |algorithm| anyhow::Ok((algorithm, Stack::start(&latchkey, algorithm)?));
        let stacks: Vec<(&str, Stack)> = ALGORITHMS.into_iter().map(started).collect::<Result<_, _>>()?;
        let mut cases = case::all(&artifacts, &stacks)?;
        if selection.peers {
            cases.extend(peers::cases(&artifacts["discovery"], &stacks)?);
        }
        Ok(Self { artifacts, stacks, cases })
    }
}
