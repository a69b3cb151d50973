//! Runs `rotation` on Lambda.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use rotation::{Deps, handle};
use shared::runtime::settings::Settings;
use shared::runtime::{clock, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::install("rotation");
    let deps = &Deps::from_settings(&Settings::from_process())?;
    run(service_fn(async |event: LambdaEvent<_>| {
        handle(deps, event.payload, clock::now()).await.map_err(Error::from)
    }))
    .await
}
