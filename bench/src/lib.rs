//! What both measurements need: the binaries, and a local stack to measure against.

pub mod artifact;
pub mod stack;
