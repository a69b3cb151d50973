//! Another signing key: in the four steps of a Secrets Manager rotation
//! (docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html), each of which
//! may be cut off anywhere and be run again.
//!
//! The public half is in the trust bundle before the private one is in use, and the key has its turn only when
//! it is in use and every cache has had time to hear of it. Until then, and whatever fails, the keys that
//! signed before go on.

use secrecy::ExposeSecret;
use serde_json::json;

use crate::identity::secrets::random_id;
use crate::jose::algorithm::Algorithm;
use crate::jose::jwt::{JwtError, UnverifiedJwt};
use crate::jose::key::PublicKey;
use crate::jose::strict_object::StrictObject;
use crate::oauth::metadata::{MAX_AGE, OUTAGE};
use crate::signing::private_key::BadKey;
use crate::signing::signing_secret::{KeyDocument, SecretError, SigningSecret, StoredKey, Version};
use crate::store::table::StoreError;
use crate::trust::key_schedule::{KeySchedule, ScheduledKey};
use crate::trust::trust::{PublishedKey, TrustStore};

/// How long somebody may not have heard of a key that is published, in seconds: two hours in API Gateway's
/// JWT authorizer, and as long as a cache on the way may keep our answer, which may be from memory.
pub const MAX_KEY_CACHE_AGE: u64 = 2 * 3600 + MAX_AGE + OUTAGE;

/// The lead of a new key unless somebody chose one, in seconds. Invariant: beyond [`MAX_KEY_CACHE_AGE`], with room
/// for clocks that differ.
pub const DEFAULT_LEAD: u64 = 4 * 3600;

const _: () = assert!(DEFAULT_LEAD > MAX_KEY_CACHE_AGE);

/// Why a step was not taken.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The trust bundle could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The secret could not be read or written.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The step before was not taken.
    #[error("the secret has no such version: the rotation begins with createSecret")]
    NotCreated,
    /// Another rotation or a revocation came between. What this one would put into use is out of date.
    #[error("another rotation or a revocation came between: begin anew")]
    Overtaken,
    /// What is published is not what the version signs with.
    #[error("the published keys don't verify what the secret's keys sign")]
    Mismatch,
    /// There is no such key, or it has retired.
    #[error("no key of that id is in use: `latchkey signing-key status` lists them")]
    UnknownKey,
}

impl From<BadKey> for RotationError {
    fn from(error: BadKey) -> Self {
        Self::Secret(error.into())
    }
}

/// The secret and the trust bundle, which change together.
#[derive(Clone)]
pub struct Rotation {
    secret: SigningSecret,
    trust: TrustStore,
}

impl Rotation {
    /// Of this secret, for the verifiers of that bundle.
    pub fn new(secret: SigningSecret, trust: TrustStore) -> Self {
        Self { secret, trust }
    }

    /// `createSecret`: writes the keys and a new one as the version to be in use.
    pub async fn create(&self, token: &str, algorithm: Algorithm, now: u64) -> Result<(), RotationError> {
        if self.secret.version(token).await?.is_some() {
            return Ok(());
        }
        let mut document = self.in_use().await?;
        let timeline = self.trust.timeline().await?;
        let good = |timed: &ScheduledKey<PublishedKey>| !timed.has_retired(now);
        document.keys.retain(|key| find(&timeline, key.key_id()).is_some_and(good));
        document.keys.push(StoredKey::generate(algorithm)?);
        Ok(self.secret.put_pending(token, &document).await?)
    }

    /// `setSecret`: publishes the new key, for verifiers to know.
    pub async fn publish(&self, token: &str, now: u64) -> Result<(), RotationError> {
        let Some(document) = self.pending(token).await? else { return Ok(()) };
        let new = published(document.keys.last().ok_or(RotationError::NotCreated)?)?;
        let change = |keys: &mut KeySchedule<PublishedKey>| {
            if find(keys, &new.kid).is_none() {
                keys.publish(new.clone(), now);
            }
        };
        Ok(self.trust.update_keys(change).await?)
    }

