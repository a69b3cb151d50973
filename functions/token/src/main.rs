//! Runs `token` on Lambda.

use lambda_http::Error;
use shared::runtime::{clock, serve};
use token::{Deps, handle};

fn main() -> Result<(), Error> {
    let start = async |settings: &_| {
        let deps = Deps::from_settings(settings)?;
        deps.warm_up(clock::now()).await;
        Ok(deps)
    };
    serve("token", start, handle)
}
