//! Serves the JWKS and the metadata documents.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use lambda_http::http::{HeaderValue, StatusCode, header};
use lambda_http::{Body, Request, RequestExt, Response};
use serde_json::{Value, json};
use shared::jose::algorithm::Algorithm;
use shared::oauth::error::{ErrorKind, OAuthError};
use shared::oauth::identifiers::{CLIENT_CREDENTIALS, REFRESH_TOKEN, TOKEN_EXCHANGE};
use shared::oauth::metadata::{Jwks, MAX_AGE, Metadata, OUTAGE, OpenIdConfiguration, ProtectedResource};
use shared::oauth::response::json_response;
use shared::runtime::aws::Aws;
use shared::runtime::cache::{Cache, Limits, Loaded};
use shared::runtime::call::Call;
use shared::runtime::response::{error_response, log_record};
use shared::runtime::settings::{ConfigError, Issuer, Settings};
use shared::runtime::telemetry::{Outcome, Telemetry};
use shared::store::table::{StoreError, Table};
use shared::trust::store::TrustStore;

/// Lets clients and proxies cache the documents.
static CACHEABLE: LazyLock<HeaderValue> = LazyLock::new(|| {
    HeaderValue::try_from(format!("public, max-age={MAX_AGE}"))
        .expect("letters and digits are a header's value")
});

/// How long the JWKS is cached, in seconds.
const FRESH_FOR: u64 = 15;

/// While the store is down, the stale JWKS is served for half an hour.
const LIMITS: Limits = Limits { usable_for: OUTAGE, cool_down: 2, after_failure: 2 };

/// Dependencies of this function. It reads the published keys.
pub struct Deps {
    trust: TrustStore,
    keys: Cache<Vec<Value>>,
    issuer: Issuer,
    audiences: Vec<String>,
    grants: Vec<&'static str>,
    telemetry: Telemetry,
}

impl Deps {
    /// Builds the dependencies from the settings.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let aws = Aws::from_settings(settings)?;
        let table = Table::new(aws.dynamodb(), settings.table_name()?);
        let refresh = settings.refresh_token_ttl()?.map(|_| REFRESH_TOKEN);
        let exchange = settings.trusts_issuers().then_some(TOKEN_EXCHANGE);
        Ok(Self {
            trust: TrustStore::new(table),
            keys: Cache::new(LIMITS),
            issuer: settings.issuer()?,
            audiences: settings.audiences()?,
            grants: [Some(CLIENT_CREDENTIALS), refresh, exchange].into_iter().flatten().collect(),
            telemetry: Telemetry::from_settings("discovery", settings),
        })
    }

    /// Loads the keys before the first request. If this fails, the first request loads them.
    pub async fn warm_up(&self, now: u64) {
        let _ = self.keys(now).await;
    }

    async fn keys(&self, now: u64) -> Result<Arc<Vec<Value>>, OAuthError> {
        Ok(self.keys.get(now, async || self.load(now).await).await?)
    }

    async fn load(&self, now: u64) -> Result<Loaded<Vec<Value>>, StoreError> {
        let value = self.trust.jwks(now).await?;
        // An empty JWKS must not be cached for an hour by clients. It is an error until the first key is published.
        if value.is_empty() { Err(StoreError::Missing) } else { Ok(Loaded { value, fresh_for: FRESH_FOR }) }
    }
}

/// Handles one request.
pub async fn handle(deps: &Deps, request: Request, now: u64) -> Response<Body> {
    let request_log = deps.telemetry.begin(now);
    let call = Call::new(&request, now);
    match document(deps, call).await {
        Ok(document) => {
            request_log.log(&log_record(Outcome::Served, call));
            let mut response = json_response(StatusCode::OK, &document);
            let headers = response.headers_mut();
            headers.insert(header::CACHE_CONTROL, CACHEABLE.clone());
            headers.remove(header::PRAGMA);
            response
        }
        Err(error) => error_response(&request_log, call, error),
    }
}

async fn document(deps: &Deps, call: Call<'_>) -> Result<Value, OAuthError> {
    match call.route_path() {
        "/.well-known/jwks.json" => Ok(json!(Jwks { keys: &deps.keys(call.now).await? })),
        "/.well-known/oauth-authorization-server" => {
            Ok(json!(metadata(deps, call, &deps.issuer.of_call(call)?)))
        }
        "/.well-known/openid-configuration" => {
            let issuer = deps.issuer.of_call(call)?;
            let keys = deps.keys(call.now).await?;
            let algorithms: BTreeSet<&str> = keys.iter().filter_map(|key| key["alg"].as_str()).collect();
            Ok(json!(OpenIdConfiguration {
                metadata: metadata(deps, call, &issuer),
                subject_types_supported: ["public"],
                id_token_signing_alg_values_supported: algorithms.into_iter().collect(),
            }))
        }
        "/.well-known/oauth-protected-resource" => protected_resource(deps, call, ""),
        "/.well-known/oauth-protected-resource/{proxy+}" => {
            let parameters = call.request.path_parameters_ref();
            let below = parameters.and_then(|parameters| parameters.first("proxy")).unwrap_or_default();
            protected_resource(deps, call, &format!("/{below}"))
        }
        _ => Err(OAuthError::new(ErrorKind::NotFound, "not found")),
    }
}

