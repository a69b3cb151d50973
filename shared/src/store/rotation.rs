//! Another signing key: in the four steps of a Secrets Manager rotation
//! (docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html), each of which
//! may be cut off anywhere and be run again.
//!
//! The public half is in the trust bundle before the private one is in use, and the key signs only when every
//! cache has had time to hear of it. Until then, and whatever fails, the keys that signed before go on.

use super::signing_secret::{KeyDocument, SecretError, SigningSecret, StoredKey, Version};
use super::table::StoreError;
use super::trust::{PublishedKey, TrustStore};
use crate::identity::secrets::random_id;
use crate::token::jwt::{JwtError, UnverifiedJwt};
use crate::token::key::PublicKey;
use crate::token::keyring::{Keyring, Timed};
use crate::token::members::Members;
use crate::token::private_key::BadKey;
use crate::wire::jose::Algorithm;

/// How long somebody may not have heard of a key that is published, in seconds: two hours in API Gateway's
/// JWT authorizer, and the hour that our JWKS answer lets a cache on the way keep it.
pub const CACHES: u64 = 2 * 3600 + 3600;

/// The lead of a new key unless somebody chose one, in seconds. Invariant: beyond [`CACHES`], with room
/// for clocks that differ.
pub const DEFAULT_LEAD: u64 = 4 * 3600;

const _: () = assert!(DEFAULT_LEAD > CACHES);

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

