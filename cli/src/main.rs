//! Parses the command line, runs the command, and tells how it went by the exit status: 0 done,
//! 1 refused, 2 usage.

use std::process::ExitCode;
use std::thread::available_parallelism;

use clap::Parser;
use latchkey::Cli;
use latchkey::tone::Tone;
use tokio::runtime::Builder;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = Builder::new_multi_thread().enable_all().max_blocking_threads(hashes_at_once()).build();
    match runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(cli.run())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("{} {error:#}", Tone::Bad.paint("latchkey:"));
            ExitCode::FAILURE
        }
    }
}

/// How many passwords are hashed at once; the others wait for their turn. In Lambda each login has an
/// instance to itself, here all share the machine with everything else: a core stays free for that, and the
/// 19 MB of a hash are taken a few times and not a hundred. How many wait is bounded by how many may try from
/// one address.
fn hashes_at_once() -> usize {
    available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1))
}
