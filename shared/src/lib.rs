//! What Latchkey's functions have in common.
//!
//! Imports run one way: `wire`, `identity`, `config`, `bounded`, `cache`, `clock`, `https` ← `aws`, `telemetry`, `token` ←
//! `store` ← `grants` ← the functions. A test holds the layering.

pub mod aws;
pub mod bounded;
pub mod cache;
pub mod clock;
pub mod config;
pub mod grants;
pub mod https;
pub mod identity;
pub mod store;
pub mod telemetry;
pub mod token;
pub mod wire;
