//! Measures the functions as they are deployed: the real release binaries, in a stand-in for the Lambda
//! Runtime API, against a local stack, beside a hello-world on the same runtime.
//!
//! `docs/benchmarks.md` shows what comes out.

mod bars;
mod case;
mod instructions;
mod measure;
mod page;
mod peers;
mod process;
mod results;
mod runtime_api;
mod tables;

use std::collections::BTreeMap;
use std::process::ExitCode;

use bench::artifact::Artifact;
use bench::stack::Stack;
use bench::{artifact, stack};
use clap::{Args, Parser};

use self::case::Case;
use self::results::{COUNTS, Counts, Run, TIMES};

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

/// The binaries of `floor`.
const FLOOR: [&str; 6] = ["hello", "http", "read", "sign", "verify", "hash"];

/// The algorithms whose tokens are measured.
const ALGORITHMS: [&str; 2] = ["RS256", "ES256"];

/// Measure the functions beside a hello-world
///
/// The exit status is 1 when a ratio is exceeded, and 2 when a tool is missing.
#[derive(Parser)]
enum Command {
    /// Count instructions with valgrind, and check the ratios that must hold
    Count(Selection),
    /// Measure times and memory
    Time {
        /// How often everything is measured
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
    /// Measure other people's ways to do the same too, from npm and PyPI; needs Node 20 and Python 3.11
    #[arg(long)]
    peers: bool,
    /// Store the results under bench/results; needs --peers and all functions
    #[arg(long, requires = "peers")]
    save: bool,
    /// The functions to build and measure; `token` always is
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
    if let Err(missing) = instructions::look().and_then(|()| selection.look()) {
        return Ok(needs(&missing));
    }
    let mut bench = Bench::prepare(selection)?;
    bench.cases.retain(|case| case.beside.is_none() || case.name == bars::PEER);
    let functions = bench.artifacts.iter().filter(|(name, _)| FUNCTIONS.contains(name));
    let counts = Counts {
        run: Run::now()?,
        cases: instructions::count(&bench.cases, &bench.stacks)?,
        zips: functions.map(|(name, artifact)| ((*name).to_owned(), artifact.zipped)).collect(),
    };
    selection.save(COUNTS, &counts)?;
    print(tables::of_counts(&counts));
    let all_hold = bars::bars(&counts).iter().all(bars::Bar::holds);
    Ok(if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn time(selection: &Selection, rounds: usize) -> anyhow::Result<ExitCode> {
    if let Err(missing) = selection.look() {
        return Ok(needs(&missing));
    }
    let bench = Bench::prepare(selection)?;
    let times = measure::run(&bench.cases, &bench.stacks, rounds)?;
    selection.save(TIMES, &times)?;
    print(tables::of_times(&times));
    Ok(ExitCode::SUCCESS)
}

fn needs(missing: &str) -> ExitCode {
    eprintln!("bench: {missing}");
    ExitCode::from(2)
}

fn print(tables: Vec<tables::Named>) {
    for (_, table) in tables {
        println!("{table}\n");
    }
}

impl Selection {
    /// Looks for the tools that the peers need. The error names the missing one.
    fn look(&self) -> Result<(), String> {
        if self.peers { peers::look() } else { Ok(()) }
    }

    fn save(&self, file: &str, figures: &impl serde::Serialize) -> anyhow::Result<()> {
        if self.save { results::save(file, figures) } else { Ok(()) }
    }
}

/// Everything built and started.
struct Bench {
    artifacts: BTreeMap<&'static str, Artifact>,
    stacks: Vec<(&'static str, Stack)>,
    cases: Vec<Case>,
}

impl Bench {
    fn prepare(selection: &Selection) -> anyhow::Result<Self> {
        let wanted = |function: &&str| match *function {
            // It makes the tokens.
            "token" => true,
            // The peers are given the keys that it publishes.
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
            functions.iter().chain(&FLOOR).map(built).collect::<Result<_, _>>()?;
        let started = |algorithm| anyhow::Ok((algorithm, Stack::start(&latchkey, algorithm)?));
        let stacks: Vec<(&str, Stack)> = ALGORITHMS.into_iter().map(started).collect::<Result<_, _>>()?;
        let mut cases = case::all(&artifacts, &stacks)?;
        if selection.peers {
            cases.extend(peers::cases(&artifacts["discovery"], &stacks)?);
        }
        Ok(Self { artifacts, stacks, cases })
    }
}
