//! Rotation of the signing keys, in the four steps of Secrets Manager
//! (docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html). Each step can be
//! interrupted anywhere and repeated.
//!
//! The public key is published before the private key can sign. The key becomes active when its version of the secret
//! is current and all caches have had time to load the public key. Until then, and whatever fails, the previous keys
//! sign.

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
use crate::trust::published_keys::PublishedKey;
use crate::trust::store::TrustStore;

/// Maximum age of a cached JWKS, in seconds: two hours in API Gateway's JWT authorizer, and the time that a cache in
/// between may keep our JWKS, which may itself be stale.
pub const MAX_KEY_CACHE_AGE: u64 = 2 * 3600 + MAX_AGE + OUTAGE;

/// Default lead time of a new key, in seconds. Invariant: longer than [`MAX_KEY_CACHE_AGE`], with a margin for clocks.
pub const DEFAULT_LEAD: u64 = 4 * 3600;

const _: () = assert!(DEFAULT_LEAD > MAX_KEY_CACHE_AGE);

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The published keys could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The secret could not be read or written.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The step before was not taken.
    #[error("secret version not found; start the rotation with createSecret")]
    NotCreated,
    /// A concurrent rotation or revocation has made this version out of date.
    #[error("superseded by a concurrent rotation or revocation; retry")]
    Superseded,
    /// A published key does not verify signatures of the private key.
    #[error("published public keys do not match the private keys in the secret")]
    Mismatch,
    /// No such key, or it has retired.
    #[error("no signing key in use has this id; `latchkey signing-key status` lists the keys")]
    UnknownKey,
}

impl From<BadKey> for RotationError {
    fn from(error: BadKey) -> Self {
        Self::Secret(error.into())
    }
}

/// Rotates the secret and the published keys together.
#[derive(Clone)]
pub struct Rotation {
    secret: SigningSecret,
    trust: TrustStore,
}

impl Rotation {
    /// The rotation of this secret and these published keys.
    pub fn new(secret: SigningSecret, trust: TrustStore) -> Self {
        Self { secret, trust }
    }

    /// `createSecret`: writes a pending version with the current keys and a new one.
    pub async fn create(&self, token: &str, algorithm: Algorithm, now: u64) -> Result<(), RotationError> {
        if self.secret.version(token).await?.is_some() {
            return Ok(());
        }
        let mut document = self.current_document().await?;
        let schedule = self.trust.key_schedule().await?;
        let good = |scheduled: &ScheduledKey<PublishedKey>| !scheduled.has_retired(now);
        document.keys.retain(|key| find(&schedule, key.key_id()).is_some_and(good));
        document.keys.push(StoredKey::generate(algorithm)?);
        Ok(self.secret.put_pending(token, &document).await?)
    }

    /// `setSecret`: publishes the new key.
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

    /// `testSecret`: checks that the published keys verify signatures of the private keys.
    pub async fn test(&self, token: &str) -> Result<(), RotationError> {
        let Some(document) = self.pending(token).await? else { return Ok(()) };
        let schedule = self.trust.key_schedule().await?;
        for key in &document.keys {
            if let Some(scheduled) = find(&schedule, key.key_id()) {
                check_pair(key, &scheduled.key)?;
            }
        }
        match document.keys.last().and_then(|new| find(&schedule, new.key_id())) {
            None => Err(RotationError::Mismatch),
            Some(new) if new.revoked => Err(RotationError::Superseded),
            Some(_) => Ok(()),
        }
    }

    /// `finishSecret`: makes the version current and schedules the new key, `lead` seconds after its publication. If no
    /// other available key signs, it is active at once, because there are no tokens of a predecessor.
    pub async fn finish(&self, token: &str, lead: u64, now: u64) -> Result<(), RotationError> {
        if let Some(document) = self.pending(token).await? {
            let current = self.secret.current().await?;
            let schedule = self.trust.key_schedule().await?;
            let lacks = |key: &StoredKey| {
                !document.holds(key.key_id())
                    && find(&schedule, key.key_id()).is_some_and(|scheduled| !scheduled.has_retired(now))
            };
            if current.iter().flat_map(|current| &current.document.keys).any(lacks) {
                return Err(RotationError::Superseded);
            }
            let current = current.map(|current| current.id);
            match self.secret.make_current(token, current.as_deref()).await {
                Err(SecretError::Changed) => return Err(RotationError::Superseded),
                result => result?,
            }
        }
        self.begin(lead, now).await?;
        // Otherwise the next rotation would take this current version for its pending one.
        Ok(self.secret.drop_pending(token).await?)
    }

    /// Schedules the newest current key, if it is not scheduled yet. This is the last step of a rotation. It also
    /// repairs an interrupted rotation, and a table or a secret that was restored.
    pub async fn begin(&self, lead: u64, now: u64) -> Result<(), RotationError> {
        let document = self.current_document().await?;
        let newest = document.keys.last().map(published).transpose()?;
        let change = |keys: &mut KeySchedule<PublishedKey>| {
            if let Some(newest) = newest.as_ref().filter(|newest| find(keys, &newest.kid).is_none()) {
                keys.publish(newest.clone(), now);
            }
            keys.activate_pending(|key| document.holds(&key.kid), now, lead);
        };
        Ok(self.trust.update_keys(change).await?)
    }

