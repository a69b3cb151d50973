//! The one mint: every access token is made here.

use crate::aws::Aws;
use crate::config::{ConfigError, Issuer, MAX_ACCESS_TOKEN_TTL, Settings};
use crate::identity::secrets::random_id;
use crate::store::signing_keys::SigningKeys;
use crate::store::signing_secret::SigningSecret;
use crate::store::table::Table;
use crate::store::trust::TrustStore;
use crate::token::claims::AccessClaims;
use crate::token::issue::{Grant, Issued};
use crate::wire::oauth::OAuthError;

/// Makes access tokens.
pub struct Mint {
    keys: SigningKeys,
    issuer: Issuer,
    audiences: Vec<String>,
    ttl: u64,
}

impl Mint {
    /// Reads `SIGNING_SECRET_ID`, `TRUST_REFRESH_SECONDS`, `ISSUER`, `AUDIENCE` and
    /// `ACCESS_TOKEN_TTL_SECONDS`.
    pub fn from_settings(settings: &Settings, aws: &Aws, table: &Table) -> Result<Self, ConfigError> {
        let secret = SigningSecret::new(aws.secrets_manager(), settings.signing_secret_id()?);
        Ok(Self {
            keys: SigningKeys::new(secret, TrustStore::new(table.clone()), settings.trust_refresh()?),
            issuer: settings.issuer()?,
            audiences: settings.audiences()?,
            ttl: settings.access_token_ttl()?,
        })
    }

    /// Opens the connections and loads the signing keys, so that the first request need not wait for them. A
    /// failure is left to that request, which will try again.
    pub async fn warm_up(&self, now: u64) {
        let _ = self.keys.current(now).await;
    }

    /// How old the keys are that it signs with, in seconds.
    pub fn keys_age(&self, now: u64) -> Option<u64> {
        self.keys.age(now)
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
            audience: grant.audience,
            client_id: grant.client_id,
            issued_at: now,
            // Whatever the table holds, no token outlives its revocation or its token family.
            expires_at: (now + grant.ttl.unwrap_or(self.ttl).min(MAX_ACCESS_TOKEN_TTL))
                .min(grant.ends_at.unwrap_or(u64::MAX)),
            token_id: random_id(""),
            scopes: grant.scopes,
            session_id: grant.session_id,
            confirmation: grant.confirmation,
            username: grant.username,
            email: grant.email,
            custom: grant.custom,
        };
        Issued::sign(&key, claims).map_err(OAuthError::unavailable)
    }
}
