//! The way to AWS from inside a function: credentials and region from Lambda's environment, one HTTP
//! client with Amazon's own roots, and time-outs, of which the SDK has none by itself.

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

/// Amazon Root CA 1 to 4 and Starfield Services Root G2 (amazontrust.com/repository): every AWS endpoint
/// chains to one of them. Reading the system's hundred and fifty was most of a cold start, and reading these as
/// PEM a twentieth.
const AMAZON_ROOTS: [&[u8]; 5] = [
    include_bytes!("amazon_roots/AmazonRootCA1.cer"),
    include_bytes!("amazon_roots/AmazonRootCA2.cer"),
    include_bytes!("amazon_roots/AmazonRootCA3.cer"),
    include_bytes!("amazon_roots/AmazonRootCA4.cer"),
    include_bytes!("amazon_roots/SFSRootCAG2.cer"),
];

/// Invariant: a request that meets three operations in a row which hang, retries included, is answered in
/// time to say 503 within 10 s, when API Gateway gives up and Lambda ends the function: a password login
/// whose store goes away behind its back waits for that many. And two attempts that hang, on connections that
/// nobody said were gone, and the pauses after them, 150 ms at most, leave time for a third. An attempt has time for a
/// connection whose first packet is lost: the next is sent after a second (RFC 6298 §2).
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1150);
pub(crate) const OPERATION_TIMEOUT: Duration = Duration::from_millis(2600);

/// How often an operation is tried. Invariant: of the logins, which take six operations, 99 in a hundred
/// succeed though a fifth of all tries is throttled: five tries fail together once in three thousand. The
/// pauses between them, 50 ms that double, are over well within the operation's time.
pub(crate) const ATTEMPTS: u32 = 5;

/// What the clients of AWS's services have in common.
pub struct Aws {
    pub(crate) region: Region,
    pub(crate) credentials: Credentials,
    pub(crate) https: Https,
    dynamodb_endpoint: Option<String>,
    #[allow(dead_code, reason = "`signing` alone uses it")]
    pub(crate) secrets_manager_endpoint: Option<String>,
}

/// An `aws_config` for one service; the SDK gives each service a builder type of its own.
macro_rules! service_config {
    ($builder:expr, $aws:expr, $endpoint:expr) => {{
        let mut builder = $builder
            .behavior_version(::aws_sdk_dynamodb::config::BehaviorVersion::v2026_01_12())
            .region($aws.region.clone())
            .credentials_provider($aws.credentials.clone())
            .http_client($aws.https.clone())
            .interceptor($crate::runtime::aws::ShortUserAgent)
            // The credentials are fixed: Lambda starts another process before they expire.
            .identity_cache(::aws_sdk_dynamodb::config::IdentityCache::no_cache())
            // The operation's time-out bounds reading the body too.
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

/// Replaces the SDK's user agent, which takes a tenth of a request's instructions to compose, and a fifth of the first
/// request's. CloudTrail shows ours.
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
    /// Reads Lambda's own variables (docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html)
    /// and the SDK's `AWS_ENDPOINT_URL_…`.
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

    /// A client for DynamoDB.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        let config = service_config!(aws_sdk_dynamodb::Config::builder(), self, self.dynamodb_endpoint);
        aws_sdk_dynamodb::Client::from_conf(config)
    }
}

/// The roots that every AWS endpoint chains to.
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
    fn every_root_is_read() {
        assert_eq!(amazon_roots().len(), AMAZON_ROOTS.len());
    }

    /// As Amazon publishes them, beside the certificates.
    #[test]
    fn the_roots_are_amazons() {
        let fingerprints = [
            "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
            "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
            "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
            "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
            "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",
        ];
        let of = |root| -> String {
            let fingerprint = digest::digest(&digest::SHA256, root);
            fingerprint.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
        };
        assert_eq!(AMAZON_ROOTS.map(of), fingerprints);
    }
}
