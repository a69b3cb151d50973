//! Runs `token` on Lambda.

use lambda_http::Error;
use shared::runtime::serve;
use token::{Deps, handle};

fn main() -> Result<(), Error> {
    serve("token", Deps::from_settings, Deps::warm_up, handle)
}
