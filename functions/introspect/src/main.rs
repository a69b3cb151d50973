//! Runs `introspect` on Lambda.

use introspect::{Deps, handle};
use lambda_http::Error;
use shared::runtime::serve;

fn main() -> Result<(), Error> {
    serve("introspect", Deps::from_settings, Deps::warm_up, handle)
}