    /// `testSecret`: what each key signs verifies with what is published of it.
    pub async fn test(&self, token: &str) -> Result<(), RotationError> {
        let Some(document) = self.pending(token).await? else { return Ok(()) };
        let timeline = self.trust.timeline().await?;
        for key in &document.keys {
            if let Some(timed) = find(&timeline, key.key_id()) {
                prove(key, &timed.key)?;
            }
        }
        match document.keys.last().and_then(|new| find(&timeline, new.key_id())) {
            None => Err(RotationError::Mismatch),
            Some(new) if new.revoked => Err(RotationError::Overtaken),
            Some(_) => Ok(()),
        }
    }

    /// `finishSecret`: takes the version into use, and then gives the new key its turn, `lead` seconds after it
    /// was published. If no other key signs that the functions have, it signs at once: nobody can be waiting for
    /// a predecessor's tokens.
    pub async fn finish(&self, token: &str, lead: u64, now: u64) -> Result<(), RotationError> {
        if let Some(document) = self.pending(token).await? {
            let current = self.secret.current().await?;
            let timeline = self.trust.timeline().await?;
            let lacks = |key: &StoredKey| {
                !document.holds(key.key_id())
                    && find(&timeline, key.key_id()).is_some_and(|timed| !timed.has_retired(now))
            };
            if current.iter().flat_map(|current| &current.document.keys).any(lacks) {
                return Err(RotationError::Overtaken);
            }
            let current = current.map(|current| current.id);
            match self.secret.make_current(token, current.as_deref()).await {
                Err(SecretError::Changed) => return Err(RotationError::Overtaken),
                result => result?,
            }
        }
        self.begin(lead, now).await?;
        // Of a version in use that is called pending, the next rotation would be taken for its own.
        Ok(self.secret.drop_pending(token).await?)
    }

    /// Gives the newest key in use its turn, if it has none: what a rotation does last, and what is left to do
    /// when it was cut off just before, or when the table or the secret went back to what it was.
    pub async fn begin(&self, lead: u64, now: u64) -> Result<(), RotationError> {
        let document = self.in_use().await?;
        let newest = document.keys.last().map(published).transpose()?;
        let change = |keys: &mut KeySchedule<PublishedKey>| {
            if let Some(newest) = newest.as_ref().filter(|newest| find(keys, &newest.kid).is_none()) {
                keys.publish(newest.clone(), now);
            }
            keys.activate_pending(|key| document.holds(&key.kid), now, lead);
        };
        Ok(self.trust.update_keys(change).await?)
    }

    /// Gives a version up that can't come into use any more, so that the next rotation is not taken for this
    /// one. One that has lost its label already is left alone.
    pub async fn give_up(&self, token: &str) -> Result<(), RotationError> {
        let pending = self.secret.version(token).await?.is_some_and(|version| version.is_pending());
        if pending { Ok(self.secret.drop_pending(token).await?) } else { Ok(()) }
    }

    /// A whole rotation, as Secrets Manager would have it done. One that was cut off is carried on with, unless
    /// it makes another kind of key or can't be carried on with any more.
    pub async fn rotate(&self, algorithm: Algorithm, lead: u64, now: u64) -> Result<(), RotationError> {
        if let Some(Version { id, document, .. }) = self.secret.pending().await? {
            let fits = document.keys.last().is_some_and(|key| key.algorithm() == algorithm);
            let carried_on = if fits {
                self.steps(&id, algorithm, lead, now).await
            } else {
                Err(RotationError::Overtaken)
            };
            match carried_on {
                Err(RotationError::Overtaken) => self.give_up(&id).await?,
                result => return result,
            }
        }
        // Secrets Manager takes 32 to 64 characters.
        let token = random_id(&random_id(""));
        self.steps(&token, algorithm, lead, now).await
    }

    async fn steps(
        &self,
        token: &str,
        algorithm: Algorithm,
        lead: u64,
        now: u64,
    ) -> Result<(), RotationError> {
        self.create(token, algorithm, now).await?;
        self.publish(token, now).await?;
        self.test(token).await?;
        self.finish(token, lead, now).await
    }

