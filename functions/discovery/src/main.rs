//! Runs `discovery` on Lambda.

use discovery::{Deps, handle};
use lambda_http::Error;
use shared::runtime::serve;

fn main() -> Result<(), Error> {
    serve("discovery", Deps::from_settings, Deps::warm_up, handle)
}
