//! What both measurements need: the binaries, a local stack to measure against, what a process uses, and tables.

pub mod artifact;
pub mod stack;
pub mod table;
pub mod usage;
