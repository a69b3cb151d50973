//! JSON object signing: JWS, JWK, DPoP proofs and their algorithms (RFC 7515 to 7518, RFC 9449). No IO.

pub mod algorithm;
pub mod confirmation;
pub mod dpop;
pub mod jwt;
pub mod key;
pub mod key_set;
pub mod strict_object;
#[cfg(test)]
pub(crate) mod test_signer;
