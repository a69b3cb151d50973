//! The signing secret in Secrets Manager, which contains all private keys. Their schedule is stored with the published
//! keys.

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

/// Label of the current version.
const CURRENT: &str = "AWSCURRENT";
/// Label of the pending version.
const PENDING: &str = "AWSPENDING";

/// The content of the secret.
#[derive(Default, Serialize, Deserialize)]
pub struct KeyDocument {
    /// The keys, oldest first.
    pub keys: Vec<StoredKey>,
}

impl KeyDocument {
    /// Whether the document contains a key.
    pub fn holds(&self, key_id: &str) -> bool {
        self.keys.iter().any(|key| key.key_id() == key_id)
    }
}

/// A stored private key.
#[derive(Clone, Serialize, Deserialize)]
pub struct StoredKey {
    kid: String,
    algorithm: Algorithm,
    #[serde(serialize_with = "expose")]
    pkcs8: SecretString,
}

/// Serializes a private key into the secret. No other code exposes it.
fn expose<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

impl StoredKey {
    /// Generates a key.
    pub fn generate(algorithm: Algorithm) -> Result<Self, BadKey> {
        let pkcs8 = PrivateKey::generate(algorithm)?;
        let kid = PrivateKey::parse(algorithm, &pkcs8)?.key_id().to_owned();
        Ok(Self { kid, algorithm, pkcs8 })
    }

    /// Id of the key.
    pub fn key_id(&self) -> &str {
        &self.kid
    }

    /// Algorithm of the key.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Parses the key for signing.
    pub fn parse(&self) -> Result<PrivateKey, BadKey> {
        PrivateKey::parse(self.algorithm, &self.pkcs8)
    }
}

/// The secret can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Secrets Manager did not respond, or rejected the request.
    #[error("Secrets Manager: {0}")]
    Unreachable(String),
    /// The content is not a key document.
    #[error("signing secret does not contain a key document")]
    Malformed,
    /// A key in it can't be used.
    #[error(transparent)]
    BadKey(#[from] BadKey),
    /// The secret was modified since it was read.
    #[error("signing secret was modified concurrently")]
    Changed,
}

/// A version of the secret.
pub struct Version {
    /// Version id: the client request token that it was written with.
    pub id: String,
    /// The content.
    pub document: KeyDocument,
    labels: Vec<String>,
}

impl Version {
    /// Whether the version is the current one.
    pub fn is_current(&self) -> bool {
        self.labels.iter().any(|label| label == CURRENT)
    }

    /// Whether the version is pending and not current. After a rotation one version has both labels.
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
    /// The secret with this name or ARN.
    pub fn new(client: Client, id: impl Into<String>) -> Self {
        Self { client, id: id.into() }
    }

    /// Reads the current version, or none of a secret without a value.
    pub async fn current(&self) -> Result<Option<Version>, SecretError> {
        read(self.client.get_secret_value().secret_id(&self.id)).await
    }

    /// Reads a version by its id, or none if it is not written yet.
    pub async fn version(&self, id: &str) -> Result<Option<Version>, SecretError> {
        read(self.client.get_secret_value().secret_id(&self.id).version_id(id)).await
    }

    /// Reads the pending version of a rotation in progress or of an interrupted one.
    pub async fn pending(&self) -> Result<Option<Version>, SecretError> {
        let pending = read(self.client.get_secret_value().secret_id(&self.id).version_stage(PENDING)).await?;
        Ok(pending.filter(Version::is_pending))
    }

    /// Writes a pending version with this id. A version is written once. If the id exists, by a retry or a concurrent
    /// writer, the version stays as it is.
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

    /// Makes a version current in place of another one, or of none.
    ///
    /// # Errors
    /// [`SecretError::Changed`] if the other one is no longer current.
    pub async fn make_current(&self, id: &str, instead_of: Option<&str>) -> Result<(), SecretError> {
        let update = self
            .client
            .update_secret_version_stage()
            .secret_id(&self.id)
            .version_stage(CURRENT)
            .move_to_version_id(id)
            .set_remove_from_version_id(instead_of.map(str::to_owned));
        let Err(error) = update.send().await else { return Ok(()) };
        if !is_label_moved(&error) {
            return Err(SecretError::Unreachable(display_chain(&error)));
        }
        // A retry of an applied change finds the version current.
        match self.current().await? {
            Some(current) if current.id == id => Ok(()),
            _ => Err(SecretError::Changed),
        }
    }

    /// Removes the pending label from a version.
    pub async fn drop_pending(&self, id: &str) -> Result<(), SecretError> {
        let update = self
            .client
            .update_secret_version_stage()
            .secret_id(&self.id)
            .version_stage(PENDING)
            .remove_from_version_id(id);
        match update.send().await {
            Ok(_) => Ok(()),
            // The version had lost it before.
            Err(error) if is_label_moved(&error) => Ok(()),
            Err(error) => Err(SecretError::Unreachable(display_chain(&error))),
        }
    }

    /// When Secrets Manager rotates the secret next, in seconds since 1970, or none without a schedule.
    pub async fn next_rotation(&self) -> Result<Option<i64>, SecretError> {
        let describe = self.client.describe_secret().secret_id(&self.id);
        let secret =
            describe.send().await.map_err(|error| SecretError::Unreachable(display_chain(&error)))?;
        Ok(secret.next_rotation_date.map(|date| date.secs()))
    }
}

/// Whether the label was not at the expected version.
fn is_label_moved<R>(error: &SdkError<UpdateSecretVersionStageError, R>) -> bool {
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
