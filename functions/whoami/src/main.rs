//! Runs `whoami` on Lambda.

use lambda_http::Error;
use shared::runtime::serve;
use whoami::{Deps, handle};

fn main() -> Result<(), Error> {
    serve("whoami", async |settings| Deps::from_settings(settings), handle)
}
