//! Reads `template.yaml`: functions, routes, authorizers, CORS and the table.
//!
//! The local stack, `latchkey doctor`, tests and fuzz targets use it. The template is written for CloudFormation. An
//! unsupported property in a part that is read is an error that names the place, so that the local stack does not
//! silently differ from AWS.
//!
//! It depends on none of the workspace's crates, and does no IO.

mod api;
mod function;
mod intrinsics;
pub mod policy;
mod table;
pub mod yaml;

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use self::api::Api;
pub use self::api::{Authorizer, Cors, IdentitySource};
pub use self::function::{Function, Route};
use self::intrinsics::Scope;
pub use self::table::{Index, KeyDefinition, TableDefinition};

/// The template of the repository, as of this build.
pub const TEMPLATE: &str = include_str!("../../template.yaml");
/// The account of the local stack, which AWS's documentation uses too.
pub const ACCOUNT_ID: &str = "123456789012";
/// The region of the local stack.
pub const REGION: &str = "us-east-1";

/// A template, read and checked.
pub struct Template {
    /// The functions by logical id.
    pub functions: BTreeMap<String, Function>,
    /// The API's routes.
    pub routes: Vec<Route>,
    /// The API's authorizers by name.
    pub authorizers: BTreeMap<String, Authorizer>,
    /// The CORS configuration, if any.
    pub cors: Option<Cors>,
    /// The table.
    pub table: TableDefinition,
}

/// An invalid or unsupported part of the template.
#[derive(Debug, thiserror::Error)]
#[error("template.yaml, {place}: {problem}")]
pub struct TemplateError {
    place: String,
    problem: String,
}

type Result<T> = std::result::Result<T, TemplateError>;

impl TemplateError {
    fn new(place: impl Into<String>, problem: impl fmt::Display) -> Self {
        Self { place: place.into(), problem: problem.to_string() }
    }
}

impl Template {
    /// Reads a template with the defaults of all parameters.
    ///
    /// # Errors
    /// Text that is not a template, and unsupported properties.
    pub fn read(text: &str) -> Result<Self> {
        Self::read_with(text, &[])
    }

    /// Reads a template with values for some of its parameters.
    ///
    /// # Errors
    /// As [`read`](Self::read), and a value for a parameter that does not exist.
    pub fn read_with(text: &str, values: &[(&str, &str)]) -> Result<Self> {
        let resources = Resources::of(&yaml::read(text)?, values)?;
        let (api_id, api) = resources.only("AWS::Serverless::HttpApi")?;
        let Api { cors, authorizers, default_authorizer } = api::read(&resources, api)?;
        let mut functions = BTreeMap::new();
        let mut routes = Vec::new();
        for (id, resource) in resources.of_type("AWS::Serverless::Function") {
            let (function, its_routes) =
                function::read(&resources, id, resource, api_id, default_authorizer.as_deref())?;
            functions.insert(id.to_owned(), function);
            routes.extend(its_routes);
        }
        for (name, authorizer) in &authorizers {
            if !functions.contains_key(&authorizer.function) {
                let problem = format!("{} is not a function", authorizer.function);
                return Err(TemplateError::new(format!("authorizer {name}"), problem));
            }
        }
        for route in &routes {
            if let Some(name) = route.authorizer.as_ref().filter(|name| !authorizers.contains_key(*name)) {
                return Err(TemplateError::new(route.key(), format!("{name} is not an authorizer")));
            }
        }
        let (_, table) = resources.only("AWS::DynamoDB::Table")?;
        Ok(Self { functions, routes, authorizers, cors, table: table::read(&resources, table)? })
    }
}

/// The resources whose condition holds, and the globals.
struct Resources {
    scope: Scope,
    globals: Value,
    resources: Map<String, Value>,
}

