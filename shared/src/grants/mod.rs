//! Grants: what a caller shows, and what it gets for it.
//!
//! Each takes the same steps: who is it, what may it have, what does it ask for, and then the mint.

#[cfg(feature = "issuers")]
pub mod client_assertion;
#[cfg(feature = "issuers")]
pub mod client_auth;
#[cfg(feature = "signing")]
pub mod client_credentials;
pub mod dpop;
#[cfg(all(feature = "signing", feature = "issuers"))]
pub mod federation;
#[cfg(feature = "signing")]
pub mod mint;
#[cfg(all(feature = "signing", feature = "passwords"))]
pub mod password;
#[cfg(all(feature = "signing", feature = "issuers"))]
pub mod refresh_token;
pub mod requests;
pub mod response;
#[cfg(feature = "signing")]
pub mod sessions;
#[cfg(all(feature = "signing", feature = "issuers"))]
pub mod token_exchange;

pub use crate::identity::subjects::FIRST_PARTY;
