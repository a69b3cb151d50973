//! The way to a deployment's stores: the AWS SDK's ordinary environment, profiles and single sign-on
//! included, or the `dev.env` of a running `latchkey dev`.

use std::env;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_dynamodb::config::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_http_client::Builder as HttpClient;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use clap::Args;
use shared::cache::chain;
use shared::store::api_keys::ApiKeys;
use shared::store::attempts::Attempts;
use shared::store::clients::Clients;
use shared::store::refresh::Families;
use shared::store::rotation::RotationError;
use shared::store::signing_secret::{SecretError, SigningSecret};
use shared::store::table::{StoreError, Table};
use shared::store::trust::TrustStore;
use shared::store::users::Users;

/// Long enough for a far region over a slow line, short enough for somebody who waits.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);
const OPERATION_TIMEOUT: Duration = Duration::from_secs(6);

/// Which table.
#[derive(Args)]
pub struct TableArgs {
    /// DynamoDB table of the deployment
    #[arg(long, env = "TABLE_NAME", global = true, hide_env_values = true, value_name = "NAME")]
    table: Option<String>,
}

/// Which signing secret.
#[derive(Args)]
pub struct SecretArgs {
    /// Name or ARN of the secret that holds the signing keys
    #[arg(long, env = "SIGNING_SECRET_ID", global = true, hide_env_values = true, value_name = "ID")]
    signing_secret: Option<String>,
}

/// The stores of one deployment.
pub struct Connection {
    /// The clients.
    pub clients: Clients,
    /// The users.
    pub users: Users,
    /// The API keys.
    pub api_keys: ApiKeys,
    /// The trust bundle.
    pub trust: TrustStore,
    /// The sessions.
    pub families: Families,
    /// The attempts to sign in.
    pub attempts: Attempts,
    secrets_manager: aws_sdk_secretsmanager::Client,
    table: String,
    region: String,
}

impl Connection {
    /// Finds the way. Nothing is asked of a store yet.
    ///
    /// # Errors
    /// No table's name, no region, no credentials.
    pub async fn open(args: &TableArgs) -> anyhow::Result<Self> {
        let table = given(args.table.as_ref(), "TABLE_NAME")?;
        let config = load_config().await?;
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        let in_table = Table::new(aws_sdk_dynamodb::Client::new(&config), table);
        Ok(Self {
            clients: Clients::new(in_table.clone()),
            users: Users::new(in_table.clone()),
            api_keys: ApiKeys::new(in_table.clone()),
            trust: TrustStore::new(in_table.clone()),
            families: Families::new(in_table.clone()),
            attempts: Attempts::new(in_table),
            secrets_manager: aws_sdk_secretsmanager::Client::new(&config),
            table: table.to_owned(),
            region,
        })
    }

    /// The signing secret, which must be there: one that isn't reads like one that is still empty, and a
    /// key made for it would take every other key's place in the trust bundle.
    ///
    /// # Errors
    /// No name of a secret, no such secret, no answer.
    pub async fn signing_secret(&self, args: &SecretArgs) -> anyhow::Result<SigningSecret> {
        let id = given(args.signing_secret.as_ref(), "SIGNING_SECRET_ID")?;
        match self.secrets_manager.describe_secret().secret_id(id).send().await {
            Ok(_) => Ok(SigningSecret::new(self.secrets_manager.clone(), id)),
            Err(error) => Err(SecretError::Unreachable(chain(&error)).into()),
        }
    }

    /// Lets a subject in again if it was shut out. Otherwise nothing is written: its live tokens stay good.
    ///
    /// # Errors
    /// A store that does not answer.
    pub async fn readmit(&self, subject: &str, now: u64) -> Result<(), StoreError> {
        if self.trust.bundle().await?.is_shut_out(subject, now) {
            self.trust.readmit(subject, now).await?;
        }
        Ok(())
    }

