//! The routes: each of the template's is there, and none is open that should not be.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::{Method, StatusCode};
use sam_template::{Route, Template};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::check::Check;
use super::http::HttpClient;
use local::route_scopes::findings;

/// The check's name.
pub const NAME: &str = "routes";
const SCOPES_NAME: &str = "route scopes";

/// The answer of a route to a request without credential and body.
pub struct Probe {
    route: Route,
    /// The status. `None` if the API has no such route.
    answer: Result<Option<StatusCode>, String>,
}

/// How many routes are probed concurrently: far fewer than the ten executions at a time that a new AWS account has.
const AT_ONCE: usize = 4;

/// Sends a request to each GET and POST route. Other methods might change something.
pub async fn probe(http: &HttpClient, url: &str, routes: &[Route]) -> Vec<Probe> {
    let mut probes = JoinSet::new();
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    for route in routes {
        let method = match route.method.as_str() {
            "GET" => Method::GET,
            "POST" => Method::POST,
            _ => continue,
        };
        let (http, route, url) = (http.clone(), route.clone(), format!("{url}{}", filled(&route.path)));
        let permits = permits.clone();
        probes.spawn(async move {
            let _permit = permits.acquire().await;
            let answer = http.send(method, &url).await.map(|answer| {
                let is_there = answer.status != StatusCode::NOT_FOUND || is_a_functions_error(&answer.body);
                is_there.then_some(answer.status)
            });
            Probe { route, answer }
        });
    }
    let mut probes = probes.join_all().await;
    probes.sort_by_key(|probe| (probe.route.path.clone(), probe.route.method.clone()));
    probes
}

