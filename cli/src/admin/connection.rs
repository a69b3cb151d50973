//! The connection to a deployment's stores. The configuration is that of every AWS SDK: environment, profiles and
//! single sign-on. `dev.env` of a running `latchkey dev` is such an environment.

use std::time::Duration;
use std::{env, fmt};

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_dynamodb::config::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_http_client::Builder as HttpClient;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use axum::http::Uri;
use clap::Args;
use shared::runtime::cache::display_chain;
use shared::signing::rotation::RotationError;
use shared::signing::signing_secret::{SecretError, SigningSecret};
use shared::store::api_keys::ApiKeys;
use shared::store::attempts::Attempts;
use shared::store::clients::Clients;
use shared::store::table::{StoreError, Table};
use shared::store::token_families::TokenFamilies;
use shared::store::users::Users;
use shared::trust::store::TrustStore;

use super::store_clock::StoreClock;

/// Long enough for a far region over a slow line, and short enough for an interactive command.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);
const OPERATION_TIMEOUT: Duration = Duration::from_secs(6);

/// The advice for data that this version of latchkey does not write.
const STRANGE: &str = "Check whether another program or a newer latchkey wrote it";

/// The option for the table.
#[derive(Args)]
pub struct TableArgs {
    /// DynamoDB table of the deployment
    #[arg(long, env = "TABLE_NAME", global = true, hide_env_values = true, value_name = "NAME")]
    table: Option<String>,
}

impl TableArgs {
    /// The table's name.
    ///
    /// # Errors
    /// Neither option nor variable is set.
    pub fn name(&self) -> Result<&str, UserError> {
        given(self.table.as_ref(), "TABLE_NAME")
    }
}

/// The option for the signing secret.
#[derive(Args)]
pub struct SecretArgs {
    /// Name or ARN of the signing secret
    #[arg(long, env = "SIGNING_SECRET_ID", global = true, hide_env_values = true, value_name = "ID")]
    signing_secret: Option<String>,
}

impl SecretArgs {
    /// The secret's name or ARN.
    ///
    /// # Errors
    /// Neither option nor variable is set.
    pub fn id(&self) -> Result<&str, UserError> {
        given(self.signing_secret.as_ref(), "SIGNING_SECRET_ID")
    }
}

/// The stores of one deployment.
pub struct Connection {
    /// The clients.
    pub clients: Clients,
    /// The users.
    pub users: Users,
    /// The API keys.
    pub api_keys: ApiKeys,
    /// The trust partition: key schedule and revocations.
    pub trust: TrustStore,
    /// The token families.
    pub families: TokenFamilies,
    /// The sign-in attempts.
    pub attempts: Attempts,
    /// The clock that dates revocations.
    pub clock: StoreClock,
    /// The DynamoDB client.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// The Secrets Manager client.
    pub secrets_manager: aws_sdk_secretsmanager::Client,
    /// The table's name.
    pub table: String,
    /// The AWS region.
    pub region: String,
}

impl Connection {
    /// Loads configuration and credentials. It sends no request to a store.
    ///
    /// # Errors
    /// No table name, no region, and no credentials.
    pub async fn open(args: &TableArgs) -> Result<Self, UserError> {
        Self::to(args.name()?).await
    }

    /// [`open`](Self::open) for a table of that name.
    ///
    /// # Errors
    /// No region, and no credentials.
    pub async fn to(table: &str) -> Result<Self, UserError> {
        let config = load_config().await?;
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        let clock = StoreClock::default();
        let with_clock = aws_sdk_dynamodb::config::Builder::from(&config).interceptor(clock.clone());
        let dynamodb = aws_sdk_dynamodb::Client::from_conf(with_clock.build());
        let in_table = Table::new(dynamodb.clone(), table);
        Ok(Self {
            clients: Clients::new(in_table.clone()),
            users: Users::new(in_table.clone()),
            api_keys: ApiKeys::new(in_table.clone()),
            trust: TrustStore::new(in_table.clone()),
            families: TokenFamilies::new(in_table.clone()),
            attempts: Attempts::new(in_table),
            clock,
            dynamodb,
            secrets_manager: aws_sdk_secretsmanager::Client::new(&config),
            table: table.to_owned(),
            region,
        })
    }

