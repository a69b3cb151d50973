//! Parses the command line, runs the command, and tells how it went by the exit status: 0 done,
//! 1 refused, 2 usage.

use std::process::ExitCode;

use clap::Parser;
use latchkey::Cli;
use latchkey::tone::Tone;

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("{} {error:#}", Tone::Bad.paint("latchkey:"));
            ExitCode::FAILURE
        }
    }
}
