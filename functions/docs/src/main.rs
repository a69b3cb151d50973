//! Runs `docs` on Lambda.

use docs::{Deps, handle};
use lambda_http::Error;
use shared::runtime::serve;

fn main() -> Result<(), Error> {
    // It has no connection to open and no key to load.
    serve("docs", Deps::from_settings, async |_, _| {}, handle)
}
