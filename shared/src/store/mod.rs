//! What is remembered: one DynamoDB table, spoken to through the AWS SDK and nothing else.

pub mod api_keys;
pub mod clients;
pub mod identities;
#[cfg(feature = "signing")]
pub mod rotation;
pub mod table;
pub mod trust;
pub mod usernames;
#[cfg(feature = "passwords")]
pub mod users;
