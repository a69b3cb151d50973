//! Why a call was denied: a fixed set of words for the log.

use shared::jose::jwt::JwtError;

/// The reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No credential at all.
    MissingToken,
    /// A credential that can't be read, that nobody has, or two of them.
    InvalidToken,
    /// Its time is over.
    TokenExpired,
    /// The signature is not of one of our keys.
    InvalidSignature,
    /// It was not made for us.
    InvalidClaims,
    /// It does not open this route.
    InsufficientScope,
    /// It, or whoever it belongs to, was shut out.
    Revoked,
    /// It can't be judged: keys or store are out of reach.
    KeysUnavailable,
}

impl Reason {
    /// The word in the log.
    pub fn word(self) -> &'static str {
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

impl From<JwtError> for Reason {
    fn from(error: JwtError) -> Self {
        match error {
            JwtError::Malformed | JwtError::InvalidHeader(_) => Self::InvalidToken,
            JwtError::UnknownKey | JwtError::InvalidSignature => Self::InvalidSignature,
            JwtError::Expired => Self::TokenExpired,
            JwtError::InvalidClaim(_) => Self::InvalidClaims,
        }
    }
}
