//! The bars of `RELIABILITY.md` that hold inside a process. Those that are about a whole process stand with
//! its binary, in `functions/*/tests/faults.rs`.

mod black_hole;
mod clocks;
mod flows;
mod google;
mod lost_answers;
mod secrets_manager;
mod throttles;
