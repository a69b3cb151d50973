//! Runs `whoami` on Lambda.

use lambda_http::Error;
use shared::telemetry;
use shared::wire::lambda;
use whoami::handle;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::install("whoami");
    lambda::run(handle).await
}