/// Which key takes over from a revoked one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Successor {
    /// One that was there.
    Known,
    /// A new one: caches have not heard of it.
    New,
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
        let mut document = self.trusted(now).await?;
        document.keys.push(StoredKey::generate(algorithm)?);
        Ok(self.secret.put_pending(token, &document).await?)
    }

    /// `setSecret`: publishes the new key, which signs `lead` seconds from now. If no key signs that the
    /// functions have, it signs at once: nobody can be waiting for a predecessor's tokens.
    pub async fn publish(&self, token: &str, lead: u64, now: u64) -> Result<(), RotationError> {
        let Some(document) = self.pending(token).await? else { return Ok(()) };
        let new = document.keys.last().ok_or(RotationError::NotCreated)?;
        let jwk = new.parse()?.public_jwk().to_string();
        let change = |keys: &mut Keyring<PublishedKey>| {
            if find(keys, new.key_id()).is_none() {
                let waits = keys.signing(now).any(|key| document.holds(&key.kid));
                let signs_from = if waits { now.saturating_add(lead) } else { now };
                let key = PublishedKey { kid: new.key_id().to_owned(), jwk: jwk.clone() };
                keys.append(key, now, signs_from);
            }
        };
        self.trust.revise(change).await?;
        Ok(())
    }

    /// `testSecret`: each key signs, what it signs verifies with what is published, and one of them signs
    /// now.
    pub async fn test(&self, token: &str, now: u64) -> Result<(), RotationError> {
        let Some(document) = self.pending(token).await? else { return Ok(()) };
        let timeline = self.trust.timeline().await?;
        for key in &document.keys {
            // One that retired or was revoked since then does no harm: it has no turn.
            if let Some(timed) = find(&timeline, key.key_id()) {
                prove(key, &timed.key)?;
            }
        }
        let new = document.keys.last().and_then(|key| find(&timeline, key.key_id()));
        match new {
            None => Err(RotationError::Mismatch),
            Some(new) if !new.is_trusted(now) => Err(RotationError::Overtaken),
            Some(_) if !timeline.signing(now).any(|key| document.holds(&key.kid)) => {
                Err(RotationError::Mismatch)
            }
            Some(_) => Ok(()),
        }
    }

    /// `finishSecret`: takes the version into use.
    pub async fn finish(&self, token: &str, now: u64) -> Result<(), RotationError> {
        let Some(document) = self.pending(token).await? else { return Ok(()) };
        let current = self.secret.current().await?;
        let timeline = self.trust.timeline().await?;
        let lacks = |key: &StoredKey| {
            !document.holds(key.key_id())
                && find(&timeline, key.key_id()).is_some_and(|timed| timed.is_trusted(now))
        };
        if current.iter().flat_map(|current| &current.document.keys).any(lacks) {
            return Err(RotationError::Overtaken);
        }
        let current = current.map(|current| current.id);
        match self.secret.make_current(token, current.as_deref()).await {
            Err(SecretError::Changed) => Err(RotationError::Overtaken),
            result => Ok(result?),
        }
    }

    /// A whole rotation, as Secrets Manager would have it done. One that was cut off is carried on with; one
    /// that can't be any more is given up.
    pub async fn rotate(&self, algorithm: Algorithm, lead: u64, now: u64) -> Result<(), RotationError> {
        if let Some(Version { id, .. }) = self.secret.pending().await? {
            match self.steps(&id, algorithm, lead, now).await {
                Err(RotationError::Overtaken) => self.secret.drop_pending(&id).await?,
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
        self.publish(token, lead, now).await?;
        self.test(token, now).await?;
        self.finish(token, now).await
    }

    /// Whether there is a key that signs now: published, and in the secret.
    pub async fn signs(&self, now: u64) -> Result<bool, RotationError> {
        let timeline = self.trust.timeline().await?;
        let held = self.secret.current().await?.map(|version| version.document).unwrap_or_default();
        Ok(timeline.signing(now).any(|key| held.holds(&key.kid)))
    }

    /// Ends a key now: what it signed is refused as soon as the trust bundle is read again, and another key
    /// signs from now on.
    ///
    /// # Errors
    /// When a store does not answer. If a successor can't be had, the key is revoked all the same.
    pub async fn revoke(
        &self,
        key_id: &str,
        algorithm: Algorithm,
        now: u64,
    ) -> Result<Successor, RotationError> {
        let is_it = |key: &PublishedKey| key.kid == key_id;
        let mut timeline = self.trust.timeline().await?;
        if !timeline.iter().any(|timed| is_it(&timed.key) && timed.is_trusted(now)) {
            return Err(RotationError::UnknownKey);
        }
        timeline.revoke(now, is_it);
        let known = self.secret.current().await.map(|version| {
            let held = version.map(|version| version.document).unwrap_or_default();
            timeline.signing(now).any(|key| held.holds(&key.kid))
        });
        // A successor first, so that there is no moment without one.
        let successor = match known {
            Ok(true) => Ok(Successor::Known),
            Ok(false) => self.rotate(algorithm, 0, now).await.map(|()| Successor::New),
            Err(error) => Err(error.into()),
        };
        self.trust.revise(|keys| keys.revoke(now, is_it)).await?;
        successor
    }

    /// The keys of the version in use that are, or will be, good to verify with.
    async fn trusted(&self, now: u64) -> Result<KeyDocument, RotationError> {
        let mut document = self.secret.current().await?.map(|version| version.document).unwrap_or_default();
        let timeline = self.trust.timeline().await?;
        document.keys.retain(|key| find(&timeline, key.key_id()).is_some_and(|timed| timed.is_trusted(now)));
        Ok(document)
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

fn find<'a>(keys: &'a Keyring<PublishedKey>, key_id: &str) -> Option<&'a Timed<PublishedKey>> {
    keys.iter().find(|timed| timed.key.kid == key_id)
}

/// What the private half signs, the published one verifies.
fn prove(private: &StoredKey, published: &PublishedKey) -> Result<(), RotationError> {
    let token = private.parse()?.sign("rotation-test", &serde_json::json!({}))?;
    let proof = || -> Result<(), JwtError> {
        let jwk: Members = serde_json::from_str(&published.jwk).map_err(|_| JwtError::UnknownKey)?;
        let key = PublicKey::from_jwk(&jwk).map_err(|_| JwtError::UnknownKey)?;
        let jwt = UnverifiedJwt::parse(secrecy::ExposeSecret::expose_secret(&token), usize::MAX)?;
        jwt.verify(&key).map(drop)
    };
    proof().map_err(|_| RotationError::Mismatch)
}
