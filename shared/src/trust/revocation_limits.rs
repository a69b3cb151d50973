//! Revocations by callers. The trust snapshot stores them one by one, up to a limit for each subject and client and a
//! limit for all, because every authorizer loads the snapshot and no caller must be able to fill it.

use crate::identity::subjects::is_user_subject;
use crate::store::clients::Quota;
use crate::store::rate_limits::{Charge, RateLimits};
use crate::store::table::{StoreError, Table};
use crate::store::token_families::Family;
use crate::trust::store::TrustStore;

/// Stored revocations of one user's tokens from one client.
const MAX_OF_USER: Quota = Quota { tokens: 100, seconds: 86_400 };
/// Stored revocations of one client's own tokens. A client may revoke each token after its use.
const MAX_OF_CLIENT: Quota = Quota { tokens: 1000, seconds: 86_400 };
/// Stored revocations of all callers. Over the limit, one mark revokes all tokens of a subject from a client.
/// Invariant: a snapshot of twice as many, which two windows can fill, loads within a cold start.
const MAX_TOTAL: Quota = Quota { tokens: 5000, seconds: 86_400 };
/// Name of the counter of all revocations. The names of other counters contain a `#`.
const ALL: &str = "all";

/// Subject and client of revoked tokens.
#[derive(Clone, Copy)]
pub struct Granted<'a> {
    /// `sub`
    pub subject: &'a str,
    /// `client_id`
    pub client_id: &'a str,
}

impl<'a> Granted<'a> {
    /// The tokens of a family.
    pub fn of_family(family: &'a Family) -> Self {
        Self { subject: &family.sub, client_id: &family.client_id }
    }
}

/// The revocations and their counters.
#[derive(Clone)]
pub struct Revocations {
    trust: TrustStore,
    counts: RateLimits,
}

impl Revocations {
    /// The revocations of this table.
    pub fn new(table: Table) -> Self {
        Self { trust: TrustStore::new(table.clone()), counts: RateLimits::for_revocations(table) }
    }

    /// Revokes the access tokens of a token family.
    pub async fn session(&self, of: Granted<'_>, session_id: &str, now: u64) -> Result<(), StoreError> {
        if self.count_or_revoke_all(of, session_id, now).await? {
            return Ok(());
        }
        self.trust.revoke_session(session_id, now).await
    }

    /// Revokes one access token, which expires at `expires_at`.
    pub async fn token(
        &self,
        of: Granted<'_>,
        token_id: &str,
        expires_at: u64,
        now: u64,
    ) -> Result<(), StoreError> {
        if self.count_or_revoke_all(of, token_id, now).await? {
            return Ok(());
        }
        self.trust.revoke_token(token_id, expires_at).await
    }

    /// Counts a revocation. Over the limit, one mark revokes all tokens that the client got for the subject until now,
    /// including this second, and this revocation is not stored. Tokens of other clients and of other subjects are not
    /// affected.
    async fn count_or_revoke_all(&self, of: Granted<'_>, what: &str, now: u64) -> Result<bool, StoreError> {
        let Granted { subject, client_id } = of;
        let quota = if is_user_subject(subject) { MAX_OF_USER } else { MAX_OF_CLIENT };
        // A repeated revocation is not counted again.
        let counted = self.counts.charge(&format!("{subject}#{client_id}"), what, quota, now).await?;
        if counted == Charge::Allowed
            && self.counts.charge(ALL, what, MAX_TOTAL, now).await? == Charge::Allowed
        {
            return Ok(false);
        }
        self.trust.revoke_earlier_at_client(subject, client_id, now + 1).await?;
        Ok(true)
    }
}
