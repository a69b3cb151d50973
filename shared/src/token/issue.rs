//! The one mint: every access token is made here.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::claims::AccessClaims;
use super::confirmation::Confirmation;
use super::private_key::PrivateKey;
use super::signing_keys::{SigningKeys, SigningSecret};
use crate::aws::Aws;
use crate::config::{ConfigError, Issuer, MAX_ACCESS_TOKEN_TTL, Settings};
use crate::identity::refresh_tokens::RefreshToken;
use crate::identity::secrets::random_id;
use crate::wire::oauth::OAuthError;
use crate::wire::scope::Scopes;

/// What is granted, and to whom.
pub struct Grant {
    /// `sub`
    pub subject: String,
    /// `client_id`
    pub client_id: String,
    /// `aud`; none for the default.
    pub audience: Option<String>,
    /// The scopes granted.
    pub scopes: Scopes,
    /// Life of the token in seconds; none for the default.
    pub ttl: Option<u64>,
    /// `sid`
    pub session_id: Option<String>,
    /// `cnf`
    pub confirmation: Confirmation,
    /// `preferred_username`
    pub username: Option<String>,
    /// `email`
    pub email: Option<String>,
    /// The subject's own claims.
    pub custom: BTreeMap<String, String>,
}

/// A token that was made.
pub struct Issued {
    access_token: SecretString,
    /// What it says.
    pub claims: AccessClaims,
    /// The refresh token that comes with it.
    pub refresh_token: Option<RefreshToken>,
}

impl Issued {
    /// The token response of RFC 6749 §5.1.
    pub fn to_json(&self) -> Value {
        let mut response = json!({
            "access_token": self.access_token.expose_secret(),
            "token_type": self.claims.confirmation.token_type(),
            "expires_in": self.claims.expires_at - self.claims.issued_at,
            "scope": self.claims.scopes.to_string(),
        });
        if let Some(refresh_token) = &self.refresh_token {
            response["refresh_token"] = refresh_token.expose_secret().into();
        }
        response
    }
}

/// Makes access tokens.
pub struct Mint {
    keys: SigningKeys,
    issuer: Issuer,
    audiences: Vec<String>,
    ttl: u64,
}

impl Mint {
    /// Reads `SIGNING_SECRET_ID`, `ISSUER`, `AUDIENCE` and `ACCESS_TOKEN_TTL_SECONDS`.
    pub fn from_settings(settings: &Settings, aws: &Aws) -> Result<Self, ConfigError> {
        Ok(Self {
            keys: SigningKeys::new(SigningSecret::new(aws.secrets_manager(), settings.signing_secret_id()?)),
            issuer: settings.issuer()?,
            audiences: settings.audiences()?,
            ttl: settings.access_token_ttl()?,
        })
    }

    /// Loads the signing keys, so that the first request need not wait for them. A failure is left to
    /// that request, which will try again.
    pub async fn warm_up(&self, now: u64) {
        let _ = self.keys.current(now).await;
    }

    /// Whose tokens these are.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The audiences of this deployment; the first is the default.
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// Signs a token for a grant. `domain` is the one that the request came in on.
    pub async fn issue(&self, grant: Grant, domain: Option<&str>, now: u64) -> Result<Issued, OAuthError> {
        let key = self.keys.current(now).await.map_err(OAuthError::unavailable)?;
        let issuer =
            self.issuer.resolve(domain).ok_or_else(|| OAuthError::unavailable("the issuer is not known"))?;
        let claims = AccessClaims {
            issuer: issuer.into_owned(),
            subject: grant.subject,
            audience: grant.audience.or_else(|| self.audiences.first().cloned()).unwrap_or_default(),
            client_id: grant.client_id,
            issued_at: now,
            // Whatever stands in the table, no token outlives its revocation.
            expires_at: now + grant.ttl.unwrap_or(self.ttl).min(MAX_ACCESS_TOKEN_TTL),
            token_id: random_id(""),
            scopes: grant.scopes,
            session_id: grant.session_id,
            confirmation: grant.confirmation,
            username: grant.username,
            email: grant.email,
            custom: grant.custom,
        };
        let access_token = sign(&key, &claims)?;
        Ok(Issued { access_token, claims, refresh_token: None })
    }
}

fn sign(key: &PrivateKey, claims: &AccessClaims) -> Result<SecretString, OAuthError> {
    key.sign("at+jwt", &claims.to_json()).map_err(OAuthError::unavailable)
}
