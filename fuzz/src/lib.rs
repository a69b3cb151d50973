//! What reads input from outside, fed with whatever a fuzzer thinks of.
//!
//! A target is a function that takes any bytes and panics when something does not hold that must. `cargo
//! fuzz` drives it through `fuzz_targets/`; `cargo test` feeds it the seeds, so that what was found once
//! stays found.

pub mod access_token;
pub mod api_key;
pub mod basic;
pub mod event;
mod forge;
pub mod form;
pub mod json_body;
pub mod jwks;
pub mod proof;
pub mod request;
pub mod template;
mod text;
mod world;

/// A target: its name, what it does with any bytes, and the folders with its seeds.
pub struct Target {
    /// As in `fuzz_targets/`.
    pub name: &'static str,
    /// Panics when something does not hold.
    pub run: fn(&[u8]),
    /// Beside `fuzz/seeds/NAME`; from the top of the tree.
    pub recorded: &'static [&'static str],
}

/// Every target.
pub const TARGETS: [Target; 10] = [
    target("access_token", access_token::run),
    target("api_key", api_key::run),
    target("basic", basic::run),
    Target { recorded: &["events/authorizer"], ..target("event", event::run) },
    target("form", form::run),
    target("json_body", json_body::run),
    target("jwks", jwks::run),
    target("proof", proof::run),
    Target {
        recorded: &["events/google", "events/introspect", "events/login", "events/revoke", "events/token"],
        ..target("request", request::run)
    },
    target("template", template::run),
];

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run, recorded: &[] }
}

/// What the clock says, in seconds since 1970, where a target needs no store.
pub const NOW: u64 = 1_800_000_000;
