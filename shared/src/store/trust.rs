//! The trust bundle: everything that the authorizer needs to know, in one small partition.
//!
//! It holds the public keys with their timeline, and whose tokens are refused. It is read at most once
//! an interval, so a warm request costs no IO and the cost does not grow with the number of tokens.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::signature_cache::SignatureCache;
use super::table::{Item, Key, StoreError, Table, condition_failed, read};
use crate::cache::{Cache, Limits, Loaded, Unavailable};
use crate::config::MAX_ACCESS_TOKEN_TTL;
use crate::token::claims::{AccessClaims, Expected, MAX_ACCESS_TOKEN, VerifiedAccessToken};
use crate::token::jwt::{JwtError, LEEWAY, UnverifiedJwt, VerifiedJwt};
use crate::token::key::PublicKey;
use crate::token::keyring::{Keyring, Timed};
use crate::wire::jose::Algorithm;
use crate::wire::members::Members;
use crate::wire::oauth::RETRY_AFTER;

const PARTITION: &str = "TRUST";
const KEYS: &str = "JWKS";
const REVOKED: &str = "REVOKED#";

/// While the store is down, the last bundle serves for five minutes; then nothing is allowed. An
/// unknown key id and a failed load make the store be asked again at most every five seconds.
pub(super) const TRUST_LIMITS: Limits = Limits { usable_for: 300, cool_down: 5, after_failure: 5 };

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
    keys: Keyring<PublishedKey>,
    /// Counts the changes, so that nobody overwrites what somebody else wrote meanwhile.
    revision: u64,
}

/// Tokens that are refused though they have not expired.
///
/// The attributes that a function may write here are named in its policy: none of them is the keys'.
#[derive(Serialize, Deserialize)]
struct Revocation {
    /// Those with an earlier `iat` are refused, in seconds since 1970.
    not_before: u64,
    /// When the last of them has expired: DynamoDB may drop the item then.
    expires_at: u64,
}

