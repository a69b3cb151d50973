//! Puts a whole local stack under load: what a token costs it, whether it keeps its pace and its memory, and
//! whether a flood of logins slows down everybody else.
//!
//! `docs/reliability.md` says what comes out and what to make of it.

mod bars;
mod callers;
mod drive;
mod figures;
mod report;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bench::artifact;
use bench::stack::Stack;
use bench::usage::Usage;
use clap::Parser;

use self::callers::Callers;
use self::figures::Found;

/// The cheaper signature: with the dearer one there is less to see of everything else.
const ALGORITHM: &str = "ES256";

/// Put `latchkey dev` under load: a table on standard error, JSON on standard output.
///
/// The exit status is 1 when a bar is missed.
#[derive(Parser)]
struct Args {
    /// How long the mixed load lasts; the other two parts take as long again, and a minute
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let latchkey = artifact::fast_latchkey()?;
    let stack = Stack::start(&latchkey, ALGORITHM)?;
    let usage = Usage::of(stack.pid());
    let whole = Duration::from_secs(args.seconds.into());
    // One thread: two would leave nothing of a small machine to what is measured.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let found: Found = runtime.block_on(async {
        let callers = Arc::new(Callers::new(&latchkey, &stack).await?);
        let tokens = drive::tokens(&callers, &usage, whole / 6).await?;
        // Before the mixed load, which is about what stays the same: the allocator has seen the worst then.
        let overload = drive::overload(&callers, &usage, whole).await?;
        let mixed = drive::mixed(&callers, &usage, whole).await?;
        anyhow::Ok(Found { tokens, mixed, overload })
    })?;
    let verdicts = bars::judge(&found);
    eprintln!("\n{}\n", report::table(&found, &verdicts));
    println!("{:#}", report::json(&verdicts));
    let all_hold = verdicts.iter().all(bars::Verdict::holds);
    Ok(if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
