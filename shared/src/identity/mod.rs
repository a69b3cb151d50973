//! Who somebody is: the passwords of people and the secrets of machines.

#[cfg(feature = "passwords")]
pub mod passwords;
pub mod refresh_tokens;
pub mod secrets;
pub mod subjects;
