//! Parses the command line and runs the command. Exit status: 0 done, 1 failed, 2 usage.

use std::process::ExitCode;
use std::thread::available_parallelism;

use clap::Parser;
use latchkey::Cli;
use latchkey::style::Style;
use tokio::runtime::Builder;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = Builder::new_multi_thread().enable_all().max_blocking_threads(hashes_at_once()).build();
    match runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(cli.run())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("{} {error:#}", Style::Bad.paint("latchkey:"));
            ExitCode::FAILURE
        }
    }
}

/// The number of passwords that `latchkey dev` hashes at once. In Lambda each sign-in has its own instance. Here all
/// share one machine, so one core stays free, and the 19 MB of a hash are allocated a few times at most. The attempt
/// limit of the one address bounds the number of sign-ins that wait.
fn hashes_at_once() -> usize {
    available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1))
}
