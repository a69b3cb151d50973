//! The emulators of DynamoDB and Secrets Manager, and the stand-in issuer for Google.

use sam_template::REGION;
use secrecy::{ExposeSecret, SecretString};

use super::Options;
use super::access_key::AccessKey;
use super::data::DataFolder;
use super::env_file::Environment;
use super::server::{Server, listen_again};
use super::{dynamodb, google, secrets_manager};

/// The local table's name.
pub const TABLE_NAME: &str = "latchkey";
/// The local signing secret's name.
pub const SIGNING_SECRET_ID: &str = "latchkey/signing-keys";
/// The variable of `dev.env` for the embedded engine's endpoint.
pub const EMBEDDED_DYNAMODB: &str = "LATCHKEY_EMBEDDED_DYNAMODB";

const DYNAMODB_URL: &str = "AWS_ENDPOINT_URL_DYNAMODB";
const SECRETS_MANAGER_URL: &str = "AWS_ENDPOINT_URL_SECRETS_MANAGER";
const GOOGLE_JWKS_URL: &str = "GOOGLE_JWKS_URL";

/// The running emulators.
pub struct Emulators {
    access_key: AccessKey,
    secrets_manager: Server,
    google: Server,
    google_key: SecretString,
    dynamodb: DynamoDb,
}

enum DynamoDb {
    Embedded(Server),
    Foreign(String),
}

impl Emulators {
    /// Starts the emulators on the ports of the last run, which wrote `before`, with the data of the folder.
    ///
    /// # Errors
    /// Data that can't be used.
    pub async fn start(options: &Options, folder: &DataFolder, before: &Environment) -> anyhow::Result<Self> {
        let kept = (!options.ephemeral).then_some(folder);
        let access_key = AccessKey::restored_or_new(before);
        let listener = listen_again(before.get(SECRETS_MANAGER_URL)).await?;
        let secrets_manager = secrets_manager::start(listener, access_key.clone(), kept.cloned()).await?;

        let kept_key = before.get(google::KEY_VARIABLE).map(|text| SecretString::from(text.as_str()));
        let google_key = match kept_key.filter(|key| google::parse_key(key).is_ok()) {
            Some(key) => key,
            None => google::generate_key()?,
        };
        let listener = listen_again(before.get(GOOGLE_JWKS_URL)).await?;
        let google = google::start(listener, &google::parse_key(&google_key)?)?;

        let dynamodb = match &options.dynamodb {
            Some(url) => DynamoDb::Foreign(url.clone()),
            None => {
                let listener = listen_again(before.get(EMBEDDED_DYNAMODB)).await?;
                DynamoDb::Embedded(dynamodb::start(listener, access_key.clone(), kept)?)
            }
        };
        Ok(Self { access_key, secrets_manager, google, google_key, dynamodb })
    }

    /// The variables of every function that Lambda and the AWS SDKs set.
    pub fn everywhere(&self) -> Environment {
        let dynamodb = match &self.dynamodb {
            DynamoDb::Embedded(server) => server.url(),
            DynamoDb::Foreign(url) => url,
        };
        let mut environment = self.access_key.environment();
        environment.extend(pairs([
            (DYNAMODB_URL, dynamodb),
            (SECRETS_MANAGER_URL, self.secrets_manager.url()),
            ("AWS_REGION", REGION),
        ]));
        environment
    }

    /// The local values for variables that the template sets.
    pub fn values(&self) -> Environment {
        pairs([
            ("GOOGLE_CLIENT_IDS", google::CLIENT_ID),
            (GOOGLE_JWKS_URL, &format!("{}{}", self.google.url(), google::JWKS_PATH)),
            ("SIGNING_SECRET_ID", SIGNING_SECRET_ID),
            ("TABLE_NAME", TABLE_NAME),
        ])
    }

    /// The emulators' part of `dev.env`.
    pub fn environment(&self) -> Environment {
        let mut environment = self.everywhere();
        environment.extend(self.values());
        environment.extend(pairs([
            (google::KEY_VARIABLE, self.google_key.expose_secret()),
            // Python's SDK, which SAM uses, reads the region from this variable only.
            ("AWS_DEFAULT_REGION", REGION),
        ]));
        if let DynamoDb::Embedded(server) = &self.dynamodb {
            environment.extend(pairs([(EMBEDDED_DYNAMODB, server.url())]));
        }
        environment
    }

    /// The servers, for the caller to stop.
    pub fn into_servers(self) -> Vec<Server> {
        let mut servers = vec![self.google, self.secrets_manager];
        if let DynamoDb::Embedded(server) = self.dynamodb {
            servers.push(server);
        }
        servers
    }
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Environment {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
