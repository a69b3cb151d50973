//! The trust bundle: everything that the authorizer needs to know, in one small partition.
//!
//! It holds the public keys with their timeline, and whose tokens are refused. It is read at most once
//! an interval, so a warm request costs no IO and the cost does not grow with the number of tokens.

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

/// While the store is down, the last bundle serves for five minutes; then nothing is allowed. An
/// unknown key id and a failed load make the store be asked again at most every five seconds.
pub(crate) const TRUST_LIMITS: Limits = Limits { usable_for: 300, cool_down: 5, after_failure: 5 };

const _: () = assert!(TRUST_LIMITS.after_failure <= RETRY_AFTER);

/// How often a change to the keys is tried anew when somebody else was faster.
const TRIES: usize = 5;

/// How much later than a revocation a last token may still be issued, in seconds: the sign-in was under
/// way, or the clock of whoever revokes is slow.
const UNDER_WAY: u64 = 300;

/// How long it must be known that what was issued until a moment is refused.
fn remembered_until(moment: u64) -> u64 {
    moment + MAX_ACCESS_TOKEN_TTL + LEEWAY + UNDER_WAY
}

/// A public key: its JWK as text, so that reading it costs nothing until it is wanted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedKey {
    /// The key's id.
    pub kid: String,
    /// The JWK.
    pub jwk: String,
}

impl PublishedKey {
    /// What the key is for.
    pub fn algorithm(&self) -> Option<Algorithm> {
        let jwk: Value = serde_json::from_str(&self.jwk).ok()?;
        Algorithm::from_name(jwk["alg"].as_str()?)
    }
}

/// The keys with their timeline: the only place where it is written.
#[derive(Default, Serialize, Deserialize)]
struct PublishedKeys {
    keys: KeySchedule<PublishedKey>,
    /// Counts the changes, so that nobody overwrites what somebody else wrote meanwhile.
    revision: u64,
}

/// Tokens that are rejected though they have not expired.
///
/// The attributes that a function may write here are named in its policy: none of them is the keys'.
#[derive(Serialize, Deserialize)]
struct Revocation {
    /// Tokens with an earlier `iat` are rejected, in seconds since 1970; all of them while this is [`BLOCKED`].
    not_before: u64,
    /// `not_before` from before the subject was blocked. Unblocking sets no earlier one.
    #[serde(default, skip_serializing)]
    mark: u64,
    /// When the last of them has expired, in seconds since 1970: DynamoDB may drop the item then.
    expires_at: u64,
}

/// `not_before` of a subject that is blocked, and of what is revoked for good.
const BLOCKED: u64 = u64::MAX;

