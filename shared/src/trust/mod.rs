//! What verifiers read: the key schedule, revocations and their limits, the snapshot of both with its cache, and the
//! validation of access tokens and proofs of possession.

pub mod access_token;
pub mod cache;
pub mod key_schedule;
pub mod proof_of_possession;
pub mod published_keys;
pub mod revocation_limits;
mod revocations;
mod signature_cache;
pub mod snapshot;
pub mod store;
