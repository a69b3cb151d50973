//! The first random number of a process, which is part of every cold start.
//!
//! Built without `AWS_LC_SYS_NO_JITTER_ENTROPY` (`.cargo/config.toml`), aws-lc gathers entropy from the
//! CPU's timing first: 30 to 60 ms, and ten times that at the CPU share of a small function.

use std::env;
use std::process::Command;
use std::time::{Duration, Instant};

/// With the variable it takes about 24 µs.
const LIMIT: Duration = Duration::from_millis(2);

/// A busy machine may delay one process, but not all of these.
const PROCESSES: usize = 10;

#[test]
#[ignore = "run by the test below in a separate process"]
fn time_of_the_first_random_number() {
    let start = Instant::now();
    aws_lc_rs::rand::fill(&mut [0; 32]).expect("random bytes");
    println!("took {} ns", start.elapsed().as_nanos());
}

#[test]
fn the_first_random_number_costs_under_two_milliseconds() {
    let fresh = || {
        let mut process = Command::new(env::current_exe().expect("this test's path"));
        process.args([
            "--exact",
            "time_of_the_first_random_number",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ]);
        let output = process.output().expect("a fresh process");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let (_, rest) = text.split_once("took ").expect("the time that it took");
        let (nanoseconds, _) = rest.split_once(" ns").expect("a unit");
        Duration::from_nanos(nanoseconds.parse().expect("a number"))
    };
    let best = (0..PROCESSES).map(|_| fresh()).min().expect("a process");
    assert!(best < LIMIT, "{best:?}");
}
