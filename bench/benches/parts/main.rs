//! The parts of a call by themselves, without runtime, store and log: `cargo bench -p bench`.

use criterion::{criterion_group, criterion_main};

mod parse;
mod policy;
mod sign;
mod token;
mod verify;

criterion_group!(parts, verify::measure, sign::measure, parse::measure, policy::measure);
criterion_main!(parts);
