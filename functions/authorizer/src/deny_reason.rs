//! Why a call is denied: a fixed set of words for the log.

use shared::jose::jwt::JwtError;

/// The reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenyReason {
    /// There is no credential.
    MissingToken,
    /// The credential is malformed or unknown, or there are two.
    InvalidToken,
    /// The credential has expired.
    TokenExpired,
    /// The signature is not from one of our keys.
    InvalidSignature,
    /// The token is for another issuer or audience, or lacks a claim.
    InvalidClaims,
    /// The scopes do not open the route.
    InsufficientScope,
    /// The credential is revoked, or its subject or client is.
    Revoked,
    /// The credential can't be checked: keys or store are out of reach.
    KeysUnavailable,
}

impl DenyReason {
    /// The word in the log.
    pub fn code(self) -> &'static str {
        match self {
            Self::MissingToken => "missing_token",
            Self::InvalidToken => "invalid_token",
            Self::TokenExpired => "token_expired",
            Self::InvalidSignature => "invalid_signature",
            Self::InvalidClaims => "invalid_claims",
            Self::InsufficientScope => "insufficient_scope",
            Self::Revoked => "revoked",
            Self::KeysUnavailable => "keys_unavailable",
        }
    }
}

impl From<JwtError> for DenyReason {
    fn from(error: JwtError) -> Self {
        match error {
            JwtError::Malformed | JwtError::InvalidHeader(_) => Self::InvalidToken,
            JwtError::UnknownKey | JwtError::InvalidSignature => Self::InvalidSignature,
            JwtError::Expired => Self::TokenExpired,
            JwtError::InvalidClaim(_) => Self::InvalidClaims,
        }
    }
}
