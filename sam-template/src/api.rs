//! The HTTP API: its authorizers and its CORS configuration.
//!
//! Source of the property names:
//! <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-resource-httpapi.html>

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Resources, Result, TemplateError};

/// The API without its routes.
pub(super) struct Api {
    pub cors: Option<Cors>,
    pub authorizers: BTreeMap<String, Authorizer>,
    pub default_authorizer: Option<String>,
}

/// A Lambda authorizer with payload format 2.0 and simple responses.
pub struct Authorizer {
    /// Logical id of the function that decides.
    pub function: String,
    /// What a request must have before the function is called, and the key of the answers' cache.
    pub identity_sources: Vec<IdentitySource>,
    /// How long an answer is cached, in seconds. 0 is no cache.
    pub ttl: u64,
}

/// An identity source of an authorizer.
#[derive(Debug, PartialEq, Eq)]
pub enum IdentitySource {
    /// `$request.header.NAME`, in lower case.
    Header(String),
    /// `$context.routeKey`.
    RouteKey,
}

/// A CORS configuration (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-cors.html>).
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub struct Cors {
    /// Origins, `*`, `http://*` or `https://*`, and for the local stack an origin with any port, `http://HOST:*`.
    pub allow_origins: Vec<String>,
    /// Methods, or `*`.
    pub allow_methods: Vec<String>,
    /// Request headers, or `*`.
    pub allow_headers: Vec<String>,
    /// Response headers that a page may read, or `*`.
    pub expose_headers: Vec<String>,
    /// How long a browser may keep the answer to a preflight request, in seconds.
    pub max_age: Option<u64>,
    /// Whether a page may send cookies.
    pub allow_credentials: bool,
}

/// Properties of the API without effect on the local stack.
const WITHOUT_EFFECT: [&str; 7] = [
    "AccessLogSettings",
    "DefaultRouteSettings",
    "Description",
    "DisableExecuteApiEndpoint",
    "FailOnWarnings",
    "RouteSettings",
    "Tags",
];

/// Reads the API.
pub(super) fn read(resources: &Resources, api: &Value) -> Result<Api> {
    let properties = api.get("Properties").and_then(Value::as_object);
    for name in properties.into_iter().flatten().map(|(name, _)| name.as_str()) {
        if !["Auth", "CorsConfiguration"].contains(&name) && !WITHOUT_EFFECT.contains(&name) {
            return Err(TemplateError::new(format!("HttpApi.{name}"), "is not supported"));
        }
    }
    if resources.globals.get("HttpApi").is_some() {
        return Err(TemplateError::new("Globals.HttpApi", "is not supported"));
    }
    let part = |name: &str| properties.and_then(|properties| properties.get(name));
    let cors = resources.read("HttpApi.CorsConfiguration", part("CorsConfiguration"))?;
    let auth: Auth = resources.read("HttpApi.Auth", part("Auth"))?.unwrap_or_default();
    let authorizers = auth
        .authorizers
        .into_iter()
        .map(|(name, definition)| {
            let authorizer = definition.check(&format!("HttpApi.Auth.Authorizers.{name}"))?;
            Ok((name, authorizer))
        })
        .collect::<Result<_>>()?;
    Ok(Api { cors, authorizers, default_authorizer: auth.default_authorizer })
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
struct Auth {
    default_authorizer: Option<String>,
    authorizers: BTreeMap<String, Definition>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Definition {
    function_arn: String,
    authorizer_payload_format_version: String,
    #[serde(default)]
    enable_simple_responses: bool,
    #[serde(default)]
    enable_function_default_permissions: bool,
    #[serde(default)]
    identity: Identity,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
struct Identity {
    headers: Vec<String>,
    context: Vec<String>,
    reauthorize_every: u64,
}

impl Definition {
    fn check(self, place: &str) -> Result<Authorizer> {
        let refuse = |problem: &str| Err(TemplateError::new(place, problem));
        if self.authorizer_payload_format_version != "2.0" {
            return refuse("AuthorizerPayloadFormatVersion is not \"2.0\"");
        }
        if !self.enable_simple_responses {
            return refuse("EnableSimpleResponses is not true");
        }
        if !self.enable_function_default_permissions {
            return refuse("EnableFunctionDefaultPermissions is not true, so every caller would get 500");
        }
        let Some(function) = self.function_arn.strip_suffix(".Arn") else {
            return refuse("FunctionArn is not the Arn of a function of this template");
        };
        let mut identity_sources: Vec<_> = self
            .identity
            .headers
            .iter()
            .map(|name| IdentitySource::Header(name.to_ascii_lowercase()))
            .collect();
        for name in &self.identity.context {
            if name != "routeKey" {
                return refuse(&format!("$context.{name} is not supported"));
            }
            identity_sources.push(IdentitySource::RouteKey);
        }
        if identity_sources.is_empty() && self.identity.reauthorize_every > 0 {
            return refuse("ReauthorizeEvery needs an identity source");
        }
        Ok(Authorizer {
            function: function.to_owned(),
            identity_sources,
            ttl: self.identity.reauthorize_every,
        })
    }
}