    /// Puts a store's complaint into words that say what to do next; any other error stays as it is.
    pub fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        let place = |service: &str, variable| match endpoint(variable) {
            Some(url) => Place { name: format!("{service} at {url}"), local: true },
            None => Place { name: format!("{service} in {}", self.region), local: false },
        };
        let error = match error.downcast() {
            Ok(RotationError::Store(error)) => error.into(),
            Ok(RotationError::Secret(error)) => error.into(),
            Ok(error) => error.into(),
            Err(error) => error,
        };
        if let Some(StoreError::Unreachable(text)) = error.downcast_ref() {
            let place = place("DynamoDB", "AWS_ENDPOINT_URL_DYNAMODB");
            return advice(text, &format!("table {}", self.table), "TABLE_NAME", &place);
        }
        if let Some(SecretError::Unreachable(text)) = error.downcast_ref() {
            let place = place("Secrets Manager", "AWS_ENDPOINT_URL_SECRETS_MANAGER");
            return advice(text, "secret of that id", "SIGNING_SECRET_ID", &place);
        }
        error
    }
}

fn given<'a>(value: Option<&'a String>, variable: &str) -> anyhow::Result<&'a str> {
    value.map(String::as_str).filter(|value| !value.is_empty()).ok_or_else(|| {
        anyhow!("{variable} is not set: take it from the stack's outputs, or `source .latchkey/dev.env`")
    })
}

/// The endpoint that the environment puts in place of AWS's own.
fn endpoint(variable: &str) -> Option<String> {
    [variable, "AWS_ENDPOINT_URL"]
        .into_iter()
        .find_map(|name| env::var(name).ok().filter(|url| !url.is_empty()))
}

async fn load_config() -> anyhow::Result<SdkConfig> {
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(HttpClient::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https())
        .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(100)))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .operation_timeout(OPERATION_TIMEOUT)
                .build(),
        )
        .load()
        .await;
    if config.region().is_none() {
        bail!("no AWS region is set: set AWS_REGION or a profile, or `source .latchkey/dev.env`");
    }
    // Once and first: a missing sign-in is told apart from a store that does not answer, and a process
    // that asks for a second factor asks one time.
    let provider = config.credentials_provider().context("there are no AWS credentials")?;
    let credentials = provider.provide_credentials().await.map_err(|error| {
        let error = one_line(&chain(&error));
        anyhow!(
            "there are no AWS credentials: sign in (`aws sso login`), or `source .latchkey/dev.env` ({error})"
        )
    })?;
    Ok(config.into_builder().credentials_provider(SharedCredentialsProvider::new(credentials)).build())
}

/// Where a service is.
struct Place {
    name: String,
    local: bool,
}

/// What to do about an answer of AWS's, or about none.
fn advice(text: &str, what: &str, variable: &str, place: &Place) -> anyhow::Error {
    let text = one_line(text);
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let Place { name, local } = place;
    if says(&["ResourceNotFoundException"]) {
        anyhow!("there is no {what} in {name}: is {variable} right?")
    } else if says(&["ExpiredToken", "UnrecognizedClient", "InvalidSignature", "IncompleteSignature"]) {
        anyhow!("AWS does not take the credentials: sign in again (`aws sso login`) ({text})")
    } else if says(&["AccessDenied"]) {
        anyhow!("AWS does not allow it: ask for the permission or take another profile ({text})")
    } else if says(&["dispatch failure", "timed out", "timeout"]) && *local {
        anyhow!("can't reach {name}: is `latchkey dev` running? `source .latchkey/dev.env` ({text})")
    } else if says(&["dispatch failure", "timed out", "timeout"]) {
        anyhow!("can't reach {name}: check the network and AWS_REGION ({text})")
    } else {
        anyhow!("{name}: {text}")
    }
}

/// Errors are one line, whatever AWS or a credential process said.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advised(text: &str, local: bool) -> String {
        let place = Place { name: "DynamoDB at HERE".to_owned(), local };
        advice(text, "table T", "TABLE_NAME", &place).to_string()
    }

    #[test]
    fn a_complaint_says_what_to_do() {
        for (text, local, words) in [
            ("service error: ResourceNotFoundException: no", false, "is TABLE_NAME right?"),
            ("service error: ExpiredTokenException: the token has expired", false, "aws sso login"),
            ("service error: AccessDeniedException: no", false, "ask for the permission"),
            ("dispatch failure: io error: refused", true, "is `latchkey dev` running?"),
            ("request has timed out: operation timeout", false, "check the network"),
            (
                "service error:\n ValidationException",
                false,
                "DynamoDB at HERE: service error: ValidationException",
            ),
        ] {
            let advised = advised(text, local);
            assert!(advised.contains(words) && !advised.contains('\n'), "{advised}");
        }
    }
}
