//! The DynamoDB table and its items, one file each kind. No rule and no cache.

pub mod api_keys;
pub mod attempts;
pub mod clients;
pub mod identities;
pub mod rate_limits;
pub mod replay;
pub mod table;
pub mod token_families;
pub mod users;
