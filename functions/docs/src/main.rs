//! Runs `docs` on Lambda.

use docs::{Deps, handle};
use lambda_http::Error;
use shared::config::Settings;
use shared::telemetry;
use shared::wire::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::install("docs");
    let deps = Deps::from_settings(&Settings::from_process())?;
    lambda::run(async |request| handle(&deps, &request)).await
}
