//! AWS clients for the functions. Credentials and region come from Lambda's environment. The HTTP client trusts
//! Amazon's roots only and has timeouts, which the SDK has not by default.

use std::time::Duration;

use aws_runtime::user_agent::UserAgentInterceptor;
use aws_sdk_dynamodb::config::interceptors::{
    BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_dynamodb::config::{ConfigBag, Credentials, Intercept, Region, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_runtime_api::client::interceptors::{disable_interceptor, dyn_dispatch_hint};
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;

use crate::runtime::https::Https;
use crate::runtime::settings::{ConfigError, Settings};

/// Amazon Root CA 1 to 4 and Starfield Services Root G2 (amazontrust.com/repository). Every AWS endpoint chains to one
/// of them. Loading the 150 roots of the system took most of a cold start, and parsing these five as PEM took a
/// twentieth.
const AMAZON_ROOTS: [&[u8]; 5] = [
    include_bytes!("amazon_roots/AmazonRootCA1.cer"),
    include_bytes!("amazon_roots/AmazonRootCA2.cer"),
    include_bytes!("amazon_roots/AmazonRootCA3.cer"),
    include_bytes!("amazon_roots/AmazonRootCA4.cer"),
    include_bytes!("amazon_roots/SFSRootCAG2.cer"),
];

/// The time budget of a request. Invariant: a store that hangs leads to 503 before API Gateway and Lambda give up.
///
/// - An attempt takes at most 1.15 s. A lost first packet is sent again after 1 s (RFC 6298 §2).
/// - An operation takes at most 2.6 s: two attempts that hang, pauses of at most 150 ms, and the start of a third.
/// - A request waits for at most three operations in a row that hang, as a password sign-in does: 7.8 s.
/// - API Gateway and Lambda give up after 10 s.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1150);
pub(crate) const OPERATION_TIMEOUT: Duration = Duration::from_millis(2600);

/// Attempts of an operation. Invariant: with a fifth of all attempts throttled, 99 of 100 sign-ins of six operations
/// succeed, because five attempts fail together once in 3,000. The pauses start at 50 ms, double, and end well within
/// the operation's time.
pub(crate) const ATTEMPTS: u32 = 5;

/// The configuration that all AWS clients share.
pub struct Aws {
    pub(crate) region: Region,
    pub(crate) credentials: Credentials,
    pub(crate) https: Https,
    dynamodb_endpoint: Option<String>,
    #[allow(dead_code, reason = "`signing` alone uses it")]
    pub(crate) secrets_manager_endpoint: Option<String>,
}

/// The `aws_config` of one service. The SDK has a builder type for each service.
macro_rules! service_config {
    ($builder:expr, $aws:expr, $endpoint:expr) => {{
        let mut builder = $builder
            .behavior_version(::aws_sdk_dynamodb::config::BehaviorVersion::v2026_01_12())
            .region($aws.region.clone())
            .credentials_provider($aws.credentials.clone())
            .http_client($aws.https.clone())
            .interceptor($crate::runtime::aws::ShortUserAgent)
            // The credentials do not change: Lambda starts a new process before they expire.
            .identity_cache(::aws_sdk_dynamodb::config::IdentityCache::no_cache())
            // The operation's timeout covers the reading of the body.
            .stalled_stream_protection(::aws_sdk_dynamodb::config::StalledStreamProtectionConfig::disabled())
            .retry_config(
                ::aws_sdk_dynamodb::config::retry::RetryConfig::standard()
                    .with_max_attempts($crate::runtime::aws::ATTEMPTS)
                    .with_initial_backoff(::std::time::Duration::from_millis(50)),
            )
            .timeout_config(
                ::aws_sdk_dynamodb::config::timeout::TimeoutConfig::builder()
                    .operation_attempt_timeout($crate::runtime::aws::ATTEMPT_TIMEOUT)
                    .operation_timeout($crate::runtime::aws::OPERATION_TIMEOUT)
                    .build(),
            );
        builder.set_endpoint_url($endpoint.clone());
        builder.build()
    }};
}
#[allow(unused_imports, reason = "`signing` alone uses it elsewhere")]
pub(crate) use service_config;

/// Replaces the SDK's user agent, which costs a tenth of the instructions of a request and a fifth of those of the
/// first one. CloudTrail shows ours.
#[derive(Debug)]
pub(crate) struct ShortUserAgent;

impl ShortUserAgent {
    const VALUE: &'static str = concat!("latchkey/", env!("CARGO_PKG_VERSION"));
}

#[dyn_dispatch_hint]
impl Intercept for ShortUserAgent {
    fn name(&self) -> &'static str {
        "ShortUserAgent"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config.interceptor_state().store_put(disable_interceptor::<UserAgentInterceptor>("ours is shorter"));
        Ok(())
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        context.request_mut().headers_mut().insert("user-agent", Self::VALUE);
        Ok(())
    }
}

impl Aws {
    /// Reads Lambda's variables (docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html) and the SDK's
    /// `AWS_ENDPOINT_URL_…`.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let text = |name: &str| settings.optional(name).map(str::to_owned);
        Ok(Self {
            region: Region::new(settings.required("AWS_REGION")?.to_owned()),
            credentials: Credentials::new(
                settings.required("AWS_ACCESS_KEY_ID")?,
                settings.required("AWS_SECRET_ACCESS_KEY")?,
                text("AWS_SESSION_TOKEN"),
                None,
                "environment",
            ),
            https: Https::new(amazon_roots()),
            dynamodb_endpoint: text("AWS_ENDPOINT_URL_DYNAMODB"),
            secrets_manager_endpoint: text("AWS_ENDPOINT_URL_SECRETS_MANAGER"),
        })
    }

    /// A DynamoDB client.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        let config = service_config!(aws_sdk_dynamodb::Config::builder(), self, self.dynamodb_endpoint);
        aws_sdk_dynamodb::Client::from_conf(config)
    }
}

/// The roots of all AWS endpoints.
pub fn amazon_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(AMAZON_ROOTS.map(CertificateDer::from));
    roots
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::digest;

    #[test]
    fn every_root_certificate_parses() {
        assert_eq!(amazon_roots().len(), AMAZON_ROOTS.len());
    }

    /// The fingerprints that Amazon publishes beside the certificates.
    #[test]
    fn the_root_certificates_are_amazons() {
        let fingerprints = [
            "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
            "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
            "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
            "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
            "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",
        ];
        let of = |root| hex::encode(digest::digest(&digest::SHA256, root));
        assert_eq!(AMAZON_ROOTS.map(of), fingerprints);
    }
}
