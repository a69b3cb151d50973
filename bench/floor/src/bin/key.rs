//! Prints a new private key of `SIGNING_ALGORITHM` as PKCS #8 in base64. `sign` and `verify` get the key as a setting,
//! because generating an RSA key costs more than what they measure.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pkcs8 = match std::env::var("SIGNING_ALGORITHM")?.as_str() {
        "RS256" => {
            let pair = KeyPair::generate(KeySize::Rsa2048)?;
            AsDer::<Pkcs8V1Der<'_>>::as_der(&pair)?.as_ref().to_vec()
        }
        "ES256" => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())?
            .as_ref()
            .to_vec(),
        other => return Err(format!("SIGNING_ALGORITHM is {other}: RS256 or ES256").into()),
    };
    println!("{}", STANDARD.encode(pkcs8));
    Ok(())
}
