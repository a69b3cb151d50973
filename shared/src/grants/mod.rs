//! The grants of the token endpoint, one file each.

pub mod client_credentials;
pub mod token_exchange;
