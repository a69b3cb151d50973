//! Grants: what a caller shows, and what it gets for it.
//!
//! Each takes the same steps: who is it, what may it have, what does it ask for, and then the mint.

#[cfg(feature = "signing")]
pub mod client_auth;
#[cfg(feature = "signing")]
pub mod client_credentials;
#[cfg(all(feature = "signing", feature = "passwords"))]
pub mod password;
#[cfg(feature = "signing")]
pub mod response;

/// The `client_id` of tokens that people get by signing in here. No client can have this name.
pub const FIRST_PARTY: &str = "latchkey";
