//! Runs `whoami` on Lambda.

use lambda_http::Error;
use shared::runtime::serve;
use whoami::{Deps, handle};

fn main() -> Result<(), Error> {
    // It has no connection to open and no key to load.
    serve("whoami", Deps::from_settings, async |_, _| {}, handle)
}
