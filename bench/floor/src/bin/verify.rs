//! Hello world with one verification by a parsed key.

use aws_lc_rs::rand::SystemRandom;
use floor::{MESSAGE, SigningKey};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let key = SigningKey::from_environment()?;
    let (public_key, signature) = (&key.public_key()?, &key.sign(&SystemRandom::new()));
    run(service_fn(async |event: LambdaEvent<Value>| {
        public_key.verify_sig(&MESSAGE, signature).map_err(|_| "invalid signature")?;
        Ok::<_, Error>(event.payload)
    }))
    .await
}
