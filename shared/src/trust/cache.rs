//! The trust cache: the snapshot of a warm function.
//!
//! The snapshot is reloaded at most once an interval, so that a warm call costs no IO and the cost does not grow with
//! the number of tokens.

use std::sync::Arc;

use crate::jose::jwt::{JwtError, UnverifiedJwt};
use crate::oauth::error::RETRY_AFTER;
use crate::runtime::cache::{Cache, Limits, Loaded, Unavailable};
use crate::store::table::{StoreError, Table};
use crate::trust::access_token::{Expected, MAX_ACCESS_TOKEN, VerifiedAccessToken};
use crate::trust::signature_cache::SignatureCache;
use crate::trust::snapshot::{TokenRejection, TrustSnapshot};
use crate::trust::store::TrustStore;

/// While the store is down, a stale snapshot is used for five minutes. After that all calls are rejected. An unknown
/// key id and a failed load lead to a reload at most every five seconds.
pub(crate) const TRUST_LIMITS: Limits = Limits { usable_for: 300, cool_down: 5, after_failure: 5 };

const _: () = assert!(TRUST_LIMITS.after_failure <= RETRY_AFTER);

/// The trust cache of a warm function: the snapshot, and the signature cache, which outlives it.
pub struct TrustCache {
    store: TrustStore,
    cache: Cache<TrustSnapshot>,
    signatures: SignatureCache,
    contents: Contents,
    refresh: u64,
}

/// The loaded parts of the snapshot.
#[derive(Clone, Copy)]
enum Contents {
    Everything,
    KeysOnly,
}

impl TrustCache {
    /// Reloads the snapshot every `refresh` seconds at most. Nothing is loaded yet.
    pub fn new(table: Table, refresh: u64) -> Self {
        Self::with_contents(Contents::Everything, table, refresh)
    }

    /// As [`TrustCache::new`], with the keys only, for functions that read the revocations of a single token from the store.
    /// The cost of a load does not grow with the number of revocations.
    pub fn of_keys(table: Table, refresh: u64) -> Self {
        Self::with_contents(Contents::KeysOnly, table, refresh)
    }

    fn with_contents(contents: Contents, table: Table, refresh: u64) -> Self {
        Self {
            store: TrustStore::new(table),
            cache: Cache::new(TRUST_LIMITS),
            signatures: SignatureCache::default(),
            contents,
            refresh,
        }
    }

    /// The snapshot.
    pub async fn snapshot(&self, now: u64) -> Result<Arc<TrustSnapshot>, Unavailable> {
        self.cache.get(now, async || self.load(now).await).await
    }

    /// Age of the snapshot, in seconds.
    pub fn age(&self, now: u64) -> Option<u64> {
        self.cache.age(now)
    }

    /// Number of revocations in the snapshot.
    pub fn entries(&self) -> Option<usize> {
        self.cache.last_value().map(|snapshot| snapshot.entries)
    }

    /// Reloads the snapshot because `previous` lacks a key, at most once per cool-down.
    async fn reload(
        &self,
        now: u64,
        previous: &Arc<TrustSnapshot>,
    ) -> Result<Arc<TrustSnapshot>, Unavailable> {
        self.cache.reload(now, previous, async || self.load(now).await).await
    }

    /// As [`TrustSnapshot::accept`], with the cached snapshot, which is reloaded if it lacks the token's key. A token in
    /// the signature cache is not verified again.
    pub async fn accept(
        &self,
        token: &str,
        expected: &Expected<'_>,
        now: u64,
    ) -> Result<VerifiedAccessToken, TokenRejection> {
        let jwt = UnverifiedJwt::parse(token, MAX_ACCESS_TOKEN)?;
        let key_id = jwt.key_id().ok_or(JwtError::UnknownKey)?;
        let mut snapshot = self.snapshot(now).await?;
        if snapshot.key(key_id, now).is_none() {
            snapshot = self.reload(now, &snapshot).await?;
        }
        let key = snapshot.key_of(&jwt, now)?;
        let jwt = self.signatures.verify(jwt, key)?;
        snapshot.accept_verified(&jwt, expected, now)
    }

