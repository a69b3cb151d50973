//! The authorizer event, in any of its five event shapes
//! (docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html and
//! …/api-gateway-lambda-authorizer-input.html).

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::headers::Headers;
use crate::proof_of_possession::TlsConnection;
use crate::route::{CONNECT, CalledRoute, DEFAULT, is_unsafe};

/// The members of an event that the authorizer reads.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizerEvent {
    version: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    authorization_token: Option<String>,
    method_arn: Option<String>,
    route_key: Option<String>,
    raw_path: Option<String>,
    http_method: Option<String>,
    resource: Option<String>,
    path_parameters: Option<BTreeMap<String, String>>,
    pub(crate) headers: Option<Headers<Option<String>>>,
    pub(crate) multi_value_headers: Option<Headers<Option<Vec<String>>>>,
    pub(crate) request_context: Option<RequestContext>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RequestContext {
    domain_name: Option<String>,
    request_id: Option<String>,
    route_key: Option<String>,
    path: Option<String>,
    http: Option<Http>,
    pub(crate) authentication: Option<TlsConnection>,
    pub(crate) identity: Option<TlsConnection>,
}

#[derive(Deserialize)]
struct Http {
    method: Option<String>,
}

/// The parts of `arn:aws:execute-api:REGION:ACCOUNT:API/STAGE/METHOD/PATH`, or of a WebSocket's `…/STAGE/$connect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodArn<'a> {
    /// The whole.
    pub whole: &'a str,
    /// From the start to the stage.
    pub stage: &'a str,
    /// The method, or `$connect`.
    pub method: &'a str,
    /// The path with its first `/`. A WebSocket has none.
    pub path: &'a str,
}

impl<'a> MethodArn<'a> {
    fn parse(whole: &'a str) -> Option<Self> {
        let (end_of_stage, _) = whole.match_indices('/').nth(1)?;
        let (stage, rest) = (&whole[..end_of_stage], &whole[end_of_stage + 1..]);
        let (method, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        (!method.is_empty()).then_some(Self { whole, stage, method, path })
    }
}

impl AuthorizerEvent {
    /// Whether the answer is yes or no (HTTP API, payload 2.0). All other events ask for an IAM policy.
    pub fn is_simple(&self) -> bool {
        self.version.as_deref() == Some("2.0")
    }

    /// The ARN that a policy is about. None if it is missing or malformed.
    pub fn method_arn(&self) -> Option<MethodArn<'_>> {
        MethodArn::parse(self.method_arn.as_deref()?)
    }

    /// The token of a REST `TOKEN` authorizer, whose header API Gateway has read already. Payload 1.0
    /// has a member of this name too, with all identity sources joined.
    pub fn token(&self) -> Option<&str> {
        self.authorization_token.as_deref().filter(|_| self.kind.as_deref() == Some("TOKEN"))
    }