    /// Abandons a pending version that cannot become current any longer, so that the next rotation does not continue
    /// it.
    pub async fn abandon(&self, token: &str) -> Result<(), RotationError> {
        let pending = self.secret.version(token).await?.is_some_and(|version| version.is_pending());
        if pending { Ok(self.secret.drop_pending(token).await?) } else { Ok(()) }
    }

    /// A whole rotation. It continues an interrupted one, unless that has another algorithm or is out of date.
    pub async fn rotate(&self, algorithm: Algorithm, lead: u64, now: u64) -> Result<(), RotationError> {
        if let Some(Version { id, document, .. }) = self.secret.pending().await? {
            let fits = document.keys.last().is_some_and(|key| key.algorithm() == algorithm);
            let continued = if fits {
                self.steps(&id, algorithm, lead, now).await
            } else {
                Err(RotationError::Superseded)
            };
            match continued {
                Err(RotationError::Superseded) => self.abandon(&id).await?,
                result => return result,
            }
        }
        // Secrets Manager requires 32 to 64 characters.
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

    /// Whether a published key of the current version can sign at this time.
    pub async fn signs(&self, then: u64) -> Result<bool, RotationError> {
        let (schedule, document) = (self.trust.key_schedule().await?, self.current_document().await?);
        Ok(schedule.eligible_signers(then).any(|key| document.holds(&key.kid)))
    }

    /// Revokes a key. Its tokens are rejected as soon as the trust snapshot is reloaded, and another key signs from now
    /// on.
    ///
    /// # Errors
    /// A store is unavailable. If no successor can be made, the key is revoked nevertheless.
    pub async fn revoke(&self, key_id: &str, algorithm: Algorithm, now: u64) -> Result<(), RotationError> {
        let is_it = |key: &PublishedKey| key.kid == key_id;
        let schedule = self.trust.key_schedule().await?;
        if !schedule.iter().any(|scheduled| is_it(&scheduled.key) && !scheduled.has_retired(now)) {
            return Err(RotationError::UnknownKey);
        }
        // The successor comes first, so that there is always a key that signs.
        let successor = self.successor(key_id, schedule, algorithm, now).await;
        let document = self.current_document().await.ok();
        // If the secret can't be read, its keys count as available.
        let in_use = |key: &PublishedKey| document.as_ref().is_none_or(|document| document.holds(&key.kid));
        self.trust.update_keys(|keys| keys.revoke(is_it, in_use, now)).await?;
        successor
    }

    /// Ensures that a key signs when this one is revoked.
    async fn successor(
        &self,
        key_id: &str,
        mut schedule: KeySchedule<PublishedKey>,
        algorithm: Algorithm,
        now: u64,
    ) -> Result<(), RotationError> {
        // The keys of a pending version may have leaked too.
        if let Some(Version { id, .. }) = self.secret.pending().await? {
            self.abandon(&id).await?;
        }
        let document = self.current_document().await?;
        let in_use = |key: &PublishedKey| document.holds(&key.kid);
        schedule.revoke(|key| key.kid == key_id, in_use, now);
        if schedule.eligible_signers(now).any(in_use) { Ok(()) } else { self.rotate(algorithm, 0, now).await }
    }

    async fn current_document(&self) -> Result<KeyDocument, RotationError> {
        Ok(self.secret.current().await?.map(|version| version.document).unwrap_or_default())
    }

    /// The document of a pending version, or none if the version is current. A version that lost its label must not be
    /// continued, because it may contain a key that was revoked since.
    async fn pending(&self, token: &str) -> Result<Option<KeyDocument>, RotationError> {
        match self.secret.version(token).await?.ok_or(RotationError::NotCreated)? {
            version if version.is_current() => Ok(None),
            version if version.is_pending() => Ok(Some(version.document)),
            _ => Err(RotationError::Superseded),
        }
    }
}

fn find<'a>(keys: &'a KeySchedule<PublishedKey>, key_id: &str) -> Option<&'a ScheduledKey<PublishedKey>> {
    keys.iter().find(|scheduled| scheduled.key.kid == key_id)
}

/// The public half of a key.
fn published(key: &StoredKey) -> Result<PublishedKey, BadKey> {
    Ok(PublishedKey { kid: key.key_id().to_owned(), jwk: key.parse()?.public_jwk().to_string() })
}

/// Checks that the published key verifies a signature of the private key.
fn check_pair(private: &StoredKey, published: &PublishedKey) -> Result<(), RotationError> {
    let token = private.parse()?.sign("rotation-test", &json!({}))?;
    let proof = || -> Result<(), JwtError> {
        let jwk: StrictObject = serde_json::from_str(&published.jwk).map_err(|_| JwtError::UnknownKey)?;
        let key = PublicKey::from_jwk(&jwk).map_err(|_| JwtError::UnknownKey)?;
        let jwt = UnverifiedJwt::parse(token.expose_secret(), usize::MAX)?;
        jwt.verify(&key).map(drop)
    };
    proof().map_err(|_| RotationError::Mismatch)
}
