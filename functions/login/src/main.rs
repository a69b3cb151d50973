//! Runs `login` on Lambda.

use lambda_http::Error;
use login::{Deps, handle};
use shared::runtime::serve;

fn main() -> Result<(), Error> {
    serve("login", Deps::from_settings, Deps::warm_up, handle)
}
