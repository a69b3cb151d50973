//! What the caller shows: a bearer token or an API key, and never both.

use secrecy::SecretString;

use crate::event::Event;
use crate::reason::Reason;

/// A credential that nobody has checked yet.
pub enum Credential {
    /// `Authorization: Bearer …` (RFC 6750 §2.1).
    Bearer(SecretString),
    /// `x-api-key: …`.
    ApiKey(SecretString),
}

impl Credential {
    /// The one credential in the event.
    pub fn presented(event: &Event) -> Result<Self, Reason> {
        if let Some(token) = event.token() {
            // A TOKEN authorizer may read either header; a bearer token says what it is.
            return bearer(token)
                .map_or_else(|| Ok(Self::ApiKey(token.into())), |token| Ok(Self::Bearer(token)));
        }
        let (authorization, api_key) = (one(event.header("authorization"))?, one(event.header("x-api-key"))?);
        match (authorization, api_key) {
            (None, None) => Err(Reason::MissingToken),
            (Some(value), None) => bearer(value).map(Self::Bearer).ok_or(Reason::InvalidToken),
            (None, Some(key)) => Ok(Self::ApiKey(key.into())),
            (Some(_), Some(_)) => Err(Reason::InvalidToken),
        }
    }
}

/// A header that stands once. Two are two answers to one question: neither is believed.
fn one(values: Vec<&str>) -> Result<Option<&str>, Reason> {
    match values.as_slice() {
        [] | [""] => Ok(None),
        [value] => Ok(Some(value)),
        _ => Err(Reason::InvalidToken),
    }
}

/// `Bearer`, in any case, one blank, the token.
fn bearer(value: &str) -> Option<SecretString> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.into())
}