    async fn load(&self, now: u64) -> Result<Loaded<TrustSnapshot>, StoreError> {
        let value = match self.contents {
            Contents::Everything => self.store.snapshot(now).await?,
            Contents::KeysOnly => TrustSnapshot::of_keys(&self.store.key_schedule().await?)?,
        };
        Ok(Loaded { value, fresh_for: self.refresh })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::key::PublicKey;
    use crate::jose::test_signer::TestSigner;
    use crate::trust::key_schedule::KeySchedule;
    use crate::trust::published_keys::{KEYS, PublishedKey, PublishedKeys};
    use aws_sdk_dynamodb::config::BehaviorVersion;
    use aws_sdk_dynamodb::types::AttributeValue;
    use aws_sdk_dynamodb::{Client, Config};
    use serde_dynamo::aws_sdk_dynamodb_1::to_item;
    use serde_json::json;

    const NOW: u64 = 1_000_000;
    const REFRESH: u64 = 15;

    /// The snapshot as each reload reads it, with one key.
    fn snapshot(forge: &TestSigner) -> TrustSnapshot {
        let mut keys = KeySchedule::default();
        keys.publish(PublishedKey { kid: "1".to_owned(), jwk: forge.public_jwk().to_string() }, NOW);
        let mut item = to_item(PublishedKeys { keys, revision: 0 }).unwrap();
        item.insert("sk".to_owned(), AttributeValue::S(KEYS.to_owned()));
        TrustSnapshot::read([item], NOW).unwrap()
    }

    /// A trust cache whose store is never read.
    fn trust() -> TrustCache {
        let config = Config::builder().behavior_version(BehaviorVersion::latest()).build();
        TrustCache::new(Table::new(Client::from_conf(config), "table"), REFRESH)
    }

    /// Loads this snapshot, which is fresh until the next load is due. Returns its key.
    async fn load(trust: &TrustCache, snapshot: TrustSnapshot, now: u64) -> Option<Arc<PublicKey>> {
        let load = async || Ok::<_, StoreError>(Loaded { value: snapshot, fresh_for: REFRESH });
        trust.cache.get(now, load).await.unwrap().key("1", now).cloned()
    }

    /// The number of references to a key, apart from the test's: the snapshot, and each signature cache entry that the
    /// key verified.
    fn holders_of(key: &Arc<PublicKey>) -> usize {
        Arc::strong_count(key) - 1
    }

    #[tokio::test]
    async fn a_reload_costs_no_verification_unless_the_key_changed() {
        let (forge, trust) = (TestSigner::new(), trust());
        let claims = json!({
            "iss": "https://auth.example.com", "sub": "client", "aud": "latchkey", "client_id": "client",
            "iat": NOW, "exp": NOW + 900, "jti": "1",
        });
        let token = forge.token(r#"{"alg":"EdDSA","kid":"1","typ":"at+jwt"}"#, &claims.to_string());
        let expected = Expected { issuer: None, audiences: None };
        let accept =
            async |now| trust.accept(&token, &expected, now).await.map_err(|error| error.to_string());
        let rejected = |error: JwtError| Some(error.to_string());

        let first = load(&trust, snapshot(&forge), NOW).await.unwrap();
        accept(NOW).await.unwrap();
        assert_eq!(holders_of(&first), 2, "the bundle and the entry");

        let second = load(&trust, snapshot(&forge), NOW + REFRESH).await.unwrap();
        accept(NOW + REFRESH).await.unwrap();
        assert_eq!(
            (holders_of(&first), holders_of(&second)),
            (1, 1),
            "the entry of the first verification served"
        );

        load(&trust, snapshot(&TestSigner::new()), NOW + 2 * REFRESH).await.unwrap();
        assert_eq!(accept(NOW + 2 * REFRESH).await.err(), rejected(JwtError::InvalidSignature));
    }
}
