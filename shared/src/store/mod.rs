//! What is remembered: one DynamoDB table, spoken to through the AWS SDK and nothing else.

pub mod accounts;
pub mod api_keys;
pub mod attempts;
pub mod clients;
pub mod identities;
pub mod quotas;
pub mod refresh;
pub mod revocations;
#[cfg(feature = "signing")]
pub mod rotation;
pub mod seen;
mod signature_cache;
#[cfg(feature = "signing")]
pub mod signing_keys;
#[cfg(feature = "signing")]
pub mod signing_secret;
pub mod table;
pub mod trust;
pub mod usernames;
#[cfg(feature = "passwords")]
pub mod users;