/// A path with a value for each parameter.
fn filled(path: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { "doctor" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

/// Whether the 404 is the function's. API Gateway's own 404 has a `message` in place of an `error`.
fn is_a_functions_error(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|body| body["error"].is_string())
}

/// Checks the answers. The routes of a function that the template can leave out may all be missing.
pub fn validate(probes: &[Probe], template: &Template) -> Check {
    if probes.is_empty() {
        return Check::not_checked(NAME, "the API does not answer");
    }
    let is_there = |probe: &&Probe| matches!(probe.answer, Ok(Some(_)));
    let deployed: BTreeSet<_> = probes.iter().filter(is_there).map(|probe| &probe.route.function).collect();
    if deployed.is_empty() && probes.iter().all(|probe| probe.answer.is_ok()) {
        return Check::problem(NAME, "none of the template's routes exists", "Check the URL");
    }
    let is_left_out = |probe: &Probe| {
        let function = template.functions.get(&probe.route.function);
        function.is_some_and(|function| function.optional) && !deployed.contains(&probe.route.function)
    };
    let wrong = probes.iter().filter(|probe| !is_left_out(probe)).filter_map(Probe::wrong);
    let wrong: Vec<_> = wrong.collect();
    let Some((_, advice)) = wrong.first() else {
        let left_out = probes.iter().filter(|probe| is_left_out(probe)).count();
        let and =
            if left_out > 0 { format!(". {left_out} are turned off by a parameter") } else { String::new() };
        return Check::ok(
            NAME,
            format!("all {} routes of the template answer{and}", probes.len() - left_out),
        );
    };
    let details: Vec<_> = wrong.iter().map(|(detail, _)| detail.as_str()).collect();
    Check::problem(NAME, details.join("; "), *advice)
}

/// Checks that the keys of the template's route scopes name its routes. The deployment's own parameter `RouteScopes`
/// can't be read from here.
pub fn check_scopes(template: &Template) -> Check {
    let findings = findings(template);
    if !findings.errors.is_empty() {
        let advice = "Correct ROUTE_SCOPES in template.yaml and deploy it again (`sam deploy`)";
        return Check::problem(SCOPES_NAME, findings.errors.join("; "), advice);
    }
    if !findings.warnings.is_empty() {
        let advice = "Add a key for each of them to ROUTE_SCOPES in template.yaml, or `*` for all";
        return Check::warning(SCOPES_NAME, findings.warnings.join("; "), advice);
    }
    Check::ok(SCOPES_NAME, "every key names a route of the template")
}

impl Probe {
    /// What is wrong with an answer, and what to do.
    fn wrong(&self) -> Option<(String, &'static str)> {
        let key = self.route.key();
        match &self.answer {
            Err(reason) => Some((format!("{key} does not answer ({reason})"), "Run doctor again")),
            Ok(None) => Some((format!("{key} is missing"), "Deploy the template again (`sam deploy`)")),
            Ok(Some(status)) if status.is_server_error() => {
                Some((format!("{key} answers {}", status.as_u16()), "Read the log of its function"))
            }
            Ok(Some(status)) if status.is_success() && self.route.authorizer.is_some() => {
                let advice =
                    "Deploy the template again (`sam deploy`). API Gateway does not call the authorizer";
                Some((format!("{key} is reachable without credentials"), advice))
            }
            Ok(Some(_)) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::*;
    use sam_template::TEMPLATE;

    /// What each route answers when all is well, save those of which `other` knows better.
    fn checked(other: impl Fn(&str, bool) -> Option<u16>) -> Check {
        let template = Template::read(TEMPLATE).unwrap();
        let probe = |route: &Route| {
            let well = if route.authorizer.is_some() {
                401
            } else if route.method == "GET" {
                200
            } else {
                400
            };
            let optional = template.functions[&route.function].optional;
            let status = other(&route.key(), optional).unwrap_or(well);
            let answer = (status != 404).then(|| StatusCode::from_u16(status).unwrap());
            Probe { route: route.clone(), answer: Ok(answer) }
        };
        validate(&template.routes.iter().map(probe).collect::<Vec<_>>(), &template)
    }

    #[test]
    fn every_route_is_there_and_asks_for_a_credential() {
        let only = |wanted: &'static str, status| move |key: &str, _: bool| (key == wanted).then_some(status);
        assert_eq!(checked(|_, _| None).status, Status::Ok);
        for (key, status, words) in [
            ("POST /login", 404, "POST /login is missing"),
            ("POST /oauth2/token", 503, "POST /oauth2/token answers 503"),
            ("GET /profile", 200, "GET /profile is reachable"),
            ("GET /profile", 404, "GET /profile is missing"),
        ] {
            let check = checked(only(key, status));
            assert!(check.status == Status::Problem && check.detail.contains(words), "{check:?}");
        }
    }

    #[test]
    fn a_functions_own_404_is_no_missing_route() {
        assert!(is_a_functions_error(br#"{"error":"invalid_request","error_description":"nothing"}"#));
        for body in [br#"{"message":"Not Found"}"#.as_slice(), b"", b"[]", b"<html>"] {
            assert!(!is_a_functions_error(body));
        }
        assert_eq!(filled("/a/{id}/b/{proxy+}"), "/a/doctor/b/doctor");
    }

    #[test]
    fn route_scopes_must_name_routes() {
        let check = |keys: &str| {
            let text = TEMPLATE.replace(r#"'{"GET /todo":["todo:read"]}'"#, &format!("'{keys}'"));
            check_scopes(
                &Template::read(&text.replace("Method: GET, Path: /users,", "Method: ANY, Path: /users,"))
                    .unwrap(),
            )
        };
        assert_eq!(check(r#"{"GET /todo":["todo:read"]}"#).status, Status::Ok);
        let check_of_a_typo = check(r#"{"GET /tood":["todo:read"]}"#);
        assert!(check_of_a_typo.status == Status::Problem && check_of_a_typo.detail.contains("`GET /tood`"));
        let other_methods = check(r#"{"GET /users":["users:read"]}"#);
        assert!(other_methods.status == Status::Warning && other_methods.detail.contains("`ANY /users`"));
    }

    #[test]
    fn what_a_setting_leaves_out_is_not_missed() {
        let check = checked(|_, optional| optional.then_some(404));
        assert!(
            check.status == Status::Ok && check.detail.contains("turned off by a parameter"),
            "{check:?}"
        );
        let none = checked(|_, _| Some(404));
        assert!(none.status == Status::Problem && none.detail.starts_with("none of"), "{none:?}");
        assert_eq!(validate(&[], &Template::read(TEMPLATE).unwrap()).status, Status::NotChecked);
    }
}
