//! The way to a deployment's stores: the AWS SDK's ordinary environment, profiles and single sign-on
//! included, or the `dev.env` of a running `latchkey dev`.

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

/// Long enough for a far region over a slow line, short enough for somebody who waits.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);
const OPERATION_TIMEOUT: Duration = Duration::from_secs(6);

/// What to do about something that no latchkey of this version writes.
const STRANGE: &str = "see whether somebody else wrote it, or a newer latchkey than this one";

/// Which table.
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
    /// None was given.
    pub fn name(&self) -> Result<&str, Complaint> {
        given(self.table.as_ref(), "TABLE_NAME")
    }
}

/// Which signing secret.
#[derive(Args)]
pub struct SecretArgs {
    /// Name or ARN of the secret that holds the signing keys
    #[arg(long, env = "SIGNING_SECRET_ID", global = true, hide_env_values = true, value_name = "ID")]
    signing_secret: Option<String>,
}

impl SecretArgs {
    /// The secret's name or ARN.
    ///
    /// # Errors
    /// None was given.
    pub fn id(&self) -> Result<&str, Complaint> {
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
    /// The trust bundle.
    pub trust: TrustStore,
    /// The sessions.
    pub families: TokenFamilies,
    /// The attempts to sign in.
    pub attempts: Attempts,
    /// The clock by which revocations are dated.
    pub clock: StoreClock,
    /// DynamoDB itself.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// Secrets Manager itself.
    pub secrets_manager: aws_sdk_secretsmanager::Client,
    /// The table's name.
    pub table: String,
    /// The AWS region.
    pub region: String,
}

impl Connection {
    /// Finds the way. Nothing is asked of a store yet.
    ///
    /// # Errors
    /// No table's name, no region, no credentials.
    pub async fn open(args: &TableArgs) -> Result<Self, Complaint> {
        Self::to(args.name()?).await
    }

    /// The same for a table of that name.
    ///
    /// # Errors
    /// No region, no credentials.
    pub async fn to(table: &str) -> Result<Self, Complaint> {
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

    /// The signing secret, which must be there: one that isn't reads like one that is still empty, and a
    /// key made for it would take every other key's place in the trust bundle.
    ///
    /// # Errors
    /// No name of a secret, no such secret, no answer.
    pub async fn signing_secret(&self, args: &SecretArgs) -> anyhow::Result<SigningSecret> {
        let id = args.id()?;
        match self.secrets_manager.describe_secret().secret_id(id).send().await {
            Ok(_) => Ok(SigningSecret::new(self.secrets_manager.clone(), id)),
            Err(error) => Err(SecretError::Unreachable(display_chain(&error)).into()),
        }
    }

    /// Blocks a subject: none of its tokens is accepted.
    ///
    /// # Errors
    /// A store that does not answer.
    pub async fn block(&self, subject: &str) -> Result<(), StoreError> {
        self.trust.block(subject, self.clock.now()).await
    }

    /// Unblocks a subject if it is blocked. Otherwise nothing is written: its live tokens stay good. Tokens issued
    /// before stay revoked, and those issued after this returns are good.
    ///
    /// # Errors
    /// A store that does not answer.
    pub async fn unblock(&self, subject: &str) -> Result<(), StoreError> {
        if self.trust.unblock(subject, self.clock.now() + 1).await? {
            // Again, for a command that came in between and found the subject blocked still.
            self.revoke_issued(subject).await?;
        }
        Ok(())
    }

    /// Revokes the tokens that a subject was issued up to the end of the second of the store's last answer. It returns
    /// after the next second is over too, so tokens issued later are accepted.
    ///
    /// # Errors
    /// A store that does not answer.
    pub async fn revoke_issued(&self, subject: &str) -> Result<(), StoreError> {
        let not_before = self.clock.now() + 1;
        self.trust.revoke_earlier(subject, not_before).await?;
        self.clock.wait_until_over(not_before).await;
        Ok(())
    }

    /// Puts a store's complaint into words that say what to do next; any other error stays as it is.
    pub fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        let complaint = match error.downcast_ref() {
            Some(RotationError::Store(error)) => self.store_complaint(error),
            Some(RotationError::Secret(error)) => self.secret_complaint(error),
            Some(error @ RotationError::Mismatch) => {
                Complaint::new(error.to_string(), "are TABLE_NAME and SIGNING_SECRET_ID of one stack?")
            }
            Some(_) => return error,
            None => match (error.downcast_ref(), error.downcast_ref()) {
                (Some(error), _) => self.store_complaint(error),
                (_, Some(error)) => self.secret_complaint(error),
                _ => return error,
            },
        };
        if complaint.advice.is_empty() { error } else { complaint.into() }
    }

