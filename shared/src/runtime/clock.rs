//! Reads the clock. All other code takes `now` as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

/// The current time, in seconds since 1970-01-01T00:00:00Z.
///
/// A clock before 1970 reads as 0. Every token is then issued in the future and rejected.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}
