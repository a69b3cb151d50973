//! The trust snapshot: everything that the authorizer needs, in one small partition.
//!
//! It contains the public keys with their schedule and the revocations. It is reloaded at most once an interval, so
//! that a warm call costs no IO and the cost does not grow with the number of tokens.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::jose::algorithm::Algorithm;
use crate::jose::jwt::{JwtError, LEEWAY, UnverifiedJwt, VerifiedJwt};
use crate::jose::key::PublicKey;
use crate::jose::strict_object::StrictObject;
use crate::oauth::error::RETRY_AFTER;
use crate::runtime::cache::{Cache, Limits, Loaded, Unavailable};
use crate::runtime::settings::MAX_ACCESS_TOKEN_TTL;
use crate::store::table::{Item, Key, StoreError, Table, condition_failed, read};
use crate::trust::access_token::{AccessClaims, Expected, MAX_ACCESS_TOKEN, VerifiedAccessToken};
use crate::trust::key_schedule::{KeySchedule, ScheduledKey};
use crate::trust::signature_cache::SignatureCache;

const PARTITION: &str = "TRUST";
const KEYS: &str = "JWKS";
const REVOKED: &str = "REVOKED#";

/// While the store is down, a stale snapshot is used for five minutes. After that all calls are rejected. An unknown
/// key id and a failed load lead to a reload at most every five seconds.
pub(crate) const TRUST_LIMITS: Limits = Limits { usable_for: 300, cool_down: 5, after_failure: 5 };

const _: () = assert!(TRUST_LIMITS.after_failure <= RETRY_AFTER);

/// Attempts of a change to the keys that is superseded by concurrent changes.
const TRIES: usize = 5;

/// How much later than a revocation a last token may be issued, in seconds: by a sign-in in progress, or because the
/// clock of the revoking process is slow.
const UNDER_WAY: u64 = 300;

/// How long a revocation of tokens issued before `moment` must be stored.
fn remembered_until(moment: u64) -> u64 {
    moment + MAX_ACCESS_TOKEN_TTL + LEEWAY + UNDER_WAY
}

/// A published key. Its JWK is text, which is parsed only when it is needed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedKey {
    /// Id of the key.
    pub kid: String,
    /// The JWK.
    pub jwk: String,
}

impl PublishedKey {
    /// Algorithm of the key.
    pub fn algorithm(&self) -> Option<Algorithm> {
        let jwk: Value = serde_json::from_str(&self.jwk).ok()?;
        Algorithm::from_name(jwk["alg"].as_str()?)
    }
}

/// The stored keys with their schedule.
#[derive(Default, Serialize, Deserialize)]
struct PublishedKeys {
    keys: KeySchedule<PublishedKey>,
    /// Number of changes, which detects concurrent ones.
    revision: u64,
}

/// A stored revocation.
///
/// The policy of a function names the attributes that it may write here. None of them is an attribute of the keys.
#[derive(Serialize, Deserialize)]
struct Revocation {
    /// Tokens with an earlier `iat` are revoked, in seconds since 1970. [`BLOCKED`] revokes all.
    not_before: u64,
    /// `not_before` from before the subject was blocked. Unblocking does not set an earlier one.
    #[serde(default, skip_serializing)]
    mark: u64,
    /// When the last revoked token has expired, in seconds since 1970, and DynamoDB may delete the item.
    expires_at: u64,
}

/// `not_before` of a blocked subject and of a revoked token or token family.
const BLOCKED: u64 = u64::MAX;