/// What is common to tokens that are refused together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Revoked<'a> {
    /// Their client or subject; an API key is its own.
    Subject(&'a str),
    /// Both their subject and their client. Written as a subject whose id no subject has, which earlier releases
    /// read and ignore.
    Grant { subject: &'a str, client_id: &'a str },
    /// Their sign-in (`sid`).
    Session(&'a str),
    /// There is but one: its `jti`.
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

/// The bundle as the authorizer uses it.
#[derive(Default)]
pub struct TrustSnapshot {
    keys: HashMap<String, ScheduledKey<Arc<PublicKey>>>,
    subjects: HashMap<String, u64>,
    /// By subject, then by client.
    grants: HashMap<String, HashMap<String, u64>>,
    sessions: HashSet<String>,
    tokens: HashSet<String>,
    /// How many revocations these are.
    entries: usize,
}

impl TrustSnapshot {
    /// The key of that id, if what it signed may be accepted now.
    pub fn key(&self, key_id: &str, now: u64) -> Option<&Arc<PublicKey>> {
        self.keys.get(key_id).filter(|timed| timed.is_trusted(now)).map(|timed| &timed.key)
    }

    /// Whether what was issued to a client, a user or an API key at this time, in seconds since 1970, is revoked.
    pub fn is_revoked_for(&self, subject: &str, issued_at: u64) -> bool {
        self.subjects.get(subject).is_some_and(|not_before| issued_at < *not_before)
    }

    /// Whether a token was revoked: by itself, with its token family, or with its subject, its client or both.
    pub fn is_revoked(&self, claims: &AccessClaims) -> bool {
        let AccessClaims { subject, client_id, issued_at, .. } = claims;
        let of_grant = self.grants.get(subject).and_then(|clients| clients.get(client_id));
        self.is_revoked_for(subject, *issued_at)
            || (client_id != subject && self.is_revoked_for(client_id, *issued_at))
            || of_grant.is_some_and(|not_before| issued_at < not_before)
            || claims.session_id.as_ref().is_some_and(|session| self.sessions.contains(session))
            || self.tokens.contains(&claims.token_id)
    }

    /// Accepts an access token of ours that is good now: signed by a published key, as expected, and not
    /// revoked. Verifies the signature each time; [`TrustCache::accept`] uses the signature cache.
    pub fn accept(
        &self,
        jwt: UnverifiedJwt<'_>,
        expected: &Expected<'_>,
        now: u64,
    ) -> Result<VerifiedAccessToken, TokenRejection> {
        let key = self.key_of(&jwt, now)?;
        self.accept_verified(&jwt.verify(key)?, expected, now)
    }

    /// The key that a token names, if what it signed may be accepted now.
    fn key_of(&self, jwt: &UnverifiedJwt<'_>, now: u64) -> Result<&Arc<PublicKey>, JwtError> {
        jwt.key_id().and_then(|key_id| self.key(key_id, now)).ok_or(JwtError::UnknownKey)
    }

    /// Validates the claims and the revocation of a token that was verified with the key of
    /// [`TrustSnapshot::key_of`].
    fn accept_verified(
        &self,
        jwt: &VerifiedJwt,
        expected: &Expected<'_>,
        now: u64,
    ) -> Result<VerifiedAccessToken, TokenRejection> {
        let token = VerifiedAccessToken::validate(jwt, expected, now)?;
        if self.is_revoked(token.claims()) { Err(TokenRejection::Revoked) } else { Ok(token) }
    }

    /// The same of a token's text.
    pub fn accept_text(
        &self,
        token: &str,
        expected: &Expected<'_>,
        now: u64,
    ) -> Result<VerifiedAccessToken, TokenRejection> {
        self.accept(UnverifiedJwt::parse(token, MAX_ACCESS_TOKEN)?, expected, now)
    }

    /// A bundle of keys alone.
    pub fn of_keys(keys: &KeySchedule<PublishedKey>) -> Result<Self, StoreError> {
        Ok(Self { keys: verifying_keys(keys)?, ..Self::default() })
    }

    /// Reads items of the partition. What has expired is left out: DynamoDB takes up to two days to drop it.
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

/// The bundle in the table.
#[derive(Clone)]
pub struct TrustStore(Table);

impl TrustStore {
    /// In this table.
    pub fn new(table: Table) -> Self {
        Self(table)
    }

    /// Reads the whole bundle. Its read units grow with the number of revocations.
    pub async fn snapshot(&self, now: u64) -> Result<TrustSnapshot, StoreError> {
        TrustSnapshot::read(self.0.partition(PARTITION).await?, now)
    }

    /// Reads the keys, and the few revocations that can concern this token, as they are now.
    pub async fn snapshot_about(&self, claims: &AccessClaims, now: u64) -> Result<TrustSnapshot, StoreError> {
        let keys = self.0.get_item(Key::new(PARTITION, "", KEYS));
        let (keys, revocations) = tokio::try_join!(keys, self.revocations_of(claims))?;
        TrustSnapshot::read(keys.into_iter().chain(revocations), now)
    }

    /// Reads whatever can revoke this token.
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

    /// The public keys that verifiers may be told of now.
    pub async fn jwks(&self, now: u64) -> Result<Vec<Value>, StoreError> {
        let keys = self.timeline().await?;
        let trusted = keys.iter().filter(|timed| timed.is_trusted(now));
        let parse = |timed: &ScheduledKey<PublishedKey>| {
            serde_json::from_str(&timed.key.jwk).map_err(|_| StoreError::Malformed(KEYS.to_owned()))
        };
        trusted.map(parse).collect()
    }

    /// The public keys and when each of them signs.
    pub async fn timeline(&self) -> Result<KeySchedule<PublishedKey>, StoreError> {
        self.published().await.map(|published| published.keys)
    }

    /// Changes the keys, in one step that nobody else's change can come between. `change` may be asked more
    /// than once, and must leave alone what it finds done.
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
                // A retry of a write that was applied fails like this too: then the change is found done.
                Err(error) => drop(condition_failed(error)?),
            }
        }
        Err(StoreError::Changed)
    }

    async fn published(&self) -> Result<PublishedKeys, StoreError> {
        Ok(self.0.get(Key::new(PARTITION, "", KEYS)).await?.unwrap_or_default())
    }

    /// Whether a token was revoked by now.
    pub async fn is_revoked(&self, claims: &AccessClaims, now: u64) -> Result<bool, StoreError> {
        Ok(TrustSnapshot::read(self.revocations_of(claims).await?, now)?.is_revoked(claims))
    }

    /// Whether a token family was revoked as a whole.
    pub async fn is_session_revoked(&self, session_id: &str) -> Result<bool, StoreError> {
        let revocation = self.0.get::<Revocation>(Revoked::Session(session_id).key()).await?;
        Ok(revocation.is_some())
    }

    /// Blocks a subject: no token of theirs is accepted, until [`TrustStore::unblock`].
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
            // It is blocked: for as long as if it were only now.
            Err(error) => {
                condition_failed(error)?;
                let end = json!({"expires_at": remembered_until(now)});
                self.0.set(Revoked::Subject(subject).key(), &end).await
            }
        }
    }

    /// Unblocks a subject and says whether it was blocked. Tokens issued before `not_before` stay revoked, or before
    /// the mark that was there when it was blocked, if that is later.
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
            // A retry of a write that was applied meets its own work.
            .expression_attribute_values(":unblocked", number(not_before));
        match update.send().await {
            Ok(_) => Ok(true),
            Err(error) => condition_failed(error).and(Err(StoreError::Changed)),
        }
    }

    /// Revokes what a subject got before a moment. One that is blocked stays so.
    pub async fn revoke_earlier(&self, subject: &str, not_before: u64) -> Result<(), StoreError> {
        self.raise(Revoked::Subject(subject), not_before).await
    }

    /// Revokes what a client got for a subject before a moment.
    pub async fn revoke_earlier_of_grant(
        &self,
        subject: &str,
        client_id: &str,
        not_before: u64,
    ) -> Result<(), StoreError> {
        self.raise(Revoked::Grant { subject, client_id }, not_before).await
    }

    /// Sets the moment before which tokens are revoked; never back to an earlier one.
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

    /// Revokes every token of a token family.
    pub async fn revoke_session(&self, session_id: &str, now: u64) -> Result<(), StoreError> {
        self.revoke(Revoked::Session(session_id), remembered_until(now)).await
    }

    /// Revokes one token, which expires then.
    pub async fn revoke_token(&self, token_id: &str, expires_at: u64) -> Result<(), StoreError> {
        self.revoke(Revoked::Token(token_id), expires_at.saturating_add(LEEWAY)).await
    }

    async fn revoke(&self, revoked: Revoked<'_>, expires_at: u64) -> Result<(), StoreError> {
        self.0.upsert(revoked.key(), &Revocation { not_before: BLOCKED, mark: 0, expires_at }).await
    }
}

