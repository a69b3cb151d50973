//! What is published about us: keys (RFC 7517 §5) and metadata (RFC 8414 §2, RFC 9728 §2).

use serde::Serialize;
use serde_json::Value;

/// How long others may keep what is published, in seconds.
pub const MAX_AGE: u64 = 3600;

/// How long what was published last is answered from memory while the store is down, in seconds.
pub const OUTAGE: u64 = 1800;

/// The public keys that our tokens are signed with, or soon will be.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Jwks))]
pub struct Jwks<'a> {
    /// JSON Web Keys (RFC 7517 §4), each with `kid`, `alg` and `use`.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    pub keys: &'a [Value],
}

/// Where the endpoints are and what they can do.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Metadata))]
pub struct Metadata<'a> {
    /// The tokens' `iss`, byte for byte.
    pub issuer: &'a str,
    /// Where tokens are had.
    pub token_endpoint: String,
    /// Where tokens are revoked (RFC 7009).
    pub revocation_endpoint: String,
    /// Where tokens are asked about (RFC 7662).
    pub introspection_endpoint: String,
    /// Where the public keys are.
    pub jwks_uri: String,
    /// `none`: there is no authorization endpoint. The member is required, and an empty array must be left out
    /// (RFC 8414 §2, §3.2).
    pub response_types_supported: [&'static str; 1],
    /// The grants that are switched on.
    pub grant_types_supported: &'a [&'static str],
    /// How clients may authenticate themselves where tokens are had.
    pub token_endpoint_auth_methods_supported: Vec<&'static str>,
    /// Algorithms of their assertions there.
    pub token_endpoint_auth_signing_alg_values_supported: [&'static str; 5],
    /// How clients may authenticate themselves where tokens are revoked.
    pub revocation_endpoint_auth_methods_supported: Vec<&'static str>,
    /// Algorithms of their assertions there.
    pub revocation_endpoint_auth_signing_alg_values_supported: [&'static str; 5],
    /// How clients may authenticate themselves where tokens are asked about.
    pub introspection_endpoint_auth_methods_supported: Vec<&'static str>,
    /// Algorithms of their assertions there.
    pub introspection_endpoint_auth_signing_alg_values_supported: [&'static str; 5],
    /// Algorithms of DPoP proofs (RFC 9449 §5.1).
    pub dpop_signing_alg_values_supported: [&'static str; 5],
    /// Whether tokens are bound to certificates (RFC 8705 §3.3).
    pub tls_client_certificate_bound_access_tokens: bool,
}

/// What is published about a protected resource: an audience that is a URL of this API (RFC 9728 §2).
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ProtectedResource))]
pub struct ProtectedResource<'a> {
    /// The audience, byte for byte.
    pub resource: &'a str,
    /// The issuers whose tokens open it: this one.
    pub authorization_servers: [&'a str; 1],
    /// Where a request carries the token: in the `Authorization` header.
    pub bearer_methods_supported: [&'static str; 1],
    /// Algorithms of DPoP proofs.
    pub dpop_signing_alg_values_supported: [&'static str; 5],
    /// Whether tokens are bound to certificates (RFC 8705 §3.3).
    pub tls_client_certificate_bound_access_tokens: bool,
}

/// The metadata with what OpenID Connect Discovery §3 needs beside it. There is no ID token: the algorithms
/// are those of the access tokens, which API Gateway checks by this document.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = OpenIdConfiguration))]
pub struct OpenIdConfiguration<'a> {
    /// The metadata.
    #[serde(flatten)]
    pub metadata: Metadata<'a>,
    /// One `sub` for everybody who asks.
    pub subject_types_supported: [&'static str; 1],
    /// Algorithms of the keys that are published.
    pub id_token_signing_alg_values_supported: Vec<&'a str>,
}
