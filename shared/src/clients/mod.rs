//! How a client proves who it is: by a secret, an assertion or a certificate.

pub mod assertion;
pub mod authentication;
pub mod remote_keys;
