//! What the caller shows: a bearer token or an API key, and never both.

use secrecy::SecretString;
use shared::oauth::credentials::scheme;

use crate::event::Event;
use crate::reason::Reason;

/// A credential that nobody has checked yet.
pub enum Credential {
    /// `Authorization: Bearer …` (RFC 6750 §2.1).
    Bearer(SecretString),
    /// `Authorization: DPoP …` (RFC 9449 §7.1).
    Dpop(SecretString),
    /// `x-api-key: …`.
    ApiKey(SecretString),
}

impl Credential {
    /// The one credential in the event.
    pub fn presented(event: &Event) -> Result<Self, Reason> {
        if let Some(token) = event.token() {
            // A TOKEN authorizer may read either header; a bearer token says what it is.
            return Ok(Self::authorization(token).unwrap_or_else(|| Self::ApiKey(token.into())));
        }
        let (authorization, api_key) = (one(event.header("authorization"))?, one(event.header("x-api-key"))?);
        match (authorization, api_key) {
            (None, None) => Err(Reason::MissingToken),
            (Some(value), None) => Self::authorization(value).ok_or(Reason::InvalidToken),
            (None, Some(key)) => Ok(Self::ApiKey(key.into())),
            (Some(_), Some(_)) => Err(Reason::InvalidToken),
        }
    }

    /// The scheme, in any case, one blank or more, the token.
    fn authorization(value: &str) -> Option<Self> {
        let (scheme, token) = scheme(value)?;
        if scheme.eq_ignore_ascii_case("bearer") {
            Some(Self::Bearer(token.into()))
        } else if scheme.eq_ignore_ascii_case("dpop") {
            Some(Self::Dpop(token.into()))
        } else {
            None
        }
    }
}

/// A header that stands once. Two are two answers to one question: neither is believed.
pub fn one(values: Vec<&str>) -> Result<Option<&str>, Reason> {
    match values.as_slice() {
        [] | [""] => Ok(None),
        [value] => Ok(Some(value)),
        _ => Err(Reason::InvalidToken),
    }
}
