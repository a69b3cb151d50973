//! A function: its crate, its environment and its routes.
//!
//! Source of the property names:
//! <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-resource-function.html>

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::intrinsics::as_text;
use super::{Resources, Result, TemplateError};

/// A Lambda function.
pub struct Function {
    /// Its crate: the name of its binary, or the last segment of its code's path.
    pub name: String,
    /// The environment that the template gives it.
    pub environment: BTreeMap<String, String>,
    /// Whether a parameter of the template can turn it off.
    pub optional: bool,
}

/// A route of the HTTP API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The method in capitals, or `ANY`.
    pub method: String,
    /// The path. Segments may be `{name}`, the last one `{name+}`.
    pub path: String,
    /// Logical id of the function.
    pub function: String,
    /// Name of the authorizer, if any.
    pub authorizer: Option<String>,
}

impl Route {
    /// The route key: method, blank, path.
    pub fn key(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// Reads one function and its routes.
pub(super) fn read(
    resources: &Resources,
    id: &str,
    resource: &Value,
    api_id: &str,
    default_authorizer: Option<&str>,
) -> Result<(Function, Vec<Route>)> {
    let place = |part: &str| format!("Resources.{id}.{part}");
    let binary = resource.pointer("/Metadata/BuildProperties/Binary");
    let code: Option<String> = resources.read(&place("CodeUri"), resource.pointer("/Properties/CodeUri"))?;
    let name = match resources.read::<String>(&place("Metadata"), binary)? {
        Some(binary) => binary,
        None => code
            .as_deref()
            .and_then(|path| path.trim_end_matches('/').rsplit('/').next())
            .filter(|name| !name.is_empty())
            .ok_or_else(|| TemplateError::new(place("CodeUri"), "does not name the function's crate"))?
            .to_owned(),
    };

    let mut environment = BTreeMap::new();
    for (place, part) in [
        ("Globals.Function.Environment".to_owned(), resources.globals.pointer("/Function/Environment")),
        (place("Environment"), resource.pointer("/Properties/Environment")),
    ] {
        let variables: FunctionEnvironment = resources.read(&place, part)?.unwrap_or_default();
        environment.extend(variables.variables.into_iter().map(|(name, value)| (name, as_text(value))));
    }

    let events: BTreeMap<String, FunctionEvent> =
        resources.read(&place("Events"), resource.pointer("/Properties/Events"))?.unwrap_or_default();
    let routes = events
        .into_iter()
        // The local stack has no schedules.
        .filter_map(|(event, source)| match source {
            FunctionEvent::HttpApi(properties) => Some((event, properties)),
            FunctionEvent::Schedule(_) => None,
        })
        .map(|(event, properties)| {
            if properties.api_id != api_id {
                return Err(TemplateError::new(place(&format!("Events.{event}.ApiId")), "is another API"));
            }
            let authorizer = match properties.auth.and_then(|auth| auth.authorizer).as_deref() {
                Some("NONE") => None,
                Some(name) => Some(name.to_owned()),
                None => default_authorizer.map(str::to_owned),
            };
            Ok(Route {
                method: properties.method.to_ascii_uppercase(),
                path: properties.path,
                function: id.to_owned(),
                authorizer,
            })
        })
        .collect::<Result<_>>()?;
    let optional = resource.get("Condition").is_some();
    Ok((Function { name, environment, optional }, routes))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
struct FunctionEnvironment {
    variables: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(tag = "Type", content = "Properties", deny_unknown_fields)]
enum FunctionEvent {
    HttpApi(HttpApiEvent),
    Schedule(IgnoredAny),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct HttpApiEvent {
    api_id: String,
    method: String,
    path: String,
    auth: Option<RouteAuth>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct RouteAuth {
    authorizer: Option<String>,
}
