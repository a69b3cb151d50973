//! Runs `google` on Lambda.

use google::{Deps, handle};
use lambda_http::Error;
use shared::runtime::serve;

fn main() -> Result<(), Error> {
    serve("google", Deps::from_settings, Deps::warm_up, handle)
}