/// What a revocation applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Revoked<'a> {
    /// All tokens of a client or of a subject, or an API key.
    Subject(&'a str),
    /// All tokens of a subject from one client. The stored subject is a value that no subject has, which earlier
    /// releases ignore.
    Grant { subject: &'a str, client_id: &'a str },
    /// All access tokens of a token family (`sid`).
    Session(&'a str),
    /// One token (`jti`).
    Token(&'a str),
}

impl<'a> Revoked<'a> {
    fn sort_key(self) -> String {
        match self {
            Self::Subject(id) => format!("{REVOKED}sub#{id}"),
            Self::Grant { subject, client_id } => format!("{REVOKED}sub#{subject}#{client_id}"),
            Self::Session(id) => format!("{REVOKED}sid#{id}"),
            Self::Token(id) => format!("{REVOKED}jti#{id}"),
        }
    }

    fn key(self) -> Key {
        Key::new(PARTITION, "", self.sort_key())
    }

    fn parse(sort_key: &'a str) -> Option<Self> {
        let (kind, id) = sort_key.strip_prefix(REVOKED)?.split_once('#')?;
        match kind {
            "sub" => Some(match id.split_once('#') {
                Some((subject, client_id)) => Self::Grant { subject, client_id },
                None => Self::Subject(id),
            }),
            "sid" => Some(Self::Session(id)),
            "jti" => Some(Self::Token(id)),
            _ => None,
        }
    }
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
    entries: usize,
}

impl TrustSnapshot {
    /// The key with this id, if its signatures may be accepted now.
    pub fn key(&self, key_id: &str, now: u64) -> Option<&Arc<PublicKey>> {
        self.keys.get(key_id).filter(|timed| timed.is_trusted(now)).map(|timed| &timed.key)
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
    /// the signature in every call. [`TrustCache::accept`] uses the signature cache.
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
    fn key_of(&self, jwt: &UnverifiedJwt<'_>, now: u64) -> Result<&Arc<PublicKey>, JwtError> {
        jwt.key_id().and_then(|key_id| self.key(key_id, now)).ok_or(JwtError::UnknownKey)
    }

    /// Validates the claims and the revocation of a token that was verified with the key of [`TrustSnapshot::key_of`].
    fn accept_verified(
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
    fn read(items: impl IntoIterator<Item = Item>, now: u64) -> Result<Self, StoreError> {
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
                Revoked::Grant { subject, client_id } => {
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
    let parse = |timed: &ScheduledKey<PublishedKey>| {
        let jwk: StrictObject = serde_json::from_str(&timed.key.jwk).map_err(|_| malformed())?;
        let key = Arc::new(PublicKey::from_jwk(&jwk).map_err(|_| malformed())?);
        Ok((timed.key.kid.clone(), timed.map(|_| key)))
    };
    keys.iter().map(parse).collect()
}

/// The published keys and revocations in the table.
#[derive(Clone)]
pub struct TrustStore(Table);

impl TrustStore {
    /// The published keys and revocations of this table.
    pub fn new(table: Table) -> Self {
        Self(table)
    }

    /// Reads the snapshot. Its read units grow with the number of revocations.
    pub async fn snapshot(&self, now: u64) -> Result<TrustSnapshot, StoreError> {
        TrustSnapshot::read(self.0.partition(PARTITION).await?, now)
    }

    /// Reads the keys, and the few revocations that can apply to this token.
    pub async fn snapshot_about(&self, claims: &AccessClaims, now: u64) -> Result<TrustSnapshot, StoreError> {
        let keys = self.0.get_item(Key::new(PARTITION, "", KEYS));
        let (keys, revocations) = tokio::try_join!(keys, self.revocations_of(claims))?;
        TrustSnapshot::read(keys.into_iter().chain(revocations), now)
    }

    /// Reads the revocations that can apply to this token.
    async fn revocations_of(&self, claims: &AccessClaims) -> Result<Vec<Item>, StoreError> {
        let AccessClaims { subject, client_id, .. } = claims;
        let item = async |revoked: Option<Revoked<'_>>| match revoked {
            Some(revoked) => self.0.get_item(revoked.key()).await,
            None => Ok(None),
        };
        let another = Some(Revoked::Subject(client_id)).filter(|_| client_id != subject);
        let (subject, client, grant, session, token) = tokio::try_join!(
            item(Some(Revoked::Subject(subject))),
            item(another),
            item(Some(Revoked::Grant { subject, client_id })),
            item(claims.session_id.as_deref().map(Revoked::Session)),
            item(Some(Revoked::Token(&claims.token_id))),
        )?;
        Ok([subject, client, grant, session, token].into_iter().flatten().collect())
    }

    /// The JWKS.
    pub async fn jwks(&self, now: u64) -> Result<Vec<Value>, StoreError> {
        let keys = self.timeline().await?;
        let trusted = keys.iter().filter(|timed| timed.is_trusted(now));
        let parse = |timed: &ScheduledKey<PublishedKey>| {
            serde_json::from_str(&timed.key.jwk).map_err(|_| StoreError::Malformed(KEYS.to_owned()))
        };
        trusted.map(parse).collect()
    }

    /// The published keys with their schedule.
    pub async fn timeline(&self) -> Result<KeySchedule<PublishedKey>, StoreError> {
        self.published().await.map(|published| published.keys)
    }

    /// Changes the keys atomically. `change` may be called more than once, and must accept a state in which it is
    /// already applied.
    pub async fn update_keys(
        &self,
        change: impl Fn(&mut KeySchedule<PublishedKey>),
    ) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            let PublishedKeys { mut keys, revision } = self.published().await?;
            let before = keys.clone();
            change(&mut keys);
            if keys == before {
                return Ok(());
            }
            let revised = PublishedKeys { keys, revision: revision + 1 };
            let update = self
                .0
                .setting(Key::new(PARTITION, "", KEYS), &revised)?
                .condition_expression("attribute_not_exists(revision) OR revision = :seen")
                .expression_attribute_values(":seen", number(revision));
            match update.send().await {
                Ok(_) => return Ok(()),
                // A retry of an applied write fails the condition too, and then finds the change applied.
                Err(error) => drop(condition_failed(error)?),
            }
        }
        Err(StoreError::Changed)
    }

    async fn published(&self) -> Result<PublishedKeys, StoreError> {
        Ok(self.0.get(Key::new(PARTITION, "", KEYS)).await?.unwrap_or_default())
    }

    /// Whether a token is revoked now.
    pub async fn is_revoked(&self, claims: &AccessClaims, now: u64) -> Result<bool, StoreError> {
        Ok(TrustSnapshot::read(self.revocations_of(claims).await?, now)?.is_revoked(claims))
    }

    /// Whether a token family is revoked.
    pub async fn is_session_revoked(&self, session_id: &str) -> Result<bool, StoreError> {
        let revocation = self.0.get::<Revocation>(Revoked::Session(session_id).key()).await?;
        Ok(revocation.is_some())
    }

    /// Blocks a subject: all its tokens are rejected until [`TrustStore::unblock`].
    pub async fn block(&self, subject: &str, now: u64) -> Result<(), StoreError> {
        let update = self
            .0
            .update(Revoked::Subject(subject).key())?
            .update_expression(
                "SET mark = if_not_exists(not_before, :none), not_before = :blocked, expires_at = :end",
            )
            .condition_expression("attribute_not_exists(not_before) OR not_before < :blocked")
            .expression_attribute_values(":none", number(0))
            .expression_attribute_values(":blocked", number(BLOCKED))
            .expression_attribute_values(":end", number(remembered_until(now)));
        match update.send().await {
            Ok(_) => Ok(()),
            // The subject is already blocked. Only the expiry is extended.
            Err(error) => {
                condition_failed(error)?;
                let end = json!({"expires_at": remembered_until(now)});
                self.0.set(Revoked::Subject(subject).key(), &end).await
            }
        }
    }

    /// Unblocks a subject, and returns whether it was blocked. Tokens issued before `not_before` stay revoked, or
    /// before the mark from before the block, if that is later.
    pub async fn unblock(&self, subject: &str, not_before: u64) -> Result<bool, StoreError> {
        let found = self.0.get::<Revocation>(Revoked::Subject(subject).key()).await?;
        let Some(blocked) = found.filter(|revocation| revocation.not_before == BLOCKED) else {
            return Ok(false);
        };
        let not_before = not_before.max(blocked.mark);
        let unblocked = Revocation { not_before, mark: 0, expires_at: remembered_until(not_before) };
        let update = self
            .0
            .setting(Revoked::Subject(subject).key(), &unblocked)?
            .condition_expression("not_before = :blocked OR not_before = :unblocked")
            .expression_attribute_values(":blocked", number(BLOCKED))
            // A retry of an applied write finds this value.
            .expression_attribute_values(":unblocked", number(not_before));
        match update.send().await {
            Ok(_) => Ok(true),
            Err(error) => condition_failed(error).and(Err(StoreError::Changed)),
        }
    }

    /// Revokes the tokens of a subject that were issued before a time. A blocked subject stays blocked.
    pub async fn revoke_earlier(&self, subject: &str, not_before: u64) -> Result<(), StoreError> {
        self.raise(Revoked::Subject(subject), not_before).await
    }

    /// Revokes the tokens of a subject from one client that were issued before a time.
    pub async fn revoke_earlier_of_grant(
        &self,
        subject: &str,
        client_id: &str,
        not_before: u64,
    ) -> Result<(), StoreError> {
        self.raise(Revoked::Grant { subject, client_id }, not_before).await
    }

    /// Sets the time before which tokens are revoked, unless a later one is set.
    async fn raise(&self, revoked: Revoked<'_>, not_before: u64) -> Result<(), StoreError> {
        let revocation = Revocation { not_before, mark: 0, expires_at: remembered_until(not_before) };
        let update = self
            .0
            .setting(revoked.key(), &revocation)?
            .condition_expression("attribute_not_exists(not_before) OR not_before < :not_before")
            .expression_attribute_values(":not_before", number(not_before));
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error) => condition_failed(error).map(drop),
        }
    }

    /// Revokes the access tokens of a token family.
    pub async fn revoke_session(&self, session_id: &str, now: u64) -> Result<(), StoreError> {
        self.revoke(Revoked::Session(session_id), remembered_until(now)).await
    }

    /// Revokes one token, which expires at `expires_at`.
    pub async fn revoke_token(&self, token_id: &str, expires_at: u64) -> Result<(), StoreError> {
        self.revoke(Revoked::Token(token_id), expires_at.saturating_add(LEEWAY)).await
    }

    async fn revoke(&self, revoked: Revoked<'_>, expires_at: u64) -> Result<(), StoreError> {
        self.0.upsert(revoked.key(), &Revocation { not_before: BLOCKED, mark: 0, expires_at }).await
    }
}

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

/// The trust cache of a warm function: the snapshot, and the signature cache, which outlives it.
pub struct TrustCache {
    store: TrustStore,
    cache: Cache<TrustSnapshot>,
    signatures: SignatureCache,
    holds: Holds,
    refresh: u64,
}

/// The loaded parts of the snapshot.
#[derive(Clone, Copy)]
enum Holds {
    Everything,
    KeysAlone,
}

impl TrustCache {
    /// Reloads the snapshot every `refresh` seconds at most. Nothing is loaded yet.
    pub fn new(table: Table, refresh: u64) -> Self {
        Self::holding(Holds::Everything, table, refresh)
    }

    /// As [`TrustCache::new`], with the keys only, for functions that read the revocations of a single token from the store.
    /// The cost of a load does not grow with the number of revocations.
    pub fn of_keys(table: Table, refresh: u64) -> Self {
        Self::holding(Holds::KeysAlone, table, refresh)
    }

    fn holding(holds: Holds, table: Table, refresh: u64) -> Self {
        Self {
            store: TrustStore::new(table),
            cache: Cache::new(TRUST_LIMITS),
            signatures: SignatureCache::default(),
            holds,
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
        self.cache.held().map(|snapshot| snapshot.entries)
    }

    /// Reloads the snapshot because `seen` lacks a key, at most once per cool-down.
    async fn reload(&self, now: u64, seen: &Arc<TrustSnapshot>) -> Result<Arc<TrustSnapshot>, Unavailable> {
        self.cache.reload(now, seen, async || self.load(now).await).await
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
        let value = match self.holds {
            Holds::Everything => self.store.snapshot(now).await?,
            Holds::KeysAlone => TrustSnapshot::of_keys(&self.store.timeline().await?)?,
        };
        Ok(Loaded { value, fresh_for: self.refresh })
    }
}

fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::test_signer::TestSigner;
    use aws_sdk_dynamodb::config::BehaviorVersion;
    use aws_sdk_dynamodb::{Client, Config};
    use serde_dynamo::aws_sdk_dynamodb_1::to_item;

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
