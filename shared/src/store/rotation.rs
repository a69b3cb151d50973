//! A new signing key: published first, stored second, signing last.

use super::table::StoreError;
use super::trust::{PublishedKey, TrustStore};
use crate::token::keyring::Keyring;
use crate::token::private_key::BadKey;
use crate::token::signing_keys::{FRESH_FOR, KeyDocument, SecretError, SigningSecret, StoredKey};
use crate::wire::jose::Algorithm;

/// How long somebody may not have heard of a key that is published, in seconds: two hours in API Gateway's
/// JWT authorizer, the hour that our JWKS answer lets a cache on the way keep it, and the signers' cache
/// of the secret.
pub const CACHES: u64 = 2 * 3600 + 3600 + FRESH_FOR;

/// The lead of a new key unless somebody chose one, in seconds. Invariant: beyond [`CACHES`], with room
/// for clocks that differ.
pub const DEFAULT_LEAD: u64 = 4 * 3600;

const _: () = assert!(DEFAULT_LEAD > CACHES);

/// Why no key was added. Whatever step failed, the keys that signed before go on.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The trust bundle could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The secret could not be read or written.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// Adds a key that signs `lead` seconds from now, or at once if there is none yet. The public half is in
/// the trust bundle before the private one is in the secret, so nothing is ever signed by a key that
/// verifiers don't know.
pub async fn rotate(
    secret: &SigningSecret,
    trust: &TrustStore,
    algorithm: Algorithm,
    lead: u64,
    now: u64,
) -> Result<KeyDocument, RotationError> {
    let mut document = secret.read().await?;
    let key = StoredKey::generate(algorithm).map_err(SecretError::from)?;
    document.keys.append(key, now, lead);
    trust.publish(public(&document).map_err(SecretError::from)?).await?;
    secret.write(&document).await?;
    Ok(document)
}

fn public(document: &KeyDocument) -> Result<Keyring<PublishedKey>, BadKey> {
    document
        .keys
        .try_map(|key| Ok(PublishedKey { kid: key.key_id().to_owned(), jwk: key.public_jwk()?.to_string() }))
}