    /// Whether there is a key that signs then: published, and in use.
    pub async fn signs(&self, then: u64) -> Result<bool, RotationError> {
        let (timeline, document) = (self.trust.timeline().await?, self.in_use().await?);
        Ok(timeline.eligible_signers(then).any(|key| document.holds(&key.kid)))
    }

    /// Ends a key now: what it signed is refused as soon as the trust bundle is read again, and another key
    /// signs from now on.
    ///
    /// # Errors
    /// When a store does not answer. If a successor can't be had, the key is revoked all the same.
    pub async fn revoke(&self, key_id: &str, algorithm: Algorithm, now: u64) -> Result<(), RotationError> {
        let is_it = |key: &PublishedKey| key.kid == key_id;
        let timeline = self.trust.timeline().await?;
        if !timeline.iter().any(|timed| is_it(&timed.key) && !timed.has_retired(now)) {
            return Err(RotationError::UnknownKey);
        }
        // A successor first, so that there is no moment without one.
        let successor = self.successor(key_id, timeline, algorithm, now).await;
        let document = self.in_use().await.ok();
        // What can't be read is not known to be lacking.
        let in_use = |key: &PublishedKey| document.as_ref().is_none_or(|document| document.holds(&key.kid));
        self.trust.update_keys(|keys| keys.revoke(is_it, in_use, now)).await?;
        successor
    }

    /// Makes sure that there will be a key that signs when that one is revoked.
    async fn successor(
        &self,
        key_id: &str,
        mut timeline: KeySchedule<PublishedKey>,
        algorithm: Algorithm,
        now: u64,
    ) -> Result<(), RotationError> {
        // What is yet to come into use may have leaked with it.
        if let Some(Version { id, .. }) = self.secret.pending().await? {
            self.give_up(&id).await?;
        }
        let document = self.in_use().await?;
        let in_use = |key: &PublishedKey| document.holds(&key.kid);
        timeline.revoke(|key| key.kid == key_id, in_use, now);
        if timeline.eligible_signers(now).any(in_use) { Ok(()) } else { self.rotate(algorithm, 0, now).await }
    }

    async fn in_use(&self) -> Result<KeyDocument, RotationError> {
        Ok(self.secret.current().await?.map(|version| version.document).unwrap_or_default())
    }

    /// What that version is to put into use; none if it is in use already. One that lost its label to another
    /// must never be carried on with: it may hold a key that was revoked since.
    async fn pending(&self, token: &str) -> Result<Option<KeyDocument>, RotationError> {
        match self.secret.version(token).await?.ok_or(RotationError::NotCreated)? {
            version if version.is_current() => Ok(None),
            version if version.is_pending() => Ok(Some(version.document)),
            _ => Err(RotationError::Overtaken),
        }
    }
}

fn find<'a>(keys: &'a KeySchedule<PublishedKey>, key_id: &str) -> Option<&'a ScheduledKey<PublishedKey>> {
    keys.iter().find(|timed| timed.key.kid == key_id)
}

/// The public half of a key.
fn published(key: &StoredKey) -> Result<PublishedKey, BadKey> {
    Ok(PublishedKey { kid: key.key_id().to_owned(), jwk: key.parse()?.public_jwk().to_string() })
}

/// What the private half signs, the published one verifies.
fn prove(private: &StoredKey, published: &PublishedKey) -> Result<(), RotationError> {
    let token = private.parse()?.sign("rotation-test", &json!({}))?;
    let proof = || -> Result<(), JwtError> {
        let jwk: StrictObject = serde_json::from_str(&published.jwk).map_err(|_| JwtError::UnknownKey)?;
        let key = PublicKey::from_jwk(&jwk).map_err(|_| JwtError::UnknownKey)?;
        let jwt = UnverifiedJwt::parse(token.expose_secret(), usize::MAX)?;
        jwt.verify(&key).map(drop)
    };
    proof().map_err(|_| RotationError::Mismatch)
}
