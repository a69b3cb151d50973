//! Sign-in by a trusted issuer: its configuration, its claim rules, the verification of its tokens, and the users who
//! are linked to it.

mod audience;
mod claim_rule;
pub mod identity;
mod issuer;
pub mod issuers;
pub mod sign_in;
