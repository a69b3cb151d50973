//! Private keys, the signing secret, key rotation and the token signer. Only functions that sign or rotate link this module.

pub mod issue;
pub mod private_key;
pub mod rotation;
pub mod signing_keys;
pub mod signing_secret;
pub mod token_signer;