    /// The same for the table alone.
    pub fn store_complaint(&self, error: &StoreError) -> Complaint {
        match error {
            StoreError::Unreachable(text) => {
                advice(text, &format!("table {}", self.table), "TABLE_NAME", &self.dynamodb_place())
            }
            StoreError::Malformed(_) => Complaint::new(error.to_string(), STRANGE),
            StoreError::Exists | StoreError::Missing => Complaint::new(error.to_string(), ""),
            StoreError::Changed => Complaint::new(error.to_string(), "run it again"),
        }
    }

    /// The same for the signing secret alone.
    pub fn secret_complaint(&self, error: &SecretError) -> Complaint {
        match error {
            SecretError::Unreachable(text) => {
                advice(text, "secret of that id", "SIGNING_SECRET_ID", &self.secrets_manager_place())
            }
            SecretError::Malformed | SecretError::BadKey(_) => {
                Complaint::new(error.to_string(), &format!("is SIGNING_SECRET_ID right? If so, {STRANGE}"))
            }
            SecretError::Changed => Complaint::new(error.to_string(), "run it again"),
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

fn given<'a>(value: Option<&'a String>, variable: &str) -> Result<&'a str, Complaint> {
    value.map(String::as_str).filter(|value| !value.is_empty()).ok_or_else(|| {
        let what = format!("{variable} is not set");
        Complaint::new(what, "take it from the stack's outputs, or `source .latchkey/dev.env`")
    })
}

async fn load_config() -> Result<SdkConfig, Complaint> {
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
        let advice = "set AWS_REGION or a profile, or `source .latchkey/dev.env`";
        return Err(Complaint::new("no AWS region is set", advice));
    }
    // Once and first: a missing sign-in is told apart from a store that does not answer, and a process
    // that asks for a second factor asks one time.
    let provider = config.credentials_provider();
    let credentials = match &provider {
        Some(provider) => provider.provide_credentials().await.map_err(|error| display_chain(&error)),
        None => Err(String::new()),
    };
    let credentials = credentials.map_err(|text| {
        let advice = "sign in (`aws sso login`), or `source .latchkey/dev.env`";
        Complaint::new("there are no AWS credentials", advice).said(&text)
    })?;
    Ok(config.into_builder().credentials_provider(SharedCredentialsProvider::new(credentials)).build())
}

/// Where a service is.
pub struct Place {
    /// In words.
    pub name: String,
    /// The endpoint that the environment puts in place of AWS's own.
    pub endpoint: Option<String>,
    /// Whether something else than AWS answers there.
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

/// Whether a URL is AWS's own: one may be set for an endpoint in a private network.
fn is_of_aws(url: &str) -> bool {
    let host = url.parse::<Uri>().ok().and_then(|url| url.host().map(str::to_ascii_lowercase));
    let domains = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"];
    host.is_some_and(|host| domains.iter().any(|domain| host.ends_with(domain)))
}

/// What is wrong, and what to do about it.
#[derive(Debug, Default)]
pub struct Complaint {
    /// What is wrong.
    pub what: String,
    /// What to do; empty where nobody knows.
    pub advice: String,
    /// What AWS said, or the network; empty if it adds nothing.
    said: String,
}

impl Complaint {
    /// What is wrong, and what to do about it.
    pub fn new(what: impl Into<String>, advice: &str) -> Self {
        Self { what: what.into(), advice: advice.to_owned(), said: String::new() }
    }

    fn said(self, text: &str) -> Self {
        Self { said: one_line(text), ..self }
    }

