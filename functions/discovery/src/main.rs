//! Runs `discovery` on Lambda.

use discovery::{Deps, handle};
use lambda_http::Error;
use shared::runtime::{clock, serve};

fn main() -> Result<(), Error> {
    let start = async |settings: &_| {
        let deps = Deps::from_settings(settings)?;
        deps.warm_up(clock::now()).await;
        Ok(deps)
    };
    serve("discovery", start, handle)
}