/// What is common to tokens that are refused together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Revoked<'a> {
    /// Their client or subject; an API key is its own.
    Subject(&'a str),
    /// Their sign-in (`sid`).
    Session(&'a str),
    /// There is but one: its `jti`.
    Token(&'a str),
}

impl<'a> Revoked<'a> {
    fn sort_key(self) -> String {
        match self {
            Self::Subject(id) => format!("{REVOKED}sub#{id}"),
            Self::Session(id) => format!("{REVOKED}sid#{id}"),
            Self::Token(id) => format!("{REVOKED}jti#{id}"),
        }
    }

    fn parse(sort_key: &'a str) -> Option<Self> {
        let (kind, id) = sort_key.strip_prefix(REVOKED)?.split_once('#')?;
        match kind {
            "sub" => Some(Self::Subject(id)),
            "sid" => Some(Self::Session(id)),
            "jti" => Some(Self::Token(id)),
            _ => None,
        }
    }
}

/// Whom a token is of: its subject, and its client if that is another.
fn holders(claims: &AccessClaims) -> impl Iterator<Item = &str> {
    let client = Some(claims.client_id.as_str()).filter(|client| *client != claims.subject);
    std::iter::once(claims.subject.as_str()).chain(client)
}

/// The bundle as the authorizer uses it.
#[derive(Default)]
pub struct TrustBundle {
    keys: HashMap<String, Timed<Arc<PublicKey>>>,
    subjects: HashMap<String, u64>,
    sessions: HashSet<String>,
    tokens: HashSet<String>,
}

impl TrustBundle {
    /// The key of that id, if what it signed may be accepted now.
    pub fn key(&self, key_id: &str, now: u64) -> Option<&Arc<PublicKey>> {
        self.keys.get(key_id).filter(|timed| timed.is_trusted(now)).map(|timed| &timed.key)
    }

    /// Whether a client, a user or an API key is shut out with what was issued to it then.
    pub fn is_shut_out(&self, subject: &str, issued_at: u64) -> bool {
        self.subjects.get(subject).is_some_and(|not_before| issued_at < *not_before)
    }

    /// Whether a token was revoked: by itself, with its sign-in, or with its subject or client.
    pub fn is_revoked(&self, claims: &AccessClaims) -> bool {
        self.is_over(claims) || self.shuts_out(claims)
    }

    /// Whether a token's subject or client is shut out.
    fn shuts_out(&self, claims: &AccessClaims) -> bool {
        holders(claims).any(|id| self.is_shut_out(id, claims.issued_at))
    }

    /// Whether a token was revoked by itself or with its sign-in: that is for good.
    fn is_over(&self, claims: &AccessClaims) -> bool {
        let session = claims.session_id.as_ref();
        session.is_some_and(|session| self.is_session_revoked(session))
            || self.tokens.contains(&claims.token_id)
    }

    /// Whether a sign-in was revoked as a whole.
    pub fn is_session_revoked(&self, session_id: &str) -> bool {
        self.sessions.contains(session_id)
    }

    /// Accepts an access token of ours that is good now: signed by a published key, as expected, and not
    /// revoked. Verifies the signature each time; [`Trust::accept`] uses the signature cache.
    pub fn accept(
        &self,
        jwt: UnverifiedJwt<'_>,
        expected: &Expected<'_>,
        now: u64,
    ) -> Result<VerifiedAccessToken, NotAccepted> {
        let key = self.key_of(&jwt, now)?;
        self.accept_verified(&jwt.verify(key)?, expected, now)
    }

    /// The key that a token names, if what it signed may be accepted now.
    fn key_of(&self, jwt: &UnverifiedJwt<'_>, now: u64) -> Result<&Arc<PublicKey>, JwtError> {
        jwt.key_id().and_then(|key_id| self.key(key_id, now)).ok_or(JwtError::UnknownKey)
    }

    /// Validates the claims and the revocation of a token that was verified with the key of
    /// [`TrustBundle::key_of`].
    fn accept_verified(
        &self,
        jwt: &VerifiedJwt,
        expected: &Expected<'_>,
        now: u64,
    ) -> Result<VerifiedAccessToken, NotAccepted> {
        let token = VerifiedAccessToken::judge(jwt, expected, now)?;
        if self.is_over(token.claims()) {
            Err(NotAccepted::Revoked)
        } else if self.shuts_out(token.claims()) {
            Err(NotAccepted::ShutOut(Box::new(token)))
        } else {
            Ok(token)
        }
    }

    /// The same of a token's text.
    pub fn accept_text(
        &self,
        token: &str,
        expected: &Expected<'_>,
        now: u64,
    ) -> Result<VerifiedAccessToken, NotAccepted> {
        self.accept(UnverifiedJwt::parse(token, MAX_ACCESS_TOKEN)?, expected, now)
    }

    fn read(items: Vec<Item>) -> Result<Self, StoreError> {
        let mut bundle = Self::default();
        for item in items {
            let sort_key = item.get("sk").and_then(|sk| sk.as_s().ok()).cloned().unwrap_or_default();
            if sort_key == KEYS {
                let published: PublishedKeys = read(item)?;
                for timed in published.keys.iter() {
                    let malformed = || StoreError::Malformed(KEYS.to_owned());
                    let jwk: Members = serde_json::from_str(&timed.key.jwk).map_err(|_| malformed())?;
                    let key = Arc::new(PublicKey::from_jwk(&jwk).map_err(|_| malformed())?);
                    bundle.keys.insert(timed.key.kid.clone(), timed.map(|_| key));
                }
                continue;
            }
            match Revoked::parse(&sort_key) {
                Some(Revoked::Subject(id)) => {
                    let Revocation { not_before, .. } = read(item)?;
                    bundle.subjects.insert(id.to_owned(), not_before);
                }
                Some(Revoked::Session(id)) => drop(bundle.sessions.insert(id.to_owned())),
                Some(Revoked::Token(id)) => drop(bundle.tokens.insert(id.to_owned())),
                None => return Err(StoreError::Malformed(PARTITION.to_owned())),
            }
        }
        Ok(bundle)
    }
}

/// The bundle in the table.
#[derive(Clone)]
pub struct TrustStore(Table);

impl TrustStore {
    /// In this table.
    pub fn new(table: Table) -> Self {
        Self(table)
    }

    /// Reads the whole bundle.
    pub async fn bundle(&self) -> Result<TrustBundle, StoreError> {
        TrustBundle::read(self.0.partition(PARTITION).await?)
    }

    /// The public keys that verifiers may be told of now.
    pub async fn jwks(&self, now: u64) -> Result<Vec<Value>, StoreError> {
        let keys = self.timeline().await?;
        let trusted = keys.iter().filter(|timed| timed.is_trusted(now));
        let parse = |timed: &Timed<PublishedKey>| {
            serde_json::from_str(&timed.key.jwk).map_err(|_| StoreError::Malformed(KEYS.to_owned()))
        };
        trusted.map(parse).collect()
    }

    /// The public keys and when each of them signs.
    pub async fn timeline(&self) -> Result<Keyring<PublishedKey>, StoreError> {
        self.published().await.map(|published| published.keys)
    }

    /// Changes the keys, in one step that nobody else's change can come between. `change` may be asked more
    /// than once, and must leave alone what it finds done.
    pub async fn revise(&self, change: impl Fn(&mut Keyring<PublishedKey>)) -> Result<(), StoreError> {
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
                .expression_attribute_values(":seen", AttributeValue::N(revision.to_string()));
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

    /// Whether a token's subject or client is shut out by now.
    pub async fn shuts_out(&self, claims: &AccessClaims) -> Result<bool, StoreError> {
        for id in holders(claims) {
            let key = Key::new(PARTITION, "", Revoked::Subject(id).sort_key());
            let revocation: Option<Revocation> = self.0.get(key).await?;
            if revocation.is_some_and(|revocation| claims.issued_at < revocation.not_before) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Shuts a subject out: no token of theirs is accepted, until [`TrustStore::readmit`].
    pub async fn shut_out(&self, subject: &str, now: u64) -> Result<(), StoreError> {
        self.revoke(Revoked::Subject(subject), u64::MAX, remembered_until(now)).await
    }

    /// Lets a subject in again, with tokens issued from now on.
    pub async fn readmit(&self, subject: &str, now: u64) -> Result<(), StoreError> {
        self.revoke(Revoked::Subject(subject), now, remembered_until(now)).await
    }

    /// Refuses what a subject got before a moment. One that is shut out altogether stays so.
    pub async fn refuse_earlier(&self, subject: &str, not_before: u64) -> Result<(), StoreError> {
        let expires_at = remembered_until(not_before);
        let update = self
            .0
            .setting(
                Key::new(PARTITION, "", Revoked::Subject(subject).sort_key()),
                &Revocation { not_before, expires_at },
            )?
            .condition_expression("attribute_not_exists(not_before) OR not_before < :not_before")
            .expression_attribute_values(":not_before", AttributeValue::N(not_before.to_string()));
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error) => condition_failed(error).map(drop),
        }
    }

    /// Revokes every token of a sign-in.
    pub async fn revoke_session(&self, session_id: &str, now: u64) -> Result<(), StoreError> {
        self.revoke(Revoked::Session(session_id), u64::MAX, remembered_until(now)).await
    }

    /// Revokes one token, which expires then.
    pub async fn revoke_token(&self, token_id: &str, expires_at: u64) -> Result<(), StoreError> {
        self.revoke(Revoked::Token(token_id), u64::MAX, expires_at + LEEWAY).await
    }

    async fn revoke(&self, revoked: Revoked<'_>, not_before: u64, expires_at: u64) -> Result<(), StoreError> {
        let key = Key::new(PARTITION, "", revoked.sort_key());
        self.0.upsert(key, &Revocation { not_before, expires_at }).await
    }
}

/// Why an access token is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum NotAccepted {
    /// It is bad.
    #[error(transparent)]
    Token(#[from] JwtError),
    /// It was revoked.
    #[error("the token was revoked")]
    Revoked,
    /// Its subject or its client is shut out, or was when the bundle was read.
    #[error("the token was revoked")]
    ShutOut(Box<VerifiedAccessToken>),
    /// It can't be judged.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The bundle as a warm function holds it, and the signature cache, which outlives it.
pub struct Trust {
    store: TrustStore,
    cache: Cache<TrustBundle>,
    signatures: SignatureCache,
    refresh: u64,
}

impl Trust {
    /// Read anew every `refresh` seconds at most. Nothing is read yet.
    pub fn new(table: Table, refresh: u64) -> Self {
        Self {
            store: TrustStore::new(table),
            cache: Cache::new(TRUST_LIMITS),
            signatures: SignatureCache::default(),
            refresh,
        }
    }

    /// The bundle.
    pub async fn bundle(&self, now: u64) -> Result<Arc<TrustBundle>, Unavailable> {
        self.cache.get(now, async || self.load().await).await
    }

    /// How old the bundle is, in seconds.
    pub fn age(&self, now: u64) -> Option<u64> {
        self.cache.age(now)
    }

    /// The bundle, read anew because `seen` lacks a key: at most once a cool-down.
    async fn renewed(&self, now: u64, seen: &Arc<TrustBundle>) -> Result<Arc<TrustBundle>, Unavailable> {
        self.cache.renewed(now, seen, async || self.load().await).await
    }

    /// As [`TrustBundle::accept`], with the bundle at hand; one that lacks the token's key is reloaded. A token
    /// that was verified before costs no verification.
    pub async fn accept(
        &self,
        token: &str,
        expected: &Expected<'_>,
        now: u64,
    ) -> Result<VerifiedAccessToken, NotAccepted> {
        let jwt = UnverifiedJwt::parse(token, MAX_ACCESS_TOKEN)?;
        let key_id = jwt.key_id().ok_or(JwtError::UnknownKey)?;
        let mut bundle = self.bundle(now).await?;
        if bundle.key(key_id, now).is_none() {
            bundle = self.renewed(now, &bundle).await?;
        }
        let key = bundle.key_of(&jwt, now)?;
        let jwt = self.signatures.verify(jwt, key)?;
        bundle.accept_verified(&jwt, expected, now)
    }

    async fn load(&self) -> Result<Loaded<TrustBundle>, StoreError> {
        Ok(Loaded { value: self.store.bundle().await?, fresh_for: self.refresh })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::forge::Forge;
    use aws_sdk_dynamodb::config::BehaviorVersion;
    use aws_sdk_dynamodb::{Client, Config};
    use serde_dynamo::aws_sdk_dynamodb_1::to_item;
    use serde_json::json;

    const NOW: u64 = 1_000_000;
    const REFRESH: u64 = 15;

    /// The bundle as each reload reads it, with one key.
    fn bundle(forge: &Forge) -> TrustBundle {
        let mut keys = Keyring::default();
        keys.publish(PublishedKey { kid: "1".to_owned(), jwk: forge.public_jwk().to_string() }, NOW);
        let mut item = to_item(PublishedKeys { keys, revision: 0 }).unwrap();
        item.insert("sk".to_owned(), AttributeValue::S(KEYS.to_owned()));
        TrustBundle::read(vec![item]).unwrap()
    }

    /// What a function holds, in front of a store that it never asks.
    fn trust() -> Trust {
        let config = Config::builder().behavior_version(BehaviorVersion::latest()).build();
        Trust::new(Table::new(Client::from_conf(config), "table"), REFRESH)
    }

    /// Loads this bundle, which counts as fresh until the next load is due. Returns its key.
    async fn load(trust: &Trust, bundle: TrustBundle, now: u64) -> Option<Arc<PublicKey>> {
        let load = async || Ok::<_, StoreError>(Loaded { value: bundle, fresh_for: REFRESH });
        trust.cache.get(now, load).await.unwrap().key("1", now).cloned()
    }

    /// How many hold a key beside the test: the bundle, and each entry of the signature cache that it verified.
    fn holders_of(key: &Arc<PublicKey>) -> usize {
        Arc::strong_count(key) - 1
    }

    #[tokio::test]
    async fn a_reload_costs_no_verification_unless_the_key_changed() {
        let (forge, trust) = (Forge::new(), trust());
        let claims = json!({
            "iss": "https://auth.example.com", "sub": "client", "aud": "latchkey", "client_id": "client",
            "iat": NOW, "exp": NOW + 900, "jti": "1",
        });
        let token = forge.token(r#"{"alg":"EdDSA","kid":"1","typ":"at+jwt"}"#, &claims.to_string());
        let expected = Expected { issuer: None, audiences: None };
        let accept =
            async |now| trust.accept(&token, &expected, now).await.map_err(|error| error.to_string());
        let rejected = |error: JwtError| Some(error.to_string());

        let first = load(&trust, bundle(&forge), NOW).await.unwrap();
        accept(NOW).await.unwrap();
        assert_eq!(holders_of(&first), 2, "the bundle and the entry");

        let second = load(&trust, bundle(&forge), NOW + REFRESH).await.unwrap();
        accept(NOW + REFRESH).await.unwrap();
        assert_eq!(
            (holders_of(&first), holders_of(&second)),
            (1, 1),
            "the entry of the first verification served"
        );

        load(&trust, bundle(&Forge::new()), NOW + 2 * REFRESH).await.unwrap();
        assert_eq!(accept(NOW + 2 * REFRESH).await.err(), rejected(JwtError::InvalidSignature));
    }
}
