//! Hello world with one signature.

use aws_lc_rs::rand::SystemRandom;
use floor::SigningKey;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let (key, random) = (&SigningKey::from_environment()?, &SystemRandom::new());
    run(service_fn(async |event: LambdaEvent<Value>| {
        std::hint::black_box(key.sign(random));
        Ok::<_, Error>(event.payload)
    }))
    .await
}
