//! Runs `docs` on Lambda.

use docs::{Deps, handle};
use lambda_http::Error;
use shared::runtime::serve;

fn main() -> Result<(), Error> {
    serve("docs", async |settings| Deps::from_settings(settings), handle)
}
