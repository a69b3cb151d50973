//! Revocations that callers ask for. The trust bundle keeps each by itself, up to a number for each subject:
//! every authorizer reads the bundle again and again, and nobody may fill it by signing in and out.

use super::clients::Quota;
use super::quotas::{Charge, Quotas};
use super::table::{StoreError, Table};
use super::trust::TrustStore;
use crate::identity::subjects::is_person;

/// How many are kept of one person.
const OF_A_USER: Quota = Quota { tokens: 100, seconds: 86_400 };
/// How many are kept of one client. Somebody registered it; and it may well revoke each token after its use.
const OF_A_CLIENT: Quota = Quota { tokens: 1000, seconds: 86_400 };

/// The trust bundle, and the count of what is in it.
#[derive(Clone)]
pub struct Revocations {
    trust: TrustStore,
    counts: Quotas,
}

impl Revocations {
    /// In this table.
    pub fn new(table: Table) -> Self {
        Self { trust: TrustStore::new(table.clone()), counts: Quotas::of_revocations(table) }
    }

    /// Revokes every token of a subject's sign-in.
    pub async fn session(&self, subject: &str, session_id: &str, now: u64) -> Result<(), StoreError> {
        if self.is_one_too_many(subject, session_id, now).await? {
            return Ok(());
        }
        self.trust.revoke_session(session_id, now).await
    }

    /// Revokes one token of a subject's, which expires then.
    pub async fn token(
        &self,
        subject: &str,
        token_id: &str,
        expires_at: u64,
        now: u64,
    ) -> Result<(), StoreError> {
        if self.is_one_too_many(subject, token_id, now).await? {
            return Ok(());
        }
        self.trust.revoke_token(token_id, expires_at).await
    }

    /// Counts one more. When there are too many to keep each, all that the subject got until now, this second
    /// included, is refused by one mark, and nothing needs to be kept of this one.
    async fn is_one_too_many(&self, subject: &str, what: &str, now: u64) -> Result<bool, StoreError> {
        let quota = if is_person(subject) { OF_A_USER } else { OF_A_CLIENT };
        // The same one again is not counted again.
        if self.counts.charge(subject, what, quota, now).await? == Charge::Counted {
            return Ok(false);
        }
        self.trust.refuse_earlier(subject, now + 1).await?;
        Ok(true)
    }
}
