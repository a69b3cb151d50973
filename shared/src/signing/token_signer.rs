//! The token signer. It issues every access token.

use crate::identity::secrets::random_id;
use crate::oauth::error::OAuthError;
use crate::runtime::aws::Aws;
use crate::runtime::call::Call;
use crate::runtime::settings::{ConfigError, Issuer, MAX_ACCESS_TOKEN_TTL, Settings};
use crate::signing::issue::{AccessTokenSpec, IssuedToken};
use crate::signing::signing_keys::SigningKeys;
use crate::signing::signing_secret::SigningSecret;
use crate::store::table::Table;
use crate::trust::access_token::AccessClaims;
use crate::trust::store::TrustStore;

/// Issues access tokens.
pub struct TokenSigner {
    keys: SigningKeys,
    issuer: Issuer,
    audiences: Vec<String>,
    ttl: u64,
}

impl TokenSigner {
    /// Reads `SIGNING_SECRET_ID`, `TRUST_REFRESH_SECONDS`, `ISSUER`, `AUDIENCE` and `ACCESS_TOKEN_TTL_SECONDS`.
    pub fn from_settings(settings: &Settings, aws: &Aws, table: &Table) -> Result<Self, ConfigError> {
        let secret = SigningSecret::new(aws.secrets_manager(), settings.signing_secret_id()?);
        Ok(Self {
            keys: SigningKeys::new(secret, TrustStore::new(table.clone()), settings.trust_refresh()?),
            issuer: settings.issuer()?,
            audiences: settings.audiences()?,
            ttl: settings.access_token_ttl()?,
        })
    }

    /// Opens the connections and loads the signing keys before the first request. If this fails, the first request
    /// loads them.
    pub async fn warm_up(&self, now: u64) {
        let _ = self.keys.current(now).await;
    }

    /// Age of the cached signing keys, in seconds.
    pub fn keys_age(&self, now: u64) -> Option<u64> {
        self.keys.age(now)
    }

    /// The issuer of the tokens.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The audiences of this deployment. The first one is the default.
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// Issues a token as specified.
    pub async fn issue(&self, spec: AccessTokenSpec, call: Call<'_>) -> Result<IssuedToken, OAuthError> {
        let now = call.now;
        let key = self.keys.current(now).await?;
        let issuer = self.issuer.of_call(call)?;
        let claims = AccessClaims {
            issuer: issuer.into_owned(),
            subject: spec.subject,
            audience: spec.audience,
            client_id: spec.client_id,
            issued_at: now,
            // Whatever lifetime the table has, a token must not outlive its revocation or its token family.
            expires_at: (now + spec.ttl.unwrap_or(self.ttl).min(MAX_ACCESS_TOKEN_TTL))
                .min(spec.ends_at.unwrap_or(u64::MAX)),
            token_id: random_id(""),
            scopes: spec.scopes,
            session_id: spec.session_id,
            confirmation: spec.confirmation,
            username: spec.username,
            email: spec.email,
            custom: spec.custom,
        };
        IssuedToken::sign(&key, claims).map_err(OAuthError::unavailable)
    }
}