    /// The signing secret. It must exist: a missing secret reads like an empty one, and a rotation for it would publish
    /// a key that replaces all others.
    ///
    /// # Errors
    /// No name of a secret, a secret that does not exist, and a store that does not answer.
    pub async fn signing_secret(&self, args: &SecretArgs) -> anyhow::Result<SigningSecret> {
        let id = args.id()?;
        match self.secrets_manager.describe_secret().secret_id(id).send().await {
            Ok(_) => Ok(SigningSecret::new(self.secrets_manager.clone(), id)),
            Err(error) => Err(SecretError::Unreachable(display_chain(&error)).into()),
        }
    }

    /// Blocks a subject, which revokes all its tokens.
    ///
    /// # Errors
    /// A store that does not answer.
    pub async fn block(&self, subject: &str) -> Result<(), StoreError> {
        self.trust.block(subject, self.clock.now()).await
    }

    /// Unblocks a subject. Tokens issued before stay revoked, and tokens issued after this returns are valid. For a
    /// subject that is not blocked it writes nothing, so that its tokens stay valid.
    ///
    /// # Errors
    /// A store that does not answer.
    pub async fn unblock(&self, subject: &str) -> Result<(), StoreError> {
        if self.trust.unblock(subject, self.clock.now() + 1).await? {
            // Again, for a concurrent command that found the subject still blocked.
            self.revoke_issued(subject).await?;
        }
        Ok(())
    }

    /// Revokes the tokens that were issued to a subject up to the end of the second of the store's last answer. It
    /// returns when the next second is over too, so that tokens issued later are valid.
    ///
    /// # Errors
    /// A store that does not answer.
    pub async fn revoke_issued(&self, subject: &str) -> Result<(), StoreError> {
        let not_before = self.clock.now() + 1;
        self.trust.revoke_earlier(subject, not_before).await?;
        self.clock.wait_until_over(not_before).await;
        Ok(())
    }

    /// Adds the remedy to a store's error. Any other error stays as it is.
    pub fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        let explained = match error.downcast_ref() {
            Some(RotationError::Store(error)) => self.store_error(error),
            Some(RotationError::Secret(error)) => self.secret_error(error),
            Some(error @ RotationError::Mismatch) => UserError::new(
                error.to_string(),
                "Check that TABLE_NAME and SIGNING_SECRET_ID are of one stack",
            ),
            Some(_) => return error,
            None => match (error.downcast_ref(), error.downcast_ref()) {
                (Some(error), _) => self.store_error(error),
                (_, Some(error)) => self.secret_error(error),
                _ => return error,
            },
        };
        if explained.advice.is_empty() { error } else { explained.into() }
    }

    /// Adds the remedy to an error of the table.
    pub fn store_error(&self, error: &StoreError) -> UserError {
        match error {
            StoreError::Unreachable(text) => {
                advice(text, &format!("table {}", self.table), "TABLE_NAME", &self.dynamodb_place())
            }
            StoreError::Malformed(_) => UserError::new(error.to_string(), STRANGE),
            StoreError::Exists | StoreError::Missing => UserError::new(error.to_string(), ""),
            StoreError::Changed => UserError::new(error.to_string(), "Run the command again"),
        }
    }

    /// Adds the remedy to an error of the signing secret.
    pub fn secret_error(&self, error: &SecretError) -> UserError {
        match error {
            SecretError::Unreachable(text) => {
                advice(text, "the signing secret", "SIGNING_SECRET_ID", &self.secrets_manager_place())
            }
            SecretError::Malformed | SecretError::BadKey(_) => {
                UserError::new(error.to_string(), &format!("Check SIGNING_SECRET_ID. {STRANGE}"))
            }
            SecretError::Changed => UserError::new(error.to_string(), "Run the command again"),
        }
    }

    /// Where DynamoDB is.
    pub fn dynamodb_place(&self) -> Place {
        Place::of("DynamoDB", "AWS_ENDPOINT_URL_DYNAMODB", &self.region)
    }

    /// Where Secrets Manager is.
    pub fn secrets_manager_place(&self) -> Place {
        Place::of("Secrets Manager", "AWS_ENDPOINT_URL_SECRETS_MANAGER", &self.region)
    }
}

