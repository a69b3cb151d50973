//! Sign-in by password: hashes, their imports, the password policy and the attempt limits.

pub mod hash;
pub mod sign_in;
