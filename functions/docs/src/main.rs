//! Runs `docs` on Lambda.

use docs::{Deps, handle};
use lambda_http::Error;
use shared::config::Settings;
use shared::wire::lambda;
use shared::{clock, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::install("docs");
    let deps = Deps::from_settings(&Settings::from_process())?;
    lambda::run(|request| handle(&deps, request, clock::now())).await
}