    /// The route that API Gateway chose for the call. None if the event does not say it.
    pub fn route(&self) -> Option<CalledRoute<'_>> {
        let parameters = self.path_parameters.iter().flat_map(BTreeMap::values).map(String::as_str);
        let has_unsafe = self.called_path().into_iter().chain(parameters).any(is_unsafe);
        let chosen =
            |method, path| Some(CalledRoute { method, path, is_chosen: true, is_unsafe: has_unsafe });
        let is_path = |path: &&str| path.starts_with('/') || *path == DEFAULT;
        if self.is_simple() {
            let key = self.route_key.as_deref()?;
            let path = key.split_once(' ').map_or(key, |(_, path)| path);
            return chosen(self.method()?, Some(path).filter(is_path)?);
        }
        let arn = self.method_arn()?;
        if self.token().is_some() {
            let is_unsafe = is_unsafe(arn.path);
            return Some(CalledRoute { method: arn.method, path: arn.path, is_chosen: false, is_unsafe });
        }
        if let Some(path) = self.resource.as_deref() {
            // The policy is about the ARN, so the ARN must be one of this route.
            let is_its_arn = |method: &&str| arn.method == *method || [arn.method, path] == [DEFAULT; 2];
            return chosen(self.method().filter(is_its_arn)?, Some(path).filter(is_path)?);
        }
        let key = self.request_context.as_ref()?.route_key.as_deref()?;
        let is_connect = [key, arn.method] == [CONNECT; 2] && arn.path.is_empty();
        chosen("GET", Some(CONNECT).filter(|_| is_connect)?)
    }

    /// The method of the call. `TOKEN` and WebSocket events do not have it.
    pub fn method(&self) -> Option<&str> {
        let http = self.request_context.as_ref().and_then(|context| context.http.as_ref());
        if self.is_simple() { http?.method.as_deref() } else { self.http_method.as_deref() }
    }

    /// The path of the call, with a stage or a base path if there is one. An HTTP API with payload 2.0 has decoded it.
    /// `TOKEN` and WebSocket events do not have it.
    pub fn called_path(&self) -> Option<&str> {
        let path = self.request_context.as_ref().and_then(|context| context.path.as_deref());
        if self.is_simple() { self.raw_path.as_deref() } else { path }
    }

    /// The domain that the API received the request on.
    pub fn domain(&self) -> Option<&str> {
        self.request_context.as_ref()?.domain_name.as_deref()
    }

    /// API Gateway's id of the request.
    pub fn request_id(&self) -> Option<&str> {
        self.request_context.as_ref()?.request_id.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const STAGE: &str = "arn:aws:execute-api:eu-west-1:1:api/prod";

    fn event(event: Value) -> AuthorizerEvent {
        serde_json::from_value(event).unwrap()
    }

    /// The method and the path of the route, and whether API Gateway chose it.
    fn route(value: Value) -> Option<(String, String, bool)> {
        event(value).route().map(|route| (route.method.to_owned(), route.path.to_owned(), route.is_chosen))
    }

    fn chosen(method: &str, path: &str) -> Option<(String, String, bool)> {
        Some((method.to_owned(), path.to_owned(), true))
    }

    #[test]
    fn an_arn_has_a_stage_a_method_and_a_path() {
        let whole = format!("{STAGE}/GET/todo/1/x");
        let arn = MethodArn::parse(&whole).unwrap();
        assert_eq!((arn.stage, arn.method, arn.path), (STAGE, "GET", "/todo/1/x"));
        let whole = format!("{STAGE}/$connect");
        let arn = MethodArn::parse(&whole).unwrap();
        assert_eq!((arn.stage, arn.method, arn.path), (STAGE, "$connect", ""));
        for bad in ["", "arn", "arn/prod", "arn/prod/"] {
            assert_eq!(MethodArn::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn payload_2_names_the_route_by_its_key() {
        let of = |key: &str, method: &str| {
            let context = json!({"http": {"method": method}, "stage": "prod"});
            route(json!({"version": "2.0", "routeKey": key, "rawPath": "/v1/x", "requestContext": context}))
        };
        assert_eq!(of("GET /todo/{id}", "GET"), chosen("GET", "/todo/{id}"));
        assert_eq!(of("ANY /{proxy+}", "PUT"), chosen("PUT", "/{proxy+}"));
        assert_eq!(of("$default", "HEAD"), chosen("HEAD", "$default"));
        assert_eq!((of("$connect", "GET"), of("GET x", "GET"), of("", "GET")), (None, None, None));
    }

    #[test]
    fn payload_1_and_rest_name_the_route_by_its_resource() {
        for version in [json!("1.0"), Value::Null] {
            let of = |resource: &str, method: &str, arn: &str| {
                route(json!({
                    "version": version, "type": "REQUEST", "resource": resource, "httpMethod": method,
                    "methodArn": format!("{STAGE}/{arn}"),
                }))
            };
            assert_eq!(of("/todo/{id}", "GET", "GET/todo/1"), chosen("GET", "/todo/{id}"));
            assert_eq!(of("$default", "PUT", "PUT/todo/1"), chosen("PUT", "$default"));
            assert_eq!(of("$default", "PUT", "$default"), chosen("PUT", "$default"));
            assert_eq!(of("/todo", "GET", "PUT/todo"), None, "the policy would be about another call");
            assert_eq!(of("/todo", "GET", "$default"), None);
            assert_eq!(of("$connect", "GET", "GET/todo"), None);
        }
    }

    #[test]
    fn a_token_event_has_the_path_of_the_call_alone() {
        let value =
            json!({"type": "TOKEN", "authorizationToken": "t", "methodArn": format!("{STAGE}/GET/todo/1")});
        assert_eq!(route(value), Some(("GET".to_owned(), "/todo/1".to_owned(), false)));
    }

    #[test]
    fn a_websocket_opens_by_get_on_connect() {
        let of = |key: &str, arn: &str| {
            let context = json!({"routeKey": key});
            route(
                json!({"type": "REQUEST", "methodArn": format!("{STAGE}/{arn}"), "requestContext": context}),
            )
        };
        assert_eq!(of("$connect", "$connect"), chosen("GET", "$connect"));
        assert_eq!((of("$disconnect", "$disconnect"), of("$connect", "$connect/admin")), (None, None));
        assert_eq!((of("$connect", "GET/admin"), of("GET /admin", "GET/admin")), (None, None));
    }

    #[test]
    fn parameters_and_paths_are_searched_for_unsafe_text() {
        let of = |raw_path: &str, parameters: Value| {
            let context = json!({"http": {"method": "GET"}});
            event(json!({
                "version": "2.0", "routeKey": "GET /{proxy+}", "rawPath": raw_path, "requestContext": context,
                "pathParameters": parameters,
            }))
            .route()
            .unwrap()
            .is_unsafe
        };
        assert!(of("/a", json!({"proxy": "a/../b"})) && of("/a/../b", Value::Null));
        assert!(!of("/a//b", json!({"proxy": "a//b"})));
        for (path, is_unsafe) in [("/prod/a/%2E%2e/b", true), ("/prod/a", false)] {
            let rest = event(json!({
                "type": "REQUEST", "resource": "/{proxy+}", "httpMethod": "GET", "methodArn": format!("{STAGE}/GET/a"),
                "requestContext": {"path": path},
            }));
            assert_eq!(rest.route().unwrap().is_unsafe, is_unsafe, "{path}");
        }
        let token =
            json!({"type": "TOKEN", "authorizationToken": "t", "methodArn": format!("{STAGE}/GET/a/..")});
        assert!(event(token).route().unwrap().is_unsafe);
    }
}