impl Resources {
    fn of(template: &Value, values: &[(&str, &str)]) -> Result<Self> {
        let scope = Scope::of(template, values)?;
        let mut resources = Map::new();
        for (id, resource) in template.get("Resources").and_then(Value::as_object).into_iter().flatten() {
            let holds = match resource.get("Condition") {
                None => true,
                Some(Value::String(name)) => scope.holds(&format!("Resources.{id}"), name)?,
                Some(_) => {
                    return Err(TemplateError::new(format!("Resources.{id}"), "has an invalid Condition"));
                }
            };
            if holds {
                resources.insert(id.clone(), resource.clone());
            }
        }
        let globals = template.get("Globals").cloned().unwrap_or_default();
        Ok(Self { scope, globals, resources })
    }

    fn of_type(&self, kind: &str) -> impl Iterator<Item = (&str, &Value)> {
        self.resources
            .iter()
            .filter(move |(_, resource)| resource.get("Type").and_then(Value::as_str) == Some(kind))
            .map(|(id, resource)| (id.as_str(), resource))
    }

    /// The one resource of a type.
    fn only(&self, kind: &str) -> Result<(&str, &Value)> {
        let mut found = self.of_type(kind);
        match (found.next(), found.next()) {
            (Some(resource), None) => Ok(resource),
            _ => Err(TemplateError::new("Resources", format!("must have exactly one {kind}"))),
        }
    }

