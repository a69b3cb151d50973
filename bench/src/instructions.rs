//! Instruction counts by valgrind, which don't depend on the machine's load.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use anyhow::Context;

use crate::case::{Case, Tokens};
use crate::measure::stack;
use crate::results::Instructions;
use crate::stack::Stack;

/// Warm calls that are counted, after the first call.
const CALLS: usize = 20;

const VALGRIND: &str = "valgrind";

/// Checks that valgrind is installed. The error names it.
pub fn check_tools() -> Result<(), String> {
    let mut command = Command::new(VALGRIND);
    let found = command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if found.is_ok_and(|status| status.success()) { Ok(()) } else { Err(format!("{VALGRIND} is missing")) }
}

/// Counts the instructions of all cases. Needs valgrind.
pub fn count(
    cases: &[Case],
    stacks: &[(&'static str, Stack)],
) -> anyhow::Result<BTreeMap<String, Instructions>> {
    let mut tokens = Tokens::default();
    let mut counts = BTreeMap::new();
    for case in cases {
        eprintln!("counting the instructions of {}", case.name);
        let stack = stack(stacks, case);
        let mut run = |calls| run(case, calls, stack, &mut tokens).with_context(|| case.name.clone());
        let cold = run(1)?;
        let warm = (run(1 + CALLS)?.saturating_sub(cold)) / CALLS as u64;
        counts.insert(case.name.clone(), Instructions { cold, warm });
    }
    Ok(counts)
}

fn run(case: &Case, calls: usize, stack: &Stack, tokens: &mut Tokens) -> anyhow::Result<u64> {
    let folder = tempfile::tempdir()?;
    let profile = folder.path().join("profile");
    let mut under = case.clone();
    let valgrind = [
        VALGRIND.to_owned(),
        "--tool=callgrind".to_owned(),
        // Node compiles code at run time, which valgrind would not notice otherwise.
        "--smc-check=all-non-file".to_owned(),
        format!("--callgrind-out-file={}", profile.display()),
    ];
    under.command.splice(0..0, valgrind);
    let events = under.events(calls, stack, tokens)?;
    let mut process = under.start()?;
    process.ready()?;
    for answer in process.answers(events)? {
        tokens.keep(case.algorithm, &answer.body);
    }
    process.end()?;
    let text = fs::read_to_string(&profile)?;
    let total =
        text.lines().find_map(|line| line.strip_prefix("summary: ").or(line.strip_prefix("totals: ")));
    Ok(total.context("valgrind counted nothing")?.trim().parse()?)
}
