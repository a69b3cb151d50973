//! The private keys in Secrets Manager: one secret that holds them all. When each of them signs is not
//! written here but in the trust bundle, for all to see.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::SdkError;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use aws_sdk_secretsmanager::operation::get_secret_value::builders::GetSecretValueFluentBuilder;
use aws_sdk_secretsmanager::operation::put_secret_value::PutSecretValueError;
use aws_sdk_secretsmanager::operation::update_secret_version_stage::UpdateSecretVersionStageError;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

use crate::jose::algorithm::Algorithm;
use crate::runtime::aws::{Aws, service_config};
use crate::runtime::cache::display_chain;
use crate::signing::private_key::{BadKey, PrivateKey};

/// The label of the version that is in use.
const CURRENT: &str = "AWSCURRENT";
/// The label of the version that is to be.
const PENDING: &str = "AWSPENDING";

/// The secret as it is stored.
#[derive(Default, Serialize, Deserialize)]
pub struct KeyDocument {
    /// The keys, in the order in which they were made.
    pub keys: Vec<StoredKey>,
}

impl KeyDocument {
    /// Whether a key is in it.
    pub fn holds(&self, key_id: &str) -> bool {
        self.keys.iter().any(|key| key.key_id() == key_id)
    }
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

    /// The key, to sign with.
    pub fn parse(&self) -> Result<PrivateKey, BadKey> {
        PrivateKey::parse(self.algorithm, &self.pkcs8)
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
    /// It is no longer what the writer saw.
    #[error("somebody else changed the signing secret meanwhile")]
    Changed,
}

/// A version of the secret.
pub struct Version {
    /// Its id: the client request token that it was written with.
    pub id: String,
    /// What it holds.
    pub document: KeyDocument,
    labels: Vec<String>,
}

impl Version {
    /// Whether it is the one in use.
    pub fn is_current(&self) -> bool {
        self.labels.iter().any(|label| label == CURRENT)
    }

    /// Whether it is to be in use and isn't yet: after a rotation both labels are at one version.
    pub fn is_pending(&self) -> bool {
        !self.is_current() && self.labels.iter().any(|label| label == PENDING)
    }
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

    /// Reads the version in use; none in a secret that has no value yet.
    pub async fn current(&self) -> Result<Option<Version>, SecretError> {
        read(self.client.get_secret_value().secret_id(&self.id)).await
    }

    /// Reads a version by its id; none if it has not been written yet.
    pub async fn version(&self, id: &str) -> Result<Option<Version>, SecretError> {
        read(self.client.get_secret_value().secret_id(&self.id).version_id(id)).await
    }

    /// The version that is to be in use and isn't yet: of a rotation that is under way, or was interrupted.
    pub async fn pending(&self) -> Result<Option<Version>, SecretError> {
        let pending = read(self.client.get_secret_value().secret_id(&self.id).version_stage(PENDING)).await?;
        Ok(pending.filter(Version::is_pending))
    }

    /// Writes a document as the version to be in use, under an id of the caller's choice. A version is
    /// written once: when the id is taken, by a retry or by somebody who was faster, it stays as it is.
    pub async fn put_pending(&self, id: &str, document: &KeyDocument) -> Result<(), SecretError> {
        let text = serde_json::to_string(document).map_err(|_| SecretError::Malformed)?;
        let put = self
            .client
            .put_secret_value()
            .secret_id(&self.id)
            .client_request_token(id)
            .version_stages(PENDING)
            .secret_string(text);
        match put.send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(PutSecretValueError::is_resource_exists_exception) =>
            {
                Ok(())
            }
            Err(error) => Err(SecretError::Unreachable(display_chain(&error))),
        }
    }

    /// Takes a version into use in place of another, or of none.
    ///
    /// # Errors
    /// [`SecretError::Changed`] if the other one is no longer the one in use.
    pub async fn make_current(&self, id: &str, instead_of: Option<&str>) -> Result<(), SecretError> {
        let update = self
            .client
            .update_secret_version_stage()
            .secret_id(&self.id)
            .version_stage(CURRENT)
            .move_to_version_id(id)
            .set_remove_from_version_id(instead_of.map(str::to_owned));
        let Err(error) = update.send().await else { return Ok(()) };
        if !is_refused(&error) {
            return Err(SecretError::Unreachable(display_chain(&error)));
        }
        // A retry of a move that was carried out finds its own work done.
        match self.current().await? {
            Some(current) if current.id == id => Ok(()),
            _ => Err(SecretError::Changed),
        }
    }

    /// Takes the label off a version that was to be in use: because it is, or never will be.
    pub async fn drop_pending(&self, id: &str) -> Result<(), SecretError> {
        let update = self
            .client
            .update_secret_version_stage()
            .secret_id(&self.id)
            .version_stage(PENDING)
            .remove_from_version_id(id);
        match update.send().await {
            Ok(_) => Ok(()),
            // It has lost it already.
            Err(error) if is_refused(&error) => Ok(()),
            Err(error) => Err(SecretError::Unreachable(display_chain(&error))),
        }
    }

    /// When Secrets Manager rotates the secret next, in seconds since 1970, if it does.
    pub async fn next_rotation(&self) -> Result<Option<i64>, SecretError> {
        let describe = self.client.describe_secret().secret_id(&self.id);
        let secret =
            describe.send().await.map_err(|error| SecretError::Unreachable(display_chain(&error)))?;
        Ok(secret.next_rotation_date.map(|date| date.secs()))
    }
}

/// Whether a label was not where it was to be taken from.
fn is_refused<R>(error: &SdkError<UpdateSecretVersionStageError, R>) -> bool {
    error.as_service_error().is_some_and(UpdateSecretVersionStageError::is_invalid_parameter_exception)
}

async fn read(get: GetSecretValueFluentBuilder) -> Result<Option<Version>, SecretError> {
    let output = match get.send().await {
        Ok(output) => output,
        Err(error) => match error.as_service_error() {
            Some(GetSecretValueError::ResourceNotFoundException(_)) => return Ok(None),
            _ => return Err(SecretError::Unreachable(display_chain(&error))),
        },
    };
    let (Some(id), Some(text)) = (output.version_id, output.secret_string) else {
        return Err(SecretError::Malformed);
    };
    let document = serde_json::from_str(&text).map_err(|_| SecretError::Malformed)?;
    Ok(Some(Version { id, document, labels: output.version_stages.unwrap_or_default() }))
}

impl Aws {
    /// A client for Secrets Manager. It is here so that no other function than those that sign links it.
    pub fn secrets_manager(&self) -> Client {
        let config =
            service_config!(aws_sdk_secretsmanager::Config::builder(), self, self.secrets_manager_endpoint);
        Client::from_conf(config)
    }
}
