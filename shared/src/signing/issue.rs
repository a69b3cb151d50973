//! The content of an access token, and the issued token.

use std::collections::BTreeMap;

use lambda_http::http::StatusCode;
use lambda_http::{Body, Response};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::identity::refresh_token::RefreshToken;
use crate::jose::confirmation::Confirmation;
use crate::oauth::error::OAuthError;
use crate::oauth::response::json_response;
use crate::oauth::scope::Scopes;
use crate::oauth::token_response::TokenResponse;
use crate::runtime::call::Call;
use crate::runtime::response::{error_response, log_record};
use crate::runtime::telemetry::{LogRecord, Outcome, RequestLog};
use crate::signing::private_key::{BadKey, PrivateKey};
use crate::trust::access_token::AccessClaims;

/// The content of an access token.
pub struct AccessTokenSpec {
    /// `sub`
    pub subject: String,
    /// `client_id`
    pub client_id: String,
    /// `aud`
    pub audience: String,
    /// The granted scopes.
    pub scopes: Scopes,
    /// Lifetime in seconds. None for the default.
    pub ttl: Option<u64>,
    /// `sid`
    pub session_id: Option<String>,
    /// When the token family ends, in seconds since 1970. The token expires by then.
    pub ends_at: Option<u64>,
    /// `cnf`
    pub confirmation: Confirmation,
    /// `preferred_username`
    pub username: Option<String>,
    /// `email`
    pub email: Option<String>,
    /// Custom claims.
    pub custom: BTreeMap<String, String>,
}

/// An issued token.
pub struct IssuedToken {
    access_token: SecretString,
    /// Its claims.
    pub claims: AccessClaims,
    /// The refresh token that is issued with it.
    pub refresh_token: Option<RefreshToken>,
    /// The `issued_token_type` of a token exchange.
    pub issued_token_type: Option<&'static str>,
}

impl IssuedToken {
    /// Signs the claims.
    pub fn sign(key: &PrivateKey, claims: AccessClaims) -> Result<Self, BadKey> {
        let access_token = key.sign("at+jwt", &claims.to_json())?;
        Ok(Self { access_token, claims, refresh_token: None, issued_token_type: None })
    }

    /// The token response (RFC 6749 §5.1).
    pub fn response(&self) -> TokenResponse<'_> {
        TokenResponse {
            access_token: self.access_token.expose_secret(),
            token_type: self.claims.confirmation.token_type(),
            expires_in: self.claims.expires_at - self.claims.issued_at,
            scope: self.claims.scopes.to_claim(),
            refresh_token: self.refresh_token.as_ref().map(secrecy::ExposeSecret::expose_secret),
            issued_token_type: self.issued_token_type,
        }
    }

    /// The token response as JSON.
    pub fn to_json(&self) -> Value {
        json!(self.response())
    }
}

/// Writes the answer to a request for a token, and one line about it into the log.
pub fn token_response(
    request_log: &RequestLog<'_>,
    call: Call<'_>,
    result: Result<IssuedToken, OAuthError>,
    body: impl FnOnce(&IssuedToken) -> Value,
) -> Response<Body> {
    match result {
        Ok(issued) => {
            let claims = &issued.claims;
            let (sub, client_id, jti) =
                (Some(&*claims.subject), Some(&*claims.client_id), Some(&*claims.token_id));
            request_log.log(&LogRecord { sub, client_id, jti, ..log_record(Outcome::Issued, call) });
            json_response(StatusCode::OK, &body(&issued))
        }
        Err(error) => error_response(request_log, call, error),
    }
}
