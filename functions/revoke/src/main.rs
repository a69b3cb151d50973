//! Runs `revoke` on Lambda.

use lambda_http::Error;
use revoke::{Deps, handle};
use shared::runtime::serve;

fn main() -> Result<(), Error> {
    serve("revoke", Deps::from_settings, Deps::warm_up, handle)
}
