//! API Gateway's question, in any of its five shapes
//! (docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html and
//! …/api-gateway-lambda-authorizer-input.html).

use serde::Deserialize;

use crate::headers::Headers;
use crate::routes::Route;

/// What is read of the event; the rest is passed over.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    version: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    authorization_token: Option<String>,
    method_arn: Option<String>,
    route_key: Option<String>,
    raw_path: Option<String>,
    http_method: Option<String>,
    resource: Option<String>,
    headers: Option<Headers<Option<String>>>,
    multi_value_headers: Option<Headers<Option<Vec<String>>>>,
    request_context: Option<RequestContext>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    domain_name: Option<String>,
    request_id: Option<String>,
    stage: Option<String>,
    path: Option<String>,
    http: Option<Http>,
    authentication: Option<Connection>,
    identity: Option<Connection>,
}

#[derive(Deserialize)]
struct Http {
    method: Option<String>,
}

/// How the caller is connected: HTTP APIs call it `authentication`, REST APIs `identity`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Connection {
    client_cert: Option<ClientCertificate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientCertificate {
    client_cert_pem: Option<String>,
}

/// How the answer must look.
pub enum AnswerShape<'a> {
    /// HTTP API, payload 2.0: yes or no.
    Simple,
    /// All others: an IAM policy for the API that this ARN belongs to.
    Policy(Option<MethodArn<'a>>),
}

/// `arn:aws:execute-api:REGION:ACCOUNT:API/STAGE/METHOD/PATH`, taken apart; a WebSocket's ends in
/// `/$connect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodArn<'a> {
    /// The whole.
    pub whole: &'a str,
    /// Up to and with the stage.
    pub stage: &'a str,
    /// The method, or `$connect`.
    pub method: &'a str,
    /// The path without its first slash.
    pub path: &'a str,
}

impl<'a> MethodArn<'a> {
    fn parse(whole: &'a str) -> Option<Self> {
        let mut parts = whole.splitn(4, '/');
        let (api, stage) = (parts.next()?, parts.next()?);
        let method = parts.next().filter(|method| !method.is_empty())?;
        let path = parts.next().unwrap_or_default();
        Some(Self { whole, stage: whole.get(..api.len() + 1 + stage.len())?, method, path })
    }

    /// Whether the caller's own text could widen the ARN: `*` and `?` are wildcards in a policy.
    pub fn holds_wildcard(&self) -> bool {
        self.whole.contains(['*', '?'])
    }
}

impl Event {
    /// How the answer must look.
    pub fn answer_shape(&self) -> AnswerShape<'_> {
        if self.version.as_deref() == Some("2.0") {
            AnswerShape::Simple
        } else {
            AnswerShape::Policy(self.method_arn.as_deref().and_then(MethodArn::parse))
        }
    }

    /// The domain that the API received the request on.
    pub fn domain(&self) -> Option<&str> {
        self.request_context.as_ref()?.domain_name.as_deref()
    }

    /// The method and the path of the call, as the caller wrote them: with the stage, where there is one.
    /// A `TOKEN` authorizer isn't told.
    pub fn call(&self) -> Option<(&str, &str)> {
        let context = self.request_context.as_ref()?;
        match self.answer_shape() {
            AnswerShape::Simple => {
                Some((context.http.as_ref()?.method.as_deref()?, self.raw_path.as_deref()?))
            }
            AnswerShape::Policy(_) => Some((self.http_method.as_deref()?, context.path.as_deref()?)),
        }
    }

    /// The certificate that the caller connected with, behind a mutual-TLS domain.
    pub fn client_certificate(&self) -> Option<&str> {
        let context = self.request_context.as_ref()?;
        let connections = [&context.authentication, &context.identity];
        let certificate =
            connections.into_iter().flatten().find_map(|connection| connection.client_cert.as_ref());
        certificate?.client_cert_pem.as_deref()
    }

    /// API Gateway's id of the request.
    pub fn request_id(&self) -> Option<&str> {
        self.request_context.as_ref()?.request_id.as_deref()
    }

    /// The token of a REST `TOKEN` authorizer, whose header API Gateway has read already. Payload 1.0
    /// has a member of this name too, with all identity sources joined.
    pub fn token(&self) -> Option<&str> {
        self.authorization_token.as_deref().filter(|_| self.kind.as_deref() == Some("TOKEN"))
    }

    /// All values of a header that is read. Payload 2.0 joins them by commas.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let many = self.multi_value_headers.iter().flat_map(|headers| headers.get(name)).flatten().flatten();
        let many: Vec<&str> = many.map(String::as_str).collect();
        if !many.is_empty() {
            return many;
        }
        let single = self.headers.iter().flat_map(|headers| headers.get(name)).flatten();
        single.map(String::as_str).collect()
    }

    /// The route that the call is for. None when the event doesn't say: then nothing is allowed.
    ///
    /// Where the answer is a policy, the ARN says it: other members of the event hold the path with the
    /// stage or without, depending on the kind of API.
    pub fn route(&self) -> Option<Route<'_>> {
        if let AnswerShape::Policy(arn) = self.answer_shape() {
            let arn = arn?;
            return Some(Route { method: arn.method, path: arn.path, pattern: self.resource.as_deref() });
        }
        let context = self.request_context.as_ref()?;
        let (raw_path, method) = (self.raw_path.as_deref()?, context.http.as_ref()?.method.as_deref()?);
        let stage = context.stage.as_deref().filter(|stage| *stage != "$default");
        let without_stage = stage.and_then(|stage| raw_path.strip_prefix('/')?.strip_prefix(stage));
        let path = without_stage.filter(|path| path.is_empty() || path.starts_with('/')).unwrap_or(raw_path);
        Some(Route { method, path, pattern: pattern(self.route_key.as_deref()?) })
    }
}

/// The path of a route key; `$default` has none.
fn pattern(route_key: &str) -> Option<&str> {
    route_key.split_once(' ').map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_comes_apart() {
        let arn = MethodArn::parse("arn:aws:execute-api:eu-west-1:1:api/prod/GET/todo/1/x").unwrap();
        assert_eq!(
            (arn.stage, arn.method, arn.path),
            ("arn:aws:execute-api:eu-west-1:1:api/prod", "GET", "todo/1/x")
        );
        let socket = MethodArn::parse("arn:aws:execute-api:eu-west-1:1:api/prod/$connect").unwrap();
        assert_eq!((socket.method, socket.path), ("$connect", ""));
        for bad in ["", "arn", "arn/prod", "arn/prod/"] {
            assert_eq!(MethodArn::parse(bad), None, "{bad}");
        }
    }
}
