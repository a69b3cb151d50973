//! Revocations that callers ask for. The trust bundle keeps each by itself, up to a number for each subject and
//! client, and up to a number in all: every authorizer loads the bundle again and again, and no caller may fill it.

use crate::identity::subjects::is_user_subject;
use crate::store::clients::Quota;
use crate::store::rate_limits::{Charge, RateLimits};
use crate::store::table::{StoreError, Table};
use crate::store::token_families::Family;
use crate::trust::trust::TrustStore;

/// How many are kept of one user's tokens from one client.
const OF_A_USER: Quota = Quota { tokens: 100, seconds: 86_400 };
/// How many are kept of one client's own tokens: it may well revoke each token after its use.
const OF_A_CLIENT: Quota = Quota { tokens: 1000, seconds: 86_400 };
/// How many are kept in all; then one mark revokes all tokens of a subject from a client. Invariant: a bundle of twice
/// as many, which two windows can fill, loads within a cold start.
const OF_ALL: Quota = Quota { tokens: 5000, seconds: 86_400 };
/// The name of the counter of all revocations. The other names hold a `#`.
const ALL: &str = "all";

/// What is revoked: whose tokens, and from which client.
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

/// The trust bundle, and the count of what is in it.
#[derive(Clone)]
pub struct Revocations {
    trust: TrustStore,
    counts: RateLimits,
}

impl Revocations {
    /// In this table.
    pub fn new(table: Table) -> Self {
        Self { trust: TrustStore::new(table.clone()), counts: RateLimits::for_revocations(table) }
    }

    /// Revokes every token of a token family.
    pub async fn session(&self, of: Granted<'_>, session_id: &str, now: u64) -> Result<(), StoreError> {
        if self.is_one_too_many(of, session_id, now).await? {
            return Ok(());
        }
        self.trust.revoke_session(session_id, now).await
    }

    /// Revokes one token, which expires then.
    pub async fn token(
        &self,
        of: Granted<'_>,
        token_id: &str,
        expires_at: u64,
        now: u64,
    ) -> Result<(), StoreError> {
        if self.is_one_too_many(of, token_id, now).await? {
            return Ok(());
        }
        self.trust.revoke_token(token_id, expires_at).await
    }

    /// Counts one more. When there are too many to keep each, one mark revokes all that the client got for the subject
    /// until now, this second included, and nothing needs to be kept of this one. Tokens of the subject from other
    /// clients, and of the client for other subjects, are not touched.
    async fn is_one_too_many(&self, of: Granted<'_>, what: &str, now: u64) -> Result<bool, StoreError> {
        let Granted { subject, client_id } = of;
        let quota = if is_user_subject(subject) { OF_A_USER } else { OF_A_CLIENT };
        // The same one again is not counted again.
        let counted = self.counts.charge(&format!("{subject}#{client_id}"), what, quota, now).await?;
        if counted == Charge::Allowed && self.counts.charge(ALL, what, OF_ALL, now).await? == Charge::Allowed
        {
            return Ok(false);
        }
        self.trust.revoke_earlier_of_grant(subject, client_id, now + 1).await?;
        Ok(true)
    }
}
