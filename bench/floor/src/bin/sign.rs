//! Hello world that makes one signature. Its key is made at start, for RSA by trial: what it costs until then
//! says nothing.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;

/// About as long as the part of a token that is signed.
const MESSAGE: [u8; 400] = [b'A'; 400];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let random = SystemRandom::new();
    let sign: Box<dyn Fn() -> Vec<u8> + Send + Sync> = match std::env::var("SIGNING_ALGORITHM")?.as_str() {
        "RS256" => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048)?;
            Box::new(move || {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, &MESSAGE, &mut signature).expect("a signature");
                signature
            })
        }
        "ES256" => {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
            Box::new(move || pair.sign(&random, &MESSAGE).expect("a signature").as_ref().to_vec())
        }
        _ => {
            let pair = Ed25519KeyPair::generate()?;
            Box::new(move || pair.sign(&MESSAGE).as_ref().to_vec())
        }
    };
    let sign = &sign;
    run(service_fn(async |event: LambdaEvent<Value>| {
        std::hint::black_box(sign());
        Ok::<_, Error>(event.payload)
    }))
    .await
}
