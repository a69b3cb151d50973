//! The published documents: JWKS (RFC 7517 §5) and metadata (RFC 8414 §2, RFC 9728 §2).

use serde::Serialize;
use serde_json::Value;

/// How long clients and proxies may cache a published document, in seconds.
pub const MAX_AGE: u64 = 3600;

/// How long the last JWKS is served from memory while the store is down, in seconds.
pub const OUTAGE: u64 = 1800;

/// JSON Web Key Set: the public keys of access tokens, pending keys included.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Jwks))]
pub struct Jwks<'a> {
    /// JSON Web Keys (RFC 7517 §4), each with `kid`, `alg` and `use`.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    pub keys: &'a [Value],
}

/// Authorization server metadata.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Metadata))]
pub struct Metadata<'a> {
    /// Issuer, byte-equal to the `iss` claim of the tokens.
    pub issuer: &'a str,
    /// Token endpoint.
    pub token_endpoint: String,
    /// Revocation endpoint (RFC 7009).
    pub revocation_endpoint: String,
    /// Introspection endpoint (RFC 7662).
    pub introspection_endpoint: String,
    /// URL of the public keys.
    pub jwks_uri: String,
    /// `none`, because there is no authorization endpoint. The member is required, and an empty array is not allowed
    /// (RFC 8414 §2, §3.2).
    pub response_types_supported: [&'static str; 1],
    /// Enabled grants.
    pub grant_types_supported: &'a [&'static str],
    /// Client authentication methods of the token endpoint.
    pub token_endpoint_auth_methods_supported: Vec<&'static str>,
    /// Algorithms of client assertions there.
    pub token_endpoint_auth_signing_alg_values_supported: [&'static str; 5],
    /// Client authentication methods of the revocation endpoint.
    pub revocation_endpoint_auth_methods_supported: Vec<&'static str>,
    /// Algorithms of client assertions there.
    pub revocation_endpoint_auth_signing_alg_values_supported: [&'static str; 5],
    /// Client authentication methods of the introspection endpoint.
    pub introspection_endpoint_auth_methods_supported: Vec<&'static str>,
    /// Algorithms of client assertions there.
    pub introspection_endpoint_auth_signing_alg_values_supported: [&'static str; 5],
    /// Algorithms of DPoP proofs (RFC 9449 §5.1).
    pub dpop_signing_alg_values_supported: [&'static str; 5],
    /// Whether tokens can be bound to client certificates (RFC 8705 §3.3).
    pub tls_client_certificate_bound_access_tokens: bool,
}

/// Metadata of a protected resource, an audience that is a URL of this API (RFC 9728 §2).
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ProtectedResource))]
pub struct ProtectedResource<'a> {
    /// Resource identifier, byte-equal to the audience.
    pub resource: &'a str,
    /// Issuers of the accepted tokens. This issuer is the only one.
    pub authorization_servers: [&'a str; 1],
    /// How a request carries the token: `header`, for the `Authorization` header.
    pub bearer_methods_supported: [&'static str; 1],
    /// Algorithms of DPoP proofs.
    pub dpop_signing_alg_values_supported: [&'static str; 5],
    /// Whether tokens can be bound to client certificates (RFC 8705 §3.3).
    pub tls_client_certificate_bound_access_tokens: bool,
}

/// Authorization server metadata with the required members of OpenID Connect Discovery §3. No ID tokens are issued.
/// The algorithms are those of the access tokens, which API Gateway verifies with this document.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = OpenIdConfiguration))]
pub struct OpenIdConfiguration<'a> {
    /// Authorization server metadata.
    #[serde(flatten)]
    pub metadata: Metadata<'a>,
    /// `public`: every client sees the same `sub` of a user.
    pub subject_types_supported: [&'static str; 1],
    /// Algorithms of the published keys.
    pub id_token_signing_alg_values_supported: Vec<&'a str>,
}
