//! Shared by both measurements: the binaries, a local stack, the resource usage of a process, statistics and tables.

pub mod artifact;
pub mod stack;
pub mod stats;
pub mod table;
pub mod usage;
