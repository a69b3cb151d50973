//! API Gateway's question, in any of its five shapes
//! (docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html and
//! …/api-gateway-lambda-authorizer-input.html).

use std::borrow::Cow;
use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::headers::Headers;
use crate::pattern::parameter;
use crate::resource::{MAX_LENGTH, is_literal};
use crate::routes::Route;

/// What a path of a URL holds only when it is encoded (RFC 3986 §3.3): all but letters, digits and these.
const NOT_IN_PATHS: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

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
    path_parameters: Option<BTreeMap<String, String>>,
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
    /// The path; a WebSocket has none.
    pub path: &'a str,
}

impl<'a> MethodArn<'a> {
    fn parse(whole: &'a str) -> Option<Self> {
        let (api, rest) = whole.split_once('/')?;
        let (stage, rest) = rest.split_once('/')?;
        let (method, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let stage = whole.get(..api.len() + 1 + stage.len())?;
        (!method.is_empty()).then_some(Self { whole, stage, method, path })
    }

    /// Whether a policy may speak of this call alone: the caller's own text could widen the ARN, or be too long for it.
    pub fn can_be_said(&self) -> bool {
        is_literal(self.whole) && self.whole.len() <= MAX_LENGTH
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

    /// The method and the path of the call, as the caller wrote them, but for what an HTTP API has decoded and is
    /// encoded here: with the stage, where there is one. A `TOKEN` authorizer isn't told.
    pub fn call(&self) -> Option<(&str, Cow<'_, str>)> {
        let context = self.request_context.as_ref()?;
        match self.answer_shape() {
            AnswerShape::Simple => {
                let path = utf8_percent_encode(self.raw_path.as_deref()?, NOT_IN_PATHS).into();
                Some((context.http.as_ref()?.method.as_deref()?, path))
            }
            AnswerShape::Policy(_) => Some((self.http_method.as_deref()?, context.path.as_deref()?.into())),
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
            // A route of an HTTP API, and not the method of a call.
            let arn = arn.filter(|arn| arn.method != "$default")?;
            return Some(Route {
                method: arn.method,
                path: arn.path.into(),
                pattern: self.resource.as_deref().filter(|path| path.starts_with('/')),
                stage: None,
            });
        }
        let context = self.request_context.as_ref()?;
        let method = context.http.as_ref()?.method.as_deref()?;
        let pattern = pattern(self.route_key.as_deref()?);
        let (path, stage) = match pattern {
            Some(pattern) => (self.filled(pattern)?, None),
            None => self.called(context.stage.as_deref())?,
        };
        Some(Route { method, path, pattern, stage })
    }

    /// The API's own route with the call's parameters in it. The path as it was called begins with a custom
    /// domain's base path, where there is one, and rules don't.
    fn filled<'a>(&self, pattern: &'a str) -> Option<Cow<'a, str>> {
        if !pattern.contains('{') {
            return Some(pattern.into());
        }
        let filled = pattern.split('/').map(|text| {
            let Some((name, _)) = parameter(text) else { return Some(text) };
            self.path_parameters.as_ref()?.get(name).map(String::as_str)
        });
        Some(filled.collect::<Option<Vec<_>>>()?.join("/").into())
    }

    /// The path as it was called, without the stage: on the API's own domain it is there. On a custom domain it is
    /// there or not, as others report, depending on the API mapping, and the rules must hold either way.
    fn called<'a>(&'a self, stage: Option<&'a str>) -> Option<(Cow<'a, str>, Option<&'a str>)> {
        let path = self.raw_path.as_deref()?;
        let stage = stage.filter(|stage| *stage != "$default");
        if !self.domain().is_some_and(|domain| domain.to_ascii_lowercase().contains(".execute-api.")) {
            return Some((path.into(), stage));
        }
        let rest = stage.and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage));
        let rest = rest.filter(|rest| rest.is_empty() || rest.starts_with('/'));
        // A WebSocket has no path: the root of all others has a slash.
        let rest = rest.map(|rest| if rest.is_empty() { "/" } else { rest });
        Some(rest.map_or((path.into(), stage), |rest| (rest.into(), None)))
    }
}

