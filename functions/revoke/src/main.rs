//! Runs `revoke` on Lambda.

use lambda_http::Error;
use revoke::{Deps, handle};
use shared::config::Settings;
use shared::wire::lambda;
use shared::{clock, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::install("revoke");
    let deps = Deps::from_settings(&Settings::from_process())?;
    deps.warm_up(clock::now()).await;
    lambda::run(|request| handle(&deps, request, clock::now())).await
}
