//! The parts of a call by themselves, without runtime, store and log: `cargo bench -p bench`.

use criterion::{criterion_group, criterion_main};

// The authorizer keeps these to itself. Their tests are no business of this program's.
#[allow(dead_code, unused_imports, reason = "only some of it is measured")]
#[path = "../../../functions/authorizer/src/event.rs"]
mod event;
#[path = "../../../functions/authorizer/src/headers.rs"]
mod headers;
#[allow(dead_code, unused_imports, reason = "as above")]
#[path = "../../../functions/authorizer/src/routes.rs"]
mod routes;

mod parse;
mod policy;
mod sign;
mod token;
mod verify;

criterion_group!(parts, verify::measure, sign::measure, parse::measure, policy::measure);
criterion_main!(parts);