/// The path of a route key; `$default` has none.
fn pattern(route_key: &str) -> Option<&str> {
    route_key.split_once(' ').map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use shared::oauth::scope::Scopes;

    use super::*;
    use crate::routes::RoutePolicy;

    #[test]
    fn an_arn_comes_apart() {
        let arn = MethodArn::parse("arn:aws:execute-api:eu-west-1:1:api/prod/GET/todo/1/x").unwrap();
        assert_eq!(
            (arn.stage, arn.method, arn.path),
            ("arn:aws:execute-api:eu-west-1:1:api/prod", "GET", "/todo/1/x")
        );
        let socket = MethodArn::parse("arn:aws:execute-api:eu-west-1:1:api/prod/$connect").unwrap();
        assert_eq!((socket.method, socket.path), ("$connect", ""));
        for bad in ["", "arn", "arn/prod", "arn/prod/"] {
            assert_eq!(MethodArn::parse(bad), None, "{bad}");
        }
    }

    fn path(route_key: &str, raw_path: &str, parameters: &Value, domain: &str) -> String {
        let event: Event = serde_json::from_value(json!({
            "version": "2.0",
            "routeKey": route_key,
            "rawPath": raw_path,
            "pathParameters": parameters,
            "requestContext": {"domainName": domain, "stage": "prod", "http": {"method": "GET"}},
        }))
        .unwrap();
        event.route().unwrap().path.into_owned()
    }

    #[test]
    fn the_path_is_the_apis_own_without_stage_or_base_path() {
        let (own, custom) = ("api.execute-api.eu-west-1.amazonaws.com", "api.example.com");
        let none = &Value::Null;
        for (route_key, raw_path, parameters, domain, expected) in [
            ("$default", "/prod/todo", none, own, "/todo"),
            ("$default", "/prod", none, own, "/"),
            ("$default", "/product", none, own, "/product"),
            ("$default", "/prod/todo", none, custom, "/prod/todo"),
            ("GET /todo", "/v1/todo", none, custom, "/todo"),
            ("GET /todo/{id}", "/v1/todo/a/b", &json!({"id": "a/b"}), custom, "/todo/a/b"),
            ("ANY /{proxy+}", "/v1/x/todo/1", &json!({"proxy": "todo/1"}), custom, "/todo/1"),
            ("ANY /api/{proxy+}", "/prod/api/todo", &json!({"proxy": "todo"}), own, "/api/todo"),
        ] {
            assert_eq!(path(route_key, raw_path, parameters, domain), expected, "{route_key} {raw_path}");
        }
    }

    #[test]
    fn behind_default_a_custom_domains_path_may_begin_with_the_stage() {
        for path in ["/prod/todo", "//prod/todo", "/todo"] {
            assert!(!is_open("GET /todo", &event("GET", "$default", path, &Value::Null)), "{path}");
        }
    }

    #[test]
    fn a_method_of_api_gateways_own_opens_nothing() {
        let rest = |method: &str, path: &str| -> Event {
            let arn = format!("arn:aws:execute-api:eu-west-1:1:api/prod/{method}{path}");
            let event = json!({"type": "REQUEST", "resource": "/{proxy+}", "methodArn": arn});
            serde_json::from_value(event).unwrap()
        };
        for method in ["$RUN", "$connect", "$disconnect"] {
            for path in ["/", "/admin"] {
                assert!(!is_open("ANY /admin", &rest(method, path)), "{method} {path}");
                let mut asked = event(method, "ANY /admin", path, &Value::Null);
                assert!(!is_open("ANY /admin", &asked), "{method} {path}");
                asked = event(method, "$default", "/prod", &Value::Null);
                let context = asked.request_context.as_mut().unwrap();
                context.domain_name = Some("api.execute-api.eu-west-1.amazonaws.com".to_owned());
                assert!(!is_open("ANY /{rest+}", &asked), "{method} to the root of the API's own domain");
            }
        }
        assert!(!is_open("$connect", &rest("$connect", "")) && is_open("ANY /admin", &rest("$connect", "")));
    }

    #[test]
    fn default_is_no_path_and_no_method() {
        let event = |arn: &str| -> Event {
            let event =
                json!({"version": "1.0", "type": "REQUEST", "resource": "$default", "methodArn": arn});
            serde_json::from_value(event).unwrap()
        };
        let api = "arn:aws:execute-api:eu-west-1:1:api/prod";
        assert_eq!(event(&format!("{api}/GET/todo")).route().unwrap().pattern, None);
        assert!(event(&format!("{api}/$default")).route().is_none());
        assert!(event(&format!("{api}/$connect")).route().is_some());
    }

    /// An event of an HTTP API, which decodes the path, and cuts it at a question mark.
    fn event(method: &str, route_key: &str, path: &str, parameters: &Value) -> Event {
        let raw_path = path.split('?').next().unwrap();
        serde_json::from_value(json!({
            "version": "2.0",
            "routeKey": route_key,
            "rawPath": raw_path,
            "pathParameters": parameters,
            "requestContext": {"domainName": "api.example.com", "stage": "prod", "http": {"method": method}},
        }))
        .unwrap()
    }

    fn is_open(rule: &str, event: &Event) -> bool {
        let rules = [(rule.to_owned(), Scopes::parse("admin").unwrap())];
        RoutePolicy::new(rules.into()).unwrap().permits(&event.route().unwrap(), &Scopes::default())
    }

    #[test]
    fn what_an_http_api_has_decoded_is_encoded_again() {
        let asked = event("POST", "$default", "/files/a b%/é", &Value::Null);
        assert_eq!(asked.call(), Some(("POST", "/files/a%20b%25/%C3%A9".into())));
    }

    proptest! {
        /// However a call gets to a back end, a route that a rule shuts is shut, whatever stands for its parameter.
        #[test]
        fn a_parameter_opens_nothing(
            rule in "(GET|ANY) /files/\\{name\\}",
            method in "GET|HEAD",
            value in "[ab.%/\\\\;?# \t]{0,3}(%2e|%2F|%5c|%3f|%00|é|a)[ab.;?# ]{0,2}",
        ) {
            let path = format!("/files/{value}");
            for route_key in ["GET /files/{name}", "HEAD /files/{name}", "ANY /files/{name}"] {
                let asked = event(&method, route_key, &path, &json!({"name": value}));
                prop_assert!(!is_open(&rule, &asked), "{route_key} {path:?}");
            }
            // With a slash it is another path, and what begins with a question mark is gone.
            if !value.contains('/') && !value.starts_with('?') {
                let all = json!({"proxy": path.trim_start_matches('/')});
                for route_key in ["GET /{proxy+}", "ANY /{proxy+}", "$default"] {
                    let asked = event(&method, route_key, &path, &all);
                    prop_assert!(!is_open(&rule, &asked), "{route_key} {path:?}");
                }
            }
        }

        /// A path that a back end may take for the one that is shut is shut.
        #[test]
        fn another_spelling_opens_nothing(
            before in "(/|//|/\\./|/x/\\.\\./|/%2e/|\\\\|/%5C| /|/ )",
            path in "admin|%61dmin|ad%6Din|admin/",
            after in "([?#]|%3F|%23)[a/]{0,3}|(;|%3b)a{0,3}|[ /\t\\\\]|%20|%09|%2F|/\\.|/%2E|",
        ) {
            let path = format!("{before}{path}{after}");
            let all = json!({"proxy": path.trim_start_matches('/')});
            for route_key in ["GET /{proxy+}", "ANY /{proxy+}", "$default"] {
                prop_assert!(!is_open("GET /admin", &event("GET", route_key, &path, &all)), "{route_key} {path:?}");
            }
        }

        /// Whatever lies below a path that a rule shuts with all the rest is shut.
        #[test]
        fn a_greedy_rule_shuts_all_that_is_below(
            value in "[ab.%/\\\\;?# \t]{0,3}(%2e|%2F|%5c|%3f|é|a)",
            method in "GET|HEAD",
        ) {
            let path = format!("/admin/{value}");
            for route_key in ["GET /admin/{rest+}", "ANY /admin/{rest+}"] {
                let asked = event(&method, route_key, &path, &json!({"rest": value}));
                prop_assert!(!is_open("ANY /admin/{all+}", &asked), "{route_key} {path:?}");
            }
        }
    }
}