fn given<'a>(value: Option<&'a String>, variable: &str) -> Result<&'a str, UserError> {
    value.map(String::as_str).filter(|value| !value.is_empty()).ok_or_else(|| {
        let what = format!("{variable} is not set");
        UserError::new(what, "Take it from the stack's outputs, or run `source .latchkey/dev.env`")
    })
}

async fn load_config() -> Result<SdkConfig, UserError> {
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
    if config.region().is_none_or(|region| region.as_ref().is_empty()) {
        let advice = "Set AWS_REGION or a profile, or run `source .latchkey/dev.env`";
        return Err(UserError::new("no AWS region is set", advice));
    }
    // Once and before any request: missing credentials get another error than a store that does not answer, and a
    // credential process that prompts for a second factor prompts once.
    let provider = config.credentials_provider();
    let credentials = match &provider {
        Some(provider) => provider.provide_credentials().await.map_err(|error| display_chain(&error)),
        None => Err(String::new()),
    };
    let credentials = credentials.map_err(|text| {
        let advice = "Sign in (`aws sso login`), or run `source .latchkey/dev.env`";
        UserError::new("no AWS credentials are set", advice).said(&text)
    })?;
    Ok(config.into_builder().credentials_provider(SharedCredentialsProvider::new(credentials)).build())
}

/// The address of a service.
pub struct Place {
    /// The service's name with its endpoint or region.
    pub name: String,
    /// The endpoint from the environment. `None` is AWS's public endpoint.
    pub endpoint: Option<String>,
    /// Whether the endpoint is not AWS's.
    pub local: bool,
}

impl Place {
    fn of(service: &str, variable: &str, region: &str) -> Self {
        let endpoint = [variable, "AWS_ENDPOINT_URL"]
            .into_iter()
            .find_map(|name| env::var(name).ok().filter(|url| !url.is_empty()));
        Self {
            name: match &endpoint {
                Some(url) => format!("{service} at {url}"),
                None => format!("{service} in {region}"),
            },
            local: endpoint.as_deref().is_some_and(|url| !is_of_aws(url)),
            endpoint,
        }
    }
}

/// Whether a URL is AWS's. The environment may name a VPC endpoint.
fn is_of_aws(url: &str) -> bool {
    let host = url.parse::<Uri>().ok().and_then(|url| url.host().map(str::to_ascii_lowercase));
    let domains = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"];
    host.is_some_and(|host| domains.iter().any(|domain| host.ends_with(domain)))
}

/// An error with its remedy.
#[derive(Debug, Default)]
pub struct UserError {
    /// What is wrong, without a full stop.
    pub what: String,
    /// The remedy as a sentence without a full stop. Empty if unknown.
    pub advice: String,
    /// The error text of AWS or the network. Empty if it adds nothing.
    said: String,
}

impl UserError {
    /// An error with its remedy.
    pub fn new(what: impl Into<String>, advice: &str) -> Self {
        Self { what: what.into(), advice: advice.to_owned(), said: String::new() }
    }

    fn said(self, text: &str) -> Self {
        Self { said: one_line(text), ..self }
    }

    /// The error without its remedy.
    pub fn finding(&self) -> String {
        if self.said.is_empty() { self.what.clone() } else { format!("{} ({})", self.what, self.said) }
    }
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, advice, said } = self;
        f.write_str(what)?;
        if !advice.is_empty() {
            write!(f, ". {advice}")?;
        }
        if said.is_empty() { Ok(()) } else { write!(f, ". Cause: {said}") }
    }
}

impl std::error::Error for UserError {}

