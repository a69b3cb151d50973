//! The trust snapshot: the published keys and the revocations at one moment, and the decision on an access token.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::jose::jwt::{JwtError, UnverifiedJwt, VerifiedJwt};
use crate::jose::key::PublicKey;
use crate::jose::strict_object::StrictObject;
use crate::runtime::cache::Unavailable;
use crate::store::table::{Item, StoreError, read};
use crate::trust::access_token::{AccessClaims, Expected, MAX_ACCESS_TOKEN, VerifiedAccessToken};
use crate::trust::key_schedule::{KeySchedule, ScheduledKey};
use crate::trust::published_keys::{KEYS, PublishedKey, PublishedKeys};
use crate::trust::revocations::{Revocation, Revoked};
use crate::trust::store::PARTITION;

/// Why an access token is rejected.
#[derive(Debug, thiserror::Error)]
pub enum TokenRejection {
    /// The token is invalid.
    #[error(transparent)]
    Token(#[from] JwtError),
    /// The token was revoked.
    #[error("token was revoked")]
    Revoked,
    /// The keys or revocations are unavailable.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The trust snapshot.
#[derive(Default)]
pub struct TrustSnapshot {
    keys: HashMap<String, ScheduledKey<Arc<PublicKey>>>,
    subjects: HashMap<String, u64>,
    /// By subject and client.
    grants: HashMap<String, HashMap<String, u64>>,
    sessions: HashSet<String>,
    tokens: HashSet<String>,
    /// Number of revocations.
    pub(super) entries: usize,
}

impl TrustSnapshot {
    /// The key with this id, if its signatures may be accepted now.
    pub fn key(&self, key_id: &str, now: u64) -> Option<&Arc<PublicKey>> {
        self.keys.get(key_id).filter(|scheduled| scheduled.is_trusted(now)).map(|scheduled| &scheduled.key)
    }

    /// Whether tokens of a client or a user, or an API key, with this time of issue are revoked. In seconds since 1970.
    pub fn is_revoked_for(&self, subject: &str, issued_at: u64) -> bool {
        self.subjects.get(subject).is_some_and(|not_before| issued_at < *not_before)
    }

    /// Whether a token is revoked: itself, its token family, its subject, its client, or its subject with its client.
    pub fn is_revoked(&self, claims: &AccessClaims) -> bool {
        let AccessClaims { subject, client_id, issued_at, .. } = claims;
        let of_grant = self.grants.get(subject).and_then(|clients| clients.get(client_id));
        self.is_revoked_for(subject, *issued_at)
            || (client_id != subject && self.is_revoked_for(client_id, *issued_at))
            || of_grant.is_some_and(|not_before| issued_at < not_before)
            || claims.session_id.as_ref().is_some_and(|session| self.sessions.contains(session))
            || self.tokens.contains(&claims.token_id)
    }

    /// Accepts a valid access token: signed by a published key, with the expected claims, and not revoked. It verifies
    /// the signature in every call. [`TrustCache::accept`](crate::trust::cache::TrustCache::accept) uses the signature cache.
    pub fn accept(
        &self,
        jwt: UnverifiedJwt<'_>,
        expected: &Expected<'_>,
        now: u64,
    ) -> Result<VerifiedAccessToken, TokenRejection> {
        let key = self.key_of(&jwt, now)?;
        self.accept_verified(&jwt.verify(key)?, expected, now)
    }

    /// The key of a token, if its signatures may be accepted now.
    pub(super) fn key_of(&self, jwt: &UnverifiedJwt<'_>, now: u64) -> Result<&Arc<PublicKey>, JwtError> {
        jwt.key_id().and_then(|key_id| self.key(key_id, now)).ok_or(JwtError::UnknownKey)
    }

    /// Validates the claims and the revocation of a token that was verified with the key of [`TrustSnapshot::key_of`].
    pub(super) fn accept_verified(
        &self,
        jwt: &VerifiedJwt,
        expected: &Expected<'_>,
        now: u64,
    ) -> Result<VerifiedAccessToken, TokenRejection> {
        let token = VerifiedAccessToken::validate(jwt, expected, now)?;
        if self.is_revoked(token.claims()) { Err(TokenRejection::Revoked) } else { Ok(token) }
    }

    /// As [`TrustSnapshot::accept`], for a token's text.
    pub fn accept_text(
        &self,
        token: &str,
        expected: &Expected<'_>,
        now: u64,
    ) -> Result<VerifiedAccessToken, TokenRejection> {
        self.accept(UnverifiedJwt::parse(token, MAX_ACCESS_TOKEN)?, expected, now)
    }

    /// A snapshot without revocations.
    pub fn of_keys(keys: &KeySchedule<PublishedKey>) -> Result<Self, StoreError> {
        Ok(Self { keys: verifying_keys(keys)?, ..Self::default() })
    }

    /// Parses items of the partition. Expired ones are skipped, because DynamoDB takes up to two days to delete them.
    pub(super) fn read(items: impl IntoIterator<Item = Item>, now: u64) -> Result<Self, StoreError> {
        let mut snapshot = Self::default();
        for item in items {
            let sort_key = item.get("sk").and_then(|sk| sk.as_s().ok()).cloned().unwrap_or_default();
            if sort_key == KEYS {
                snapshot.keys = verifying_keys(&read::<PublishedKeys>(item)?.keys)?;
                continue;
            }
            let revoked =
                Revoked::parse(&sort_key).ok_or_else(|| StoreError::Malformed(PARTITION.to_owned()))?;
            let Revocation { not_before, expires_at, .. } = read(item)?;
            if expires_at <= now {
                continue;
            }
            snapshot.entries += 1;
            match revoked {
                Revoked::Subject(id) => drop(snapshot.subjects.insert(id.to_owned(), not_before)),
                Revoked::SubjectAtClient { subject, client_id } => {
                    let clients = snapshot.grants.entry(subject.to_owned()).or_default();
                    clients.insert(client_id.to_owned(), not_before);
                }
                Revoked::Session(id) => drop(snapshot.sessions.insert(id.to_owned())),
                Revoked::Token(id) => drop(snapshot.tokens.insert(id.to_owned())),
            }
        }
        Ok(snapshot)
    }
}

fn verifying_keys(
    keys: &KeySchedule<PublishedKey>,
) -> Result<HashMap<String, ScheduledKey<Arc<PublicKey>>>, StoreError> {
    let malformed = || StoreError::Malformed(KEYS.to_owned());
    let parse = |scheduled: &ScheduledKey<PublishedKey>| {
        let jwk: StrictObject = serde_json::from_str(&scheduled.key.jwk).map_err(|_| malformed())?;
        let key = Arc::new(PublicKey::from_jwk(&jwk).map_err(|_| malformed())?);
        Ok((scheduled.key.kid.clone(), scheduled.map(|_| key)))
    };
    keys.iter().map(parse).collect()
}
