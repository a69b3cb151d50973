//! Puts a local stack under load: the cost of a token, constant speed and memory under a mixed load, and the effect of
//! too many logins on other requests.
//!
//! `docs/reliability.md` has the results.

mod callers;
mod drive;
mod figures;
mod report;
mod thresholds;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bench::artifact;
use bench::stack::Stack;
use bench::usage::Usage;
use clap::Parser;

use self::callers::Callers;
use self::figures::Results;
use self::thresholds::Threshold;

/// The cheaper signature, so that it doesn't dominate the figures.
const ALGORITHM: &str = "ES256";

/// Put `latchkey dev` under load and print the results
///
/// The exit status is 1 when a threshold is exceeded.
#[derive(Parser)]
struct Args {
    /// Duration of the mixed load; the other two parts take as long, and a minute more
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let latchkey = artifact::fast_latchkey()?;
    let stack = Stack::start(&latchkey, ALGORITHM)?;
    let usage = Usage::of(stack.pid());
    let whole = Duration::from_secs(args.seconds.into());
    // One thread, because two would occupy all cores of a small machine.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let results: Results = runtime.block_on(async {
        let callers = Arc::new(Callers::new(&latchkey, &stack).await?);
        let tokens = drive::tokens(&callers, &usage, whole / 6).await?;
        // Before the mixed load, so that the allocator's peak is not within it.
        let overload = drive::overload(&callers, &usage, whole).await?;
        let mixed = drive::mixed(&callers, &usage, whole).await?;
        anyhow::Ok(Results { tokens, mixed, overload })
    })?;
    let thresholds = thresholds::all(&results);
    println!("{}", report::tables(&results, &thresholds));
    let all_hold = thresholds.iter().all(Threshold::holds);
    Ok(if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