/// The remedy for a failed request to AWS, by its error code. `text` are the SDK's errors in one line.
fn advice(text: &str, what: &str, variable: &str, place: &Place) -> UserError {
    let Place { name, local, .. } = place;
    let unreachable = format!("can't reach {name}");
    match error_code(text) {
        Some("ResourceNotFoundException") => {
            UserError::new(format!("{what} does not exist in {name}"), &format!("Check {variable}"))
        }
        Some(
            "ExpiredTokenException"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "IncompleteSignatureException",
        ) => {
            if *local {
                return UserError::new(
                    format!("{name} rejects the access key"),
                    "Run `source .latchkey/dev.env` again",
                );
            }
            UserError::new("AWS rejects the credentials", "Sign in again (`aws sso login`)").said(text)
        }
        Some("AccessDeniedException") => {
            let advice = "Ask for the permission, or use another profile";
            UserError::new("AWS denies the operation", advice).said(text)
        }
        Some("ThrottlingException" | "ProvisionedThroughputExceededException" | "RequestLimitExceeded") => {
            UserError::new(format!("{name} is throttling requests"), "Wait and run the command again")
                .said(text)
        }
        Some(_) => {
            let settings = if *local { format!("the endpoint and {variable}") } else { variable.to_owned() };
            UserError::new(format!("{name} rejects the request"), &format!("Check {settings}"))
                .said(message(text))
        }
        // The SDK's text contains the whole request.
        None if text.contains("failed to apply endpoint") => {
            UserError::new(unreachable, "Check that the endpoint is a URL")
        }
        None if *local => {
            let advice = "Start `latchkey dev` and run `source .latchkey/dev.env`";
            UserError::new(unreachable, advice).said(text)
        }
        None => UserError::new(unreachable, "Check the network and AWS_REGION").said(text),
    }
}

/// The error code of AWS's answer. `None` without an answer.
fn error_code(text: &str) -> Option<&str> {
    let mut words = text.split(|character: char| !character.is_ascii_alphanumeric());
    words.find(|word| word.ends_with("Exception") || *word == "RequestLimitExceeded")
}

/// AWS's message, where the SDK prints its whole answer.
fn message(text: &str) -> &str {
    let message = text
        .split_once("message: \"")
        .and_then(|(_, rest)| rest.split_once("\", aws_request_id").or_else(|| rest.split_once("\" }")));
    message.map_or(text, |(message, _)| message)
}

/// The text in one line. The text of AWS or of a credential process may have several.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advised(text: &str, local: bool) -> String {
        let place = Place { name: "DynamoDB at HERE".to_owned(), endpoint: None, local };
        advice(text, "table T", "TABLE_NAME", &place).to_string()
    }

    #[test]
    fn error_names_the_remedy() {
        for (text, local, words) in [
            ("service error: ResourceNotFoundException: no", false, "Check TABLE_NAME"),
            ("service error: ExpiredTokenException: the token has expired", false, "aws sso login"),
            ("service error: UnrecognizedClientException: no", false, "aws sso login"),
            (
                "service error: UnrecognizedClientException: no",
                true,
                "DynamoDB at HERE rejects the access key. Run `source .latchkey/dev.env` again",
            ),
            ("service error: AccessDeniedException: no", false, "Ask for the permission"),
            (
                "dispatch failure: other: failed to apply endpoint `x` to request `Request { body: canary }`",
                true,
                "Check that the endpoint is a URL",
            ),
            ("service error: ThrottlingException: slow down", false, "is throttling requests"),
            ("dispatch failure: io error: refused", true, "Start `latchkey dev`"),
            ("request has timed out: operation timeout", false, "Check the network"),
            (
                "service error:\n ValidationException",
                false,
                "DynamoDB at HERE rejects the request. Check TABLE_NAME. Cause: service error: ValidationException",
            ),
            (
                "unhandled error (XException): Error { code: \"XException\", message: \"No \\\"a\\\"\", \
                 aws_request_id: \"1\" }",
                true,
                "Check the endpoint and TABLE_NAME. Cause: No \\\"a\\\"",
            ),
        ] {
            let advised = advised(text, local);
            assert!(advised.contains(words), "{advised}");
            assert!(!advised.contains('\n') && !advised.contains("canary"), "{advised}");
        }
    }

    #[test]
    fn vpc_endpoint_is_an_endpoint_of_aws() {
        for (url, aws) in [
            ("https://vpce-1a2b.dynamodb.eu-central-1.vpce.amazonaws.com", true),
            ("https://dynamodb.eu-central-1.api.aws/", true),
            ("http://127.0.0.1:8000", false),
            ("https://amazonaws.com.example.com", false),
            ("not a URL", false),
        ] {
            assert_eq!(is_of_aws(url), aws, "{url}");
        }
    }
}
