//! Sessions: what follows from a person's sign-in, and how long it goes on.

use crate::config::{ConfigError, Settings};
use crate::grants::mint::Mint;
use crate::identity::refresh_tokens::RefreshToken;
use crate::identity::secrets::random_id;
use crate::store::accounts::Account;
use crate::store::refresh::{Families, Family, Life};
use crate::store::table::Table;
use crate::token::confirmation::Confirmation;
use crate::token::issue::{Grant, Issued};
use crate::wire::oauth::OAuthError;
use crate::wire::scope::Scopes;

/// Somebody who has just shown who they are.
pub struct SignedIn {
    /// The user.
    pub account: Account,
    /// The address that goes into the token.
    pub email: Option<String>,
    /// The scopes that this sign-in may have.
    pub scopes: Scopes,
    /// Who vouched for them, if it was not a password.
    pub issuer: Option<String>,
}

/// On what terms somebody gets tokens.
pub struct Terms {
    /// The client that they are issued to.
    pub client_id: String,
    /// Which audience.
    pub audience: String,
    /// Which scopes.
    pub scopes: Scopes,
    /// Life of the access token in seconds, if not the default.
    pub ttl: Option<u64>,
    /// What the access token is bound to.
    pub confirmation: Confirmation,
    /// Whether there is a refresh token, and the key that it is bound to.
    pub refresh: Refresh,
}

/// The token family that an access token is of.
pub struct InFamily {
    /// `sid`
    pub session_id: String,
    /// When the family ends at the latest: its access tokens end by then too.
    pub ends_at: u64,
}

/// Whether a sign-in can be refreshed.
pub enum Refresh {
    /// It can't.
    Never,
    /// By the client, which authenticates itself and must still be that of this epoch.
    ByClient {
        /// The client's epoch.
        epoch: String,
    },
    /// By the bearer of the token: first-party sign-in.
    ByBearer,
    /// By whoever proves to hold this key too (RFC 9449 §5).
    ByKey(String),
}

impl Refresh {
    /// For a public client: bound to the key that it has proved to hold, if it has.
    pub fn for_public_client(key: Option<String>) -> Self {
        key.map_or(Self::ByBearer, Self::ByKey)
    }
}

/// Begins sessions.
pub struct Sessions {
    families: Families,
    life: Life,
}

impl Sessions {
    /// Reads `REFRESH_TOKEN_TTL_SECONDS` and `REFRESH_TOKEN_IDLE_SECONDS`.
    pub fn from_settings(settings: &Settings, table: &Table) -> Result<Self, ConfigError> {
        Ok(Self { families: Families::new(table.clone()), life: Life::from_settings(settings)? })
    }

    /// The families of refresh tokens.
    pub fn families(&self) -> &Families {
        &self.families
    }

    /// How long they last.
    pub fn life(&self) -> Life {
        self.life
    }

    /// From when a family that is used now is dead unless it is used again.
    pub fn idle_end(&self, ends_at: u64, now: u64) -> u64 {
        ends_at.min(now.saturating_add(self.life.idle))
    }

    /// The tokens that a sign-in gets.
    pub async fn begin(
        &self,
        signed_in: SignedIn,
        terms: Terms,
        mint: &Mint,
        domain: Option<&str>,
        now: u64,
    ) -> Result<Issued, OAuthError> {
        let bound = match &terms.refresh {
            Refresh::Never => None,
            Refresh::ByClient { epoch } => Some((epoch.clone(), None)),
            Refresh::ByBearer => Some((String::new(), None)),
            Refresh::ByKey(key) => Some((String::new(), Some(key.clone()))),
        };
        let (Some(ttl), Some((client_epoch, key))) = (self.life.ttl, bound) else {
            return mint.issue(grant(signed_in.account, signed_in.email, terms, None), domain, now).await;
        };
        let (first, session_id) = (RefreshToken::first(), random_id(""));
        let family = Family {
            session_id: session_id.clone(),
            client_id: terms.client_id.clone(),
            username: signed_in.account.username.clone(),
            sub: signed_in.account.sub.clone(),
            epoch: signed_in.account.epoch.clone(),
            issuer: signed_in.issuer,
            scopes: terms.scopes.clone(),
            audience: Some(terms.audience.clone()),
            client_epoch: Some(client_epoch),
            email: signed_in.email.clone(),
            created_at: Some(now),
            key,
            current: first.digest().clone(),
            previous: None,
            salt: None,
            rotated_at: now,
            ends_at: now.saturating_add(ttl),
            expires_at: self.idle_end(now.saturating_add(ttl), now),
            revoked: false,
        };
        let in_family = InFamily { session_id, ends_at: family.ends_at };
        let grant = grant(signed_in.account, signed_in.email, terms, Some(in_family));
        let mut issued = mint.issue(grant, domain, now).await?;
        self.families.create(first.family(), &family).await.map_err(OAuthError::unavailable)?;
        issued.refresh_token = Some(first);
        Ok(issued)
    }
}

/// What a person's access token is to say.
pub fn grant(account: Account, email: Option<String>, terms: Terms, in_family: Option<InFamily>) -> Grant {
    let (session_id, ends_at) = in_family.map(|family| (family.session_id, family.ends_at)).unzip();
    Grant {
        subject: account.sub,
        client_id: terms.client_id,
        audience: terms.audience,
        scopes: terms.scopes,
        ttl: terms.ttl,
        session_id,
        ends_at,
        confirmation: terms.confirmation,
        username: Some(account.username),
        email,
        custom: Default::default(),
    }
}
