//! The credential of a call: a bearer token, a DPoP token or an API key.

use secrecy::SecretString;
use shared::oauth::credentials::scheme;

use crate::deny_reason::DenyReason;
use crate::event::AuthorizerEvent;

/// A credential, not verified yet.
pub enum Credential {
    /// `Authorization: Bearer …` (RFC 6750 §2.1).
    Bearer(SecretString),
    /// `Authorization: DPoP …` (RFC 9449 §7.1).
    Dpop(SecretString),
    /// `x-api-key: …`.
    ApiKey(SecretString),
}

impl Credential {
    /// The one credential of the event.
    ///
    /// # Errors
    /// No credential, a malformed one, or two.
    pub fn presented(event: &AuthorizerEvent) -> Result<Self, DenyReason> {
        if let Some(token) = event.token() {
            // A TOKEN authorizer may read either header. Only a token has a scheme.
            return Ok(Self::authorization(token).unwrap_or_else(|| Self::ApiKey(token.into())));
        }
        let authorization = single_header(event, "authorization")?;
        match (authorization, single_header(event, "x-api-key")?) {
            (None, None) => Err(DenyReason::MissingToken),
            (Some(value), None) => Self::authorization(value).ok_or(DenyReason::InvalidToken),
            (None, Some(key)) => Ok(Self::ApiKey(key.into())),
            (Some(_), Some(_)) => Err(DenyReason::InvalidToken),
        }
    }

    /// A scheme in any case, one blank or more, a token.
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

/// The value of a header. An empty one counts as missing.
///
/// # Errors
/// Duplicate headers: the authorizer and the back end might read different ones.
pub fn single_header<'a>(event: &'a AuthorizerEvent, name: &str) -> Result<Option<&'a str>, DenyReason> {
    match header(event, name).as_slice() {
        [] | [""] => Ok(None),
        [value] => Ok(Some(value)),
        _ => Err(DenyReason::InvalidToken),
    }
}

/// All values of a header. Payload 2.0 joins them by commas.
fn header<'a>(event: &'a AuthorizerEvent, name: &str) -> Vec<&'a str> {
    let many = event.multi_value_headers.iter().flat_map(|headers| headers.get(name)).flatten().flatten();
    let many: Vec<&str> = many.map(String::as_str).collect();
    if !many.is_empty() {
        return many;
    }
    let single = event.headers.iter().flat_map(|headers| headers.get(name)).flatten();
    single.map(String::as_str).collect()
}
