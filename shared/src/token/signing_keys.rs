//! The signing keys in Secrets Manager: one secret that holds the whole timeline.

use std::sync::Arc;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::keyring::Keyring;
use super::private_key::{BadKey, PrivateKey};
use crate::cache::{Cache, Limits, Loaded, Unavailable, chain};
use crate::wire::jose::Algorithm;

/// How long the secret is used without being read again, in seconds. Invariant: part of the lead that a
/// new key is given, so that every instance knows it before it signs.
pub const FRESH_FOR: u64 = 300;

/// Through an outage of Secrets Manager a warm function goes on signing for an hour.
const LIMITS: Limits = Limits { usable_for: 3600, cool_down: 2 };

/// The secret as it is stored.
#[derive(Default, Serialize, Deserialize)]
pub struct KeyDocument {
    /// The keys with their times.
    pub keys: Keyring<StoredKey>,
}

/// A private key at rest.
#[derive(Clone, Serialize, Deserialize)]
pub struct StoredKey {
    kid: String,
    algorithm: Algorithm,
    #[serde(serialize_with = "expose")]
    pkcs8: SecretString,
}

/// The one place where a private key is written: into the secret.
fn expose<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

impl StoredKey {
    /// Makes a new key.
    pub fn generate(algorithm: Algorithm) -> Result<Self, BadKey> {
        let pkcs8 = PrivateKey::generate(algorithm)?;
        let kid = PrivateKey::parse(algorithm, &pkcs8)?.key_id().to_owned();
        Ok(Self { kid, algorithm, pkcs8 })
    }

    /// The key's id.
    pub fn key_id(&self) -> &str {
        &self.kid
    }

    /// The key's algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn parse(&self) -> Result<PrivateKey, BadKey> {
        PrivateKey::parse(self.algorithm, &self.pkcs8)
    }

    /// The public half, as a JWK.
    pub fn public_jwk(&self) -> Result<Value, BadKey> {
        self.parse().map(|key| key.public_jwk().clone())
    }
}

/// The secret can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Secrets Manager did not answer, or refused.
    #[error("Secrets Manager: {0}")]
    Unreachable(String),
    /// What the secret holds is not a key document.
    #[error("the signing secret does not hold a key document")]
    Malformed,
    /// A key in it can't be used.
    #[error(transparent)]
    BadKey(#[from] BadKey),
}

/// The secret in Secrets Manager.
#[derive(Clone)]
pub struct SigningSecret {
    client: Client,
    id: String,
}

impl SigningSecret {
    /// By its name or ARN.
    pub fn new(client: Client, id: impl Into<String>) -> Self {
        Self { client, id: id.into() }
    }

    /// Reads the document. A secret that has no value yet has no keys.
    pub async fn read(&self) -> Result<KeyDocument, SecretError> {
        let text = match self.client.get_secret_value().secret_id(&self.id).send().await {
            Ok(output) => output.secret_string.ok_or(SecretError::Malformed)?,
            Err(error) => match error.as_service_error() {
                Some(GetSecretValueError::ResourceNotFoundException(_)) => return Ok(KeyDocument::default()),
                _ => return Err(SecretError::Unreachable(chain(&error))),
            },
        };
        serde_json::from_str(&text).map_err(|_| SecretError::Malformed)
    }

    /// Writes the document as the secret's current version.
    pub async fn write(&self, document: &KeyDocument) -> Result<(), SecretError> {
        let text = serde_json::to_string(document).map_err(|_| SecretError::Malformed)?;
        let put = self.client.put_secret_value().secret_id(&self.id).secret_string(text);
        put.send().await.map(drop).map_err(|error| SecretError::Unreachable(chain(&error)))
    }
}

/// The keys, read from the secret and kept parsed.
pub struct SigningKeys {
    secret: SigningSecret,
    cache: Cache<Keyring<Arc<PrivateKey>>>,
}

impl SigningKeys {
    /// Nothing is read yet.
    pub fn new(secret: SigningSecret) -> Self {
        Self { secret, cache: Cache::new(LIMITS) }
    }

    /// The key that signs now.
    pub async fn current(&self, now: u64) -> Result<Arc<PrivateKey>, Unavailable> {
        let keys = self.cache.get(now, async || self.load().await).await?;
        let current = keys.signing(now).cloned();
        current.ok_or_else(|| Unavailable::new("no signing key: run `latchkey signing-key rotate`"))
    }

    async fn load(&self) -> Result<Loaded<Keyring<Arc<PrivateKey>>>, SecretError> {
        let document = self.secret.read().await?;
        let value = document.keys.try_map(|key| key.parse().map(Arc::new))?;
        // Without a key the first one is waited for, so the secret is asked again soon.
        let fresh_for = if value.iter().next().is_some() { FRESH_FOR } else { LIMITS.cool_down };
        Ok(Loaded { value, fresh_for })
    }
}
