//! Token families: a sign-in begins one, each refresh rotates its token, and reuse or revocation ends it.

mod begin;
mod refresh;
mod sign_in;

use crate::oauth::error::OAuthError;
use crate::runtime::aws::Aws;
use crate::runtime::settings::{ConfigError, Settings};
use crate::signing::token_signer::TokenSigner;
use crate::store::replay::ReplayStore;
use crate::store::table::Table;
use crate::store::token_families::{Life, TokenFamilies};
use crate::store::users::Users;
use crate::trust::proof_of_possession::Possession;
use crate::trust::revocation_limits::Revocations;

pub use self::refresh::RefreshRequest;
pub use self::sign_in::{RefreshPolicy, SignedIn, TokenRequest};

/// Begins token families and refreshes their tokens.
pub struct Sessions {
    families: TokenFamilies,
    users: Users,
    revocations: Revocations,
    replay_store: ReplayStore,
    signer: TokenSigner,
    life: Life,
}

impl Sessions {
    /// Reads `REFRESH_TOKEN_TTL_SECONDS` and `REFRESH_TOKEN_IDLE_SECONDS`, and the settings of the [`TokenSigner`].
    pub fn from_settings(settings: &Settings, aws: &Aws, table: &Table) -> Result<Self, ConfigError> {
        Ok(Self {
            families: TokenFamilies::new(table.clone()),
            users: Users::new(table.clone()),
            revocations: Revocations::new(table.clone()),
            replay_store: ReplayStore::new(table.clone()),
            signer: TokenSigner::from_settings(settings, aws, table)?,
            life: Life::from_settings(settings)?,
        })
    }

    /// Signs the access tokens.
    pub fn signer(&self) -> &TokenSigner {
        &self.signer
    }

    /// Records that the request's proof of possession was used.
    ///
    /// # Errors
    /// A proof that was used before.
    pub async fn record_use(&self, possession: &Possession) -> Result<(), OAuthError> {
        possession.record_use(&self.replay_store).await
    }

    /// When a family that is used now ends unless it is used again.
    fn idle_end(&self, ends_at: u64, now: u64) -> u64 {
        ends_at.min(now.saturating_add(self.life.idle))
    }
}
