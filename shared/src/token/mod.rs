//! Tokens: their claims, their signatures, and the keys behind them.

pub mod claims;
pub mod confirmation;
pub mod dpop;
#[cfg(test)]
pub(crate) mod forge;
#[cfg(feature = "signing")]
pub mod issue;
#[cfg(feature = "issuers")]
pub mod issuers;
pub mod jwt;
pub mod key;
#[cfg(feature = "issuers")]
pub mod key_set;
pub mod keyring;
#[cfg(feature = "signing")]
pub mod private_key;
#[cfg(feature = "issuers")]
pub mod remote_keys;
