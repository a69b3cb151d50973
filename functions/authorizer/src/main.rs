//! Runs `authorizer` on Lambda.

// The SDK's futures nest deeper than the compiler's default.
#![recursion_limit = "256"]

use authorizer::{Deps, handle};
use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use shared::runtime::lambda::Event;
use shared::runtime::settings::Settings;
use shared::runtime::{clock, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::install("authorizer");
    let deps = &Deps::from_settings(&Settings::from_process())?;
    deps.warm_up(clock::now()).await;
    // `lambda_runtime::run` would wrap every call in spans, which nothing here records.
    let handler = service_fn(async |event: LambdaEvent<Event<_>>| {
        handle(deps, event.payload.0, clock::now()).await.map_err(Error::from)
    });
    Runtime::new(handler).run().await
}