/// Why an access token is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum TokenRejection {
    /// It is bad.
    #[error(transparent)]
    Token(#[from] JwtError),
    /// It was revoked.
    #[error("the token was revoked")]
    Revoked,
    /// It can't be decided.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The bundle as a warm function holds it, and the signature cache, which outlives it.
pub struct TrustCache {
    store: TrustStore,
    cache: Cache<TrustSnapshot>,
    signatures: SignatureCache,
    holds: Holds,
    refresh: u64,
}

/// What of the bundle is held.
#[derive(Clone, Copy)]
enum Holds {
    Everything,
    KeysAlone,
}

impl TrustCache {
    /// Reloads the bundle every `refresh` seconds at most. Nothing is read yet.
    pub fn new(table: Table, refresh: u64) -> Self {
        Self::holding(Holds::Everything, table, refresh)
    }

    /// As [`TrustCache::new`], with the keys alone: for a function that looks up whether the one token that it is
    /// asked about was revoked. What it reads doesn't grow with the number of revocations.
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

    /// The bundle.
    pub async fn snapshot(&self, now: u64) -> Result<Arc<TrustSnapshot>, Unavailable> {
        self.cache.get(now, async || self.load(now).await).await
    }

    /// How old the bundle is, in seconds.
    pub fn age(&self, now: u64) -> Option<u64> {
        self.cache.age(now)
    }

    /// How many revocations the bundle holds.
    pub fn entries(&self) -> Option<usize> {
        self.cache.held().map(|snapshot| snapshot.entries)
    }

    /// The bundle, read anew because `seen` lacks a key: at most once a cool-down.
    async fn reload(&self, now: u64, seen: &Arc<TrustSnapshot>) -> Result<Arc<TrustSnapshot>, Unavailable> {
        self.cache.reload(now, seen, async || self.load(now).await).await
    }

    /// As [`TrustSnapshot::accept`], with the bundle at hand; one that lacks the token's key is reloaded. A token
    /// that was verified before costs no verification.
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

    /// The bundle as each reload reads it, with one key.
    fn snapshot(forge: &TestSigner) -> TrustSnapshot {
        let mut keys = KeySchedule::default();
        keys.publish(PublishedKey { kid: "1".to_owned(), jwk: forge.public_jwk().to_string() }, NOW);
        let mut item = to_item(PublishedKeys { keys, revision: 0 }).unwrap();
        item.insert("sk".to_owned(), AttributeValue::S(KEYS.to_owned()));
        TrustSnapshot::read([item], NOW).unwrap()
    }

    /// What a function holds, in front of a store that it never asks.
    fn trust() -> TrustCache {
        let config = Config::builder().behavior_version(BehaviorVersion::latest()).build();
        TrustCache::new(Table::new(Client::from_conf(config), "table"), REFRESH)
    }

    /// Loads this bundle, which counts as fresh until the next load is due. Returns its key.
    async fn load(trust: &TrustCache, snapshot: TrustSnapshot, now: u64) -> Option<Arc<PublicKey>> {
        let load = async || Ok::<_, StoreError>(Loaded { value: snapshot, fresh_for: REFRESH });
        trust.cache.get(now, load).await.unwrap().key("1", now).cloned()
    }

    /// How many hold a key beside the test: the bundle, and each entry of the signature cache that it verified.
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
