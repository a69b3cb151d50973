//! Measures the functions as they are deployed: the real release binaries, in a stand-in for the Lambda
//! Runtime API, against a local stack, beside a hello-world on the same runtime.
//!
//! `BENCHMARKS.md` says what comes out and what to make of it.

mod bars;
mod case;
mod instructions;
mod measure;
mod memory;
mod peers;
mod process;
mod report;
mod runtime_api;

use std::collections::BTreeMap;
use std::process::ExitCode;

use bench::artifact::Artifact;
use bench::stack::Stack;
use bench::{artifact, stack};
use clap::Parser;

use self::report::Report;

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
const FLOOR: [&str; 4] = ["hello", "read", "sign", "hash"];

/// The algorithms whose tokens are measured.
const ALGORITHMS: [&str; 2] = ["RS256", "ES256"];

/// Measure the functions beside a hello-world: a table on standard error, JSON on standard output.
///
/// The exit status is 1 when a stated ratio is exceeded, and 2 when something is missing to measure with.
#[derive(Parser)]
struct Args {
    /// How often everything is measured; 0 with `--instructions` to count and nothing else
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Count instructions too, with valgrind
    #[arg(long)]
    instructions: bool,
    /// Measure other people's ways to do the same too, from npm and PyPI; needs Node 20 and Python 3.11
    #[arg(long)]
    peers: bool,
    /// The functions to build and measure; `token` always is
    #[arg(default_values = FUNCTIONS, value_parser = FUNCTIONS)]
    functions: Vec<String>,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let peers = if args.peers { peers::look() } else { Ok(()) };
    let valgrind = if args.instructions { instructions::look() } else { Ok(()) };
    if let Err(missing) = peers.and(valgrind) {
        eprintln!("bench: {missing}");
        return Ok(ExitCode::from(2));
    }
    // One makes the tokens, the other says which keys they are signed with.
    let needed = |name: &str| name == "token" || args.peers && name == "discovery";
    let wanted = |name: &&&str| needed(name) || args.functions.iter().any(|function| function == **name);
    let functions: Vec<&str> = FUNCTIONS.iter().filter(wanted).copied().collect();
    let latchkey = artifact::latchkey()?;
    for package in functions.iter().chain(&["floor"]) {
        artifact::build(package, "release")?;
    }
    let of = |name: &&'static str| Ok::<_, anyhow::Error>((*name, Artifact::of(name)?));
    let artifacts: BTreeMap<_, _> =
        FUNCTIONS.iter().filter(wanted).chain(&FLOOR).map(of).collect::<Result<_, _>>()?;
    let stacks: Vec<(&str, Stack)> = ALGORITHMS
        .into_iter()
        .map(|algorithm| Ok::<_, anyhow::Error>((algorithm, Stack::start(&latchkey, algorithm)?)))
        .collect::<Result<_, _>>()?;
    let mut cases = case::all(&artifacts, &stacks)?;
    if args.peers {
        cases.extend(peers::cases(&artifacts["discovery"], &stacks)?);
    }
    let figures = measure::run(&cases, &stacks, args.rounds)?;
    let instructions =
        if args.instructions { instructions::count(&cases, &stacks)? } else { BTreeMap::new() };

    let deployed = artifacts
        .iter()
        .filter(|(name, _)| FUNCTIONS.contains(name))
        .map(|(name, artifact)| (*name, artifact.clone()))
        .collect();
    let verdicts = bars::judge(&figures, args.rounds, &instructions, &deployed);
    let report = Report {
        cases: &cases,
        figures: &figures,
        artifacts: &artifacts,
        verdicts: &verdicts,
        instructions: &instructions,
    };
    eprintln!("\n{}\n", report.table());
    println!("{:#}", report.json());
    let all_hold = verdicts.iter().all(bars::Verdict::holds);
    Ok(if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