    /// Resolves a part of the template and deserializes it.
    fn read<T: DeserializeOwned>(&self, place: &str, part: Option<&Value>) -> Result<Option<T>> {
        let Some(value) = part.map(|part| self.scope.resolve(place, part)).transpose()?.flatten() else {
            return Ok(None);
        };
        serde_json::from_value(value).map(Some).map_err(|error| TemplateError::new(place, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_template_is_read() {
        let template = Template::read(TEMPLATE).unwrap();
        let profile = template.routes.iter().find(|route| route.path == "/profile").unwrap();
        let authorizer = &template.authorizers[profile.authorizer.as_deref().unwrap()];
        assert_eq!(template.functions[&authorizer.function].name, "authorizer");
        assert!(
            template.authorizers.values().all(|authorizer| authorizer.ttl == 0),
            "a cached answer outlives a revocation"
        );
        assert_eq!(template.functions[&profile.function].name, "whoami");
        assert_eq!(template.table.time_to_live.as_deref(), Some("expires_at"));
        assert!(template.table.backed_up && template.table.protected && template.table.encrypted);
        let optional = |name: &str| template.functions.values().any(|f| f.name == name && f.optional);
        assert!(optional("whoami") && !optional("token"));
    }

    #[test]
    fn cors_is_off_until_an_origin_is_allowed() {
        let with = |values: &[(&str, &str)]| Template::read_with(TEMPLATE, values).unwrap().cors;
        assert!(with(&[]).is_none() && with(&[("AllowedHeaders", "x-tenant")]).is_none());
        let cors = with(&[("AllowedOrigins", "https://a.example,https://b.example")]).unwrap();
        assert_eq!(cors.allow_origins, ["https://a.example", "https://b.example"]);
        assert_eq!(
            (cors.allow_credentials, cors.allow_methods.as_slice()),
            (false, ["GET", "POST"].map(str::to_owned).as_slice())
        );
        for name in [
            "authorization",
            "baggage",
            "content-type",
            "dpop",
            "mcp-protocol-version",
            "sentry-trace",
            "traceparent",
            "tracestate",
            "x-api-key",
            "x-requested-with",
        ] {
            assert!(cors.allow_headers.iter().any(|header| header == name), "{name}");
        }
        let more = with(&[("AllowedOrigins", "*"), ("AllowedHeaders", "x-tenant,b3")]).unwrap();
        assert_eq!(
            more.allow_headers,
            [cors.allow_headers, vec!["x-tenant".to_owned(), "b3".to_owned()]].concat()
        );
    }

    #[test]
    fn every_route_that_is_open_to_all_and_writes_has_a_rate_limit_of_its_own() {
        let resources = Resources::of(&yaml::read(TEMPLATE).unwrap(), &[]).unwrap();
        let (_, api) = resources.only("AWS::Serverless::HttpApi").unwrap();
        let rate = |settings: &Value| settings["ThrottlingRateLimit"].as_u64();
        let for_all = rate(&api["Properties"]["DefaultRouteSettings"]);
        let own = api["Properties"]["RouteSettings"].as_object().unwrap();
        let routes = Template::read(TEMPLATE).unwrap().routes;
        let open = routes.iter().filter(|route| route.method == "POST" && route.authorizer.is_none());
        for key in open.map(Route::key) {
            let limit = own.get(&key).and_then(rate);
            assert!(limit.is_some() && limit < for_all, "{key}: {limit:?}");
        }
        for key in own.keys() {
            assert!(routes.iter().any(|route| route.key() == *key), "{key} is not a route");
        }
    }

    /// The statements of every function's policies, each with its function's name.
    fn statements() -> Vec<(String, Value)> {
        let resources = Resources::of(&yaml::read(TEMPLATE).unwrap(), &[]).unwrap();
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let mut statements = Vec::new();
        for (_, function) in resources.of_type("AWS::Serverless::Function") {
            let name = function["Metadata"]["BuildProperties"]["Binary"].as_str().unwrap();
            for policy in list(&function["Properties"]["Policies"]) {
                statements.extend(list(&policy["Statement"]).into_iter().map(|one| (name.to_owned(), one)));
            }
        }
        statements
    }

    fn texts(value: &Value) -> Vec<&str> {
        let several = value.as_array().map(|array| array.iter().filter_map(Value::as_str).collect());
        several.unwrap_or_else(|| value.as_str().into_iter().collect())
    }

    #[test]
    fn a_function_may_read_and_write_what_is_its_own() {
        const SIGNERS: [&str; 4] = ["google", "login", "rotation", "token"];
        let statements = statements();
        let mut signers = Vec::new();
        for (name, statement) in &statements {
            let actions = texts(&statement["Action"]);
            let place = format!("{name}: {}", statement["Sid"]);
            assert_eq!(statement["Effect"], "Allow", "{place}");
            if statement["Resource"]["Ref"] == "SigningSecret" {
                let secrets = |action: &&str| action.starts_with("secretsmanager:") && !action.contains('*');
                assert!(actions.iter().all(secrets), "{place}");
                assert!(name == "rotation" || actions == ["secretsmanager:GetSecretValue"], "{place}");
                signers.push(name.as_str());
                continue;
            }
            // Only the table's items, not its index.
            assert_eq!(statement["Resource"]["Fn::GetAtt"], "Table.Arn", "{place}");
            let keys = texts(&statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]);
            let attributes =
                texts(&statement["Condition"]["ForAllValues:StringEquals"]["dynamodb:Attributes"]);
            assert!(!keys.is_empty() && !keys.iter().any(|key| key.starts_with('*')), "{place}: {keys:?}");
            for action in actions {
                match action {
                    "dynamodb:GetItem" => {}
                    "dynamodb:Query" => assert_eq!(keys, ["TRUST"], "{place}"),
                    // Principals and trust items are updated attribute by attribute.
                    "dynamodb:PutItem" | "dynamodb:UpdateItem" | "dynamodb:DeleteItem" => {
                        let of_others = |key: &&str| {
                            ["CLIENT#", "USER#", "APIKEY#", "TRUST"].iter().any(|kind| key.starts_with(kind))
                        };
                        let made_here = keys.contains(&"USER#usr_*") && action == "dynamodb:PutItem";
                        let free = made_here || !keys.iter().any(of_others);
                        assert!(
                            free || (action == "dynamodb:UpdateItem" && !attributes.is_empty()),
                            "{place}"
                        );
                        assert!(name == "rotation" || !attributes.contains(&"keys"), "{place}");
                    }
                    other => panic!("{place}: {other}"),
                }
            }
        }
        signers.sort_unstable();
        assert_eq!(signers, SIGNERS);
        let template = Template::read(TEMPLATE).unwrap();
        for function in template.functions.values() {
            let told = function.environment.contains_key("SIGNING_SECRET_ID");
            assert_eq!(told, SIGNERS.contains(&function.name.as_str()), "{}", function.name);
        }
    }

    fn error(template: &str) -> String {
        Template::read(template).err().map(|error| error.to_string()).unwrap_or_default()
    }

    /// A small template, in which tests break one thing.
    const SMALL: &str = r#"
Conditions:
  Never: !Equals [a, b]
Globals:
  Function:
    Environment: { Variables: { EVERYWHERE: 1, HERE: "no" } }
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      Auth:
        DefaultAuthorizer: Key
        Authorizers:
          Key:
            FunctionArn: !GetAtt Checker.Arn
            AuthorizerPayloadFormatVersion: "2.0"
            EnableSimpleResponses: true
            EnableFunctionDefaultPermissions: true
            Identity: { Headers: [X-Api-Key], Context: [routeKey], ReauthorizeEvery: 7 }
  Checker:
    Type: AWS::Serverless::Function
    Properties: { CodeUri: functions/authorizer/ }
  Hello:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: hello } }
    Properties:
      Environment: { Variables: { HERE: !Ref Table } }
      Events:
        Closed: { Type: HttpApi, Properties: { ApiId: !Ref Api, Method: get, Path: "/a/{id}" } }
        Open: { Type: HttpApi, Properties: { ApiId: !Ref Api, Method: any, Path: /b, Auth: { Authorizer: NONE } } }
  Off: { Type: AWS::Serverless::Function, Condition: Never }
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      KeySchema: [{ AttributeName: pk, KeyType: HASH }]
      AttributeDefinitions: [{ AttributeName: pk, AttributeType: S }]
"#;