/// The metadata of the first audience that is a URL of this API with this path (RFC 9728 §3.1).
fn protected_resource(deps: &Deps, call: Call<'_>, path: &str) -> Result<Value, OAuthError> {
    let issuer = deps.issuer.of_call(call)?;
    let own = call.domain().map(|domain| deps.issuer.own_url(domain, ""));
    let has_path =
        |audience: &&String| own.as_ref().is_some_and(|own| path_below(own, audience) == Some(path));
    let resource = deps.audiences.iter().find(has_path);
    let resource =
        resource.ok_or_else(|| OAuthError::new(ErrorKind::NotFound, "unknown protected resource"))?;
    Ok(json!(ProtectedResource {
        resource,
        authorization_servers: [&issuer],
        bearer_methods_supported: ["header"],
        dpop_signing_alg_values_supported: Algorithm::NAMES,
        tls_client_certificate_bound_access_tokens: call.client_certificate().is_some(),
    }))
}

/// The path of `audience` if it is a URL below `own`, the scheme and host of this API. A lone `/` counts as no path
/// (RFC 9728 §3.1). A resource identifier has no fragment and should have no query (§1.2).
fn path_below<'a>(own: &str, audience: &'a str) -> Option<&'a str> {
    let (start, path) = audience.split_at_checked(own.len())?;
    let is_path = path.is_empty() || path.starts_with('/');
    let is_ours = start.eq_ignore_ascii_case(own) && is_path && !path.contains(['?', '#']);
    is_ours.then_some(if path == "/" { "" } else { path })
}

/// Lists only what works (RFC 8414 §2).
fn metadata<'a>(deps: &'a Deps, call: Call<'_>, issuer: &'a str) -> Metadata<'a> {
    let base = issuer.trim_end_matches('/');
    // A client that reads this over mutual TLS can use `tls_client_auth` (RFC 8705 §2.1.1). `none` is the method of
    // first-party sign-in.
    let by_certificate = call.client_certificate().map(|_| "tls_client_auth");
    let methods =
        || ["client_secret_basic", "client_secret_post", "private_key_jwt"].into_iter().chain(by_certificate);
    let algorithms = Algorithm::NAMES;
    Metadata {
        issuer,
        token_endpoint: format!("{base}/oauth2/token"),
        revocation_endpoint: format!("{base}/oauth2/revoke"),
        introspection_endpoint: format!("{base}/oauth2/introspect"),
        jwks_uri: format!("{base}/.well-known/jwks.json"),
        response_types_supported: ["none"],
        grant_types_supported: &deps.grants,
        token_endpoint_auth_methods_supported: methods().chain(["none"]).collect(),
        token_endpoint_auth_signing_alg_values_supported: algorithms,
        revocation_endpoint_auth_methods_supported: methods().chain(["none"]).collect(),
        revocation_endpoint_auth_signing_alg_values_supported: algorithms,
        introspection_endpoint_auth_methods_supported: methods().collect(),
        introspection_endpoint_auth_signing_alg_values_supported: algorithms,
        dpop_signing_alg_values_supported: algorithms,
        tls_client_certificate_bound_access_tokens: by_certificate.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::path_below;

    #[test]
    fn a_resource_is_a_url_of_this_api() {
        for (audience, path) in [
            ("https://api.example.com", Some("")),
            ("https://api.example.com/", Some("")),
            ("https://API.example.com/mcp", Some("/mcp")),
            ("https://api.example.com/a/b/", Some("/a/b/")),
            ("latchkey", None),
            ("http://api.example.com", None),
            ("https://api.example.com.evil.example", None),
            ("https://api.example.com:8443/mcp", None),
            ("https://api.example.com@evil.example/mcp", None),
            ("https://user@api.example.com/mcp", None),
            ("https://other.example/mcp", None),
            ("https://api.example.com/mcp?a=b", None),
            ("https://api.example.com/mcp#a", None),
        ] {
            assert_eq!(path_below("https://api.example.com", audience), path, "{audience}");
        }
    }
}