    /// What is wrong, in full.
    pub fn finding(&self) -> String {
        if self.said.is_empty() { self.what.clone() } else { format!("{} ({})", self.what, self.said) }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, advice, said } = self;
        f.write_str(what)?;
        if !advice.is_empty() {
            write!(f, ": {advice}")?;
        }
        if said.is_empty() { Ok(()) } else { write!(f, " ({said})") }
    }
}

impl std::error::Error for Complaint {}

/// What to do about an answer of AWS's, or about none.
fn advice(text: &str, what: &str, variable: &str, place: &Place) -> Complaint {
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let Place { name, local, .. } = place;
    if says(&["ResourceNotFoundException"]) {
        Complaint::new(format!("there is no {what} in {name}"), &format!("is {variable} right?"))
    } else if says(&["ExpiredToken", "UnrecognizedClient", "InvalidSignature", "IncompleteSignature"]) {
        if *local {
            let advice = "`source .latchkey/dev.env` again";
            return Complaint::new(format!("{name} rejects the access key"), advice);
        }
        let advice = "sign in again (`aws sso login`)";
        Complaint::new("AWS does not take the credentials", advice).said(text)
    } else if says(&["AccessDenied"]) {
        let advice = "ask for the permission or take another profile";
        Complaint::new("AWS does not allow it", advice).said(text)
    } else if says(&["failed to apply endpoint"]) {
        // Nothing of what was said: the request stands in it.
        Complaint::new(format!("can't reach {name}"), "is the endpoint a URL?")
    } else if says(&["Throttling", "ThroughputExceeded", "RequestLimitExceeded"]) {
        Complaint::new(format!("{name} has too much to do"), "wait a little and run it again").said(text)
    } else if says(&["dispatch failure", "timed out", "timeout"]) {
        let advice = if *local {
            "is `latchkey dev` running? `source .latchkey/dev.env`"
        } else {
            "check the network and AWS_REGION"
        };
        Complaint::new(format!("can't reach {name}"), advice).said(text)
    } else {
        let is = if *local { "are the endpoint and" } else { "is" };
        Complaint::new(format!("{name} refuses"), &format!("{is} {variable} right?")).said(message(text))
    }
}

/// What AWS itself said, where the SDK shows its whole answer.
fn message(text: &str) -> &str {
    let message = text
        .split_once("message: \"")
        .and_then(|(_, rest)| rest.split_once("\", aws_request_id").or_else(|| rest.split_once("\" }")));
    message.map_or(text, |(message, _)| message)
}

/// Errors are one line, whatever AWS or a credential process said.
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
    fn a_complaint_says_what_to_do() {
        for (text, local, words) in [
            ("service error: ResourceNotFoundException: no", false, "is TABLE_NAME right?"),
            ("service error: ExpiredTokenException: the token has expired", false, "aws sso login"),
            ("service error: UnrecognizedClientException: no", false, "aws sso login"),
            (
                "service error: UnrecognizedClientException: no",
                true,
                "DynamoDB at HERE rejects the access key: `source .latchkey/dev.env` again",
            ),
            ("service error: AccessDeniedException: no", false, "ask for the permission"),
            (
                "dispatch failure: other: failed to apply endpoint `x` to request `Request { body: canary }`",
                true,
                "is the endpoint a URL?",
            ),
            ("service error: ThrottlingException: slow down", false, "wait a little"),
            ("dispatch failure: io error: refused", true, "is `latchkey dev` running?"),
            ("request has timed out: operation timeout", false, "check the network"),
            (
                "service error:\n ValidationException",
                false,
                "DynamoDB at HERE refuses: is TABLE_NAME right? (service error: ValidationException)",
            ),
            (
                "unhandled error (X): Error { code: \"X\", message: \"No \\\"a\\\"\", aws_request_id: \"1\" }",
                true,
                "are the endpoint and TABLE_NAME right? (No \\\"a\\\")",
            ),
        ] {
            let advised = advised(text, local);
            assert!(advised.contains(words), "{advised}");
            assert!(!advised.contains('\n') && !advised.contains("canary"), "{advised}");
        }
    }

    #[test]
    fn an_endpoint_in_a_private_network_is_awss() {
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