    #[test]
    fn globals_defaults_and_conditions_apply() {
        let template = Template::read(SMALL).unwrap();
        let hello = &template.functions["Hello"];
        assert_eq!(
            (hello.name.as_str(), template.functions["Checker"].name.as_str()),
            ("hello", "authorizer")
        );
        let environment: Vec<_> = hello.environment.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(environment, [("EVERYWHERE", "1"), ("HERE", "Table")]);
        assert!(!template.functions.contains_key("Off"));
        let routes: Vec<_> =
            template.routes.iter().map(|route| (route.key(), route.authorizer.as_deref())).collect();
        assert_eq!(routes, [("GET /a/{id}".to_owned(), Some("Key")), ("ANY /b".to_owned(), None)]);
        let key = &template.authorizers["Key"];
        assert_eq!((key.function.as_str(), key.ttl), ("Checker", 7));
        assert_eq!(
            key.identity_sources,
            [IdentitySource::Header("x-api-key".to_owned()), IdentitySource::RouteKey]
        );
    }

    #[test]
    fn unsupported_and_invalid_properties_are_rejected() {
        for (from, to, problem) in [
            ("Headers:", "QueryStrings: [a], Headers:", "QueryStrings"),
            ("\"2.0\"", "\"1.0\"", "AuthorizerPayloadFormatVersion"),
            ("EnableSimpleResponses: true", "EnableSimpleResponses: false", "EnableSimpleResponses"),
            (
                "EnableFunctionDefaultPermissions: true",
                "EnableFunctionDefaultPermissions: false",
                "EnableFunction",
            ),
            ("[routeKey]", "[identity.sourceIp]", "identity.sourceIp"),
            ("!GetAtt Checker.Arn", "!GetAtt Table.Arn", "Table is not a function"),
            ("DefaultAuthorizer: Key", "DefaultAuthorizer: Lock", "Lock is not an authorizer"),
            ("Type: HttpApi", "Type: SQS", "SQS"),
            ("ApiId: !Ref Api", "ApiId: Other", "ApiId"),
            ("Path: /b,", "Path: /b, PayloadFormatVersion: \"1.0\",", "PayloadFormatVersion"),
            ("      Auth:", "      Domain: {}\n      Auth:", "Domain"),
            ("Metadata: { BuildProperties: { Binary: hello } }", "Metadata: {}", "Hello"),
            ("KeyType: HASH", "KeyType: HATCH", "HATCH"),
            ("Condition: Never", "Condition: Ever", "Ever is not a condition"),
            ("  Off: {", "  Two: { Type: AWS::DynamoDB::Table }\n  Off: {", "one AWS::DynamoDB::Table"),
        ] {
            assert!(SMALL.contains(from), "{from}");
            let error = error(&SMALL.replacen(from, to, 1));
            assert!(error.starts_with("template.yaml, ") && error.contains(problem), "{problem}: {error}");
        }
    }
}
