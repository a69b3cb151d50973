//! Fuzz targets for the code that reads untrusted input.
//!
//! A target is a function that takes any bytes and panics when an invariant is violated. `cargo fuzz` runs it through
//! `fuzz_targets/`. `cargo test` runs it on the seeds, which include inputs that once failed.

pub mod access_token;
pub mod api_key;
pub mod basic;
pub mod event;
pub mod form;
pub mod json_body;
pub mod jwks;
pub mod proof;
pub mod request;
mod signer;
pub mod template;
mod text;
mod world;

/// A fuzz target.
pub struct Target {
    /// The name in `fuzz_targets/`.
    pub name: &'static str,
    /// Panics when an invariant is violated.
    pub run: fn(&[u8]),
    /// More folders with seeds beside `fuzz/seeds/NAME`, relative to the repository's root.
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

/// The time of the targets without stores, in seconds since 1970.
pub const NOW: u64 = 1_800_000_000;
