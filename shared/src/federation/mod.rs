//! Sign-in by a trusted issuer: its configuration, its claim rules, the verification of its tokens, and the users who
//! are linked to it.

pub mod issuers;
pub mod sign_in;
