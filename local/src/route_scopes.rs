//! Checks of the template's route scopes. A mistyped key would leave a route open to every valid credential.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::ensure;
use authorizer::route_scopes::{ADDED_KEYS, DEFAULT_KEY, RouteScopes, TEMPLATE_KEYS};
use authorizer::{RouteKey, literal_prefix};
use shared::oauth::scope::Scopes;
use shared::runtime::settings::Settings;

use sam_template::{Route, Template};

/// What is wrong with the route scopes of a template.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Settings that the authorizer refuses, and keys that protect nothing.
    pub errors: Vec<String>,
    /// Routes that may be open by mistake.
    pub warnings: Vec<String>,
}

/// Compares the keys of each authorizer with the routes that call it.
pub fn findings(template: &Template) -> Findings {
    let mut findings = Findings::default();
    for (id, function) in &template.functions {
        let settings: Settings =
            function.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if let Err(error) = RouteScopes::from_settings(&settings) {
            findings.errors.push(format!("{id}: {error}"));
            continue;
        }
        let is_its_own = |route: &&Route| {
            let authorizer = route.authorizer.as_ref().and_then(|name| template.authorizers.get(name));
            authorizer.is_some_and(|authorizer| authorizer.function == *id)
        };
        let routes: Vec<_> = template.routes.iter().filter(is_its_own).map(Route::key).collect();
        findings.compare(&keys(&settings, TEMPLATE_KEYS), &keys(&settings, ADDED_KEYS), &routes);
        findings.warn_of_open_catch_alls(&settings, &routes);
    }
    findings
}

/// Stops on a key that protects nothing.
///
/// # Errors
/// What is wrong and how to correct it.
pub fn check(template: &Template) -> anyhow::Result<()> {
    let Findings { errors, .. } = findings(template);
    ensure!(errors.is_empty(), "template.yaml: {}", errors.join("; "));
    Ok(())
}

fn keys(settings: &Settings, name: &'static str) -> Vec<String> {
    settings.route_scopes(name).unwrap_or_default().into_keys().collect()
}

impl Findings {
    fn compare(&mut self, own: &[String], added: &[String], routes: &[String]) {
        let parse = |key: &String| Some((key.clone(), RouteKey::parse(key)?));
        let routes: Vec<_> = routes.iter().filter_map(parse).collect();
        for (text, key) in own.iter().filter_map(parse) {
            let is_it = |route: &RouteKey| {
                route.path == key.path && [key.method.as_str(), "ANY"].contains(&route.method.as_str())
            };
            if !routes.iter().any(|(_, route)| is_it(route)) {
                self.errors.push(format!(
                    "{TEMPLATE_KEYS} has the key `{text}`, but no route with this authorizer has that method and path: correct \
                     the key, or move it to the parameter RouteScopes if the route belongs to another stack"
                ));
            }
        }
        let all: Vec<_> = own.iter().chain(added).collect();
        let keys: BTreeSet<_> = all.iter().filter_map(|key| RouteKey::parse(key)).collect();
        if all.iter().any(|key| *key == DEFAULT_KEY) {
            return;
        }
        for (text, route) in routes {
            let has_key = |method: &str| {
                keys.contains(&RouteKey { method: method.to_owned(), path: route.path.clone() })
            };
            let is_covered = [route.method.as_str(), "ANY"].into_iter().any(has_key)
                || route.method == "HEAD" && has_key("GET");
            if !is_covered && keys.iter().any(|key| key.path == route.path) {
                self.warnings.push(format!(
                    "`{text}` has no key in {TEMPLATE_KEYS}, though other methods of the path have one: any valid credential \
                     opens the methods without a key"
                ));
            }
        }
    }
}

impl Findings {
    /// A catch-all takes every spelling of a path that no finer route takes, such as `//todo`, and every method. A back
    /// end that serves both then serves the finer route by the scopes of the catch-all.
    fn warn_of_open_catch_alls(&mut self, settings: &Settings, routes: &[String]) {
        let of = |setting| settings.route_scopes(setting).unwrap_or_default().into_iter();
        let scopes: BTreeMap<String, Scopes> = of(TEMPLATE_KEYS).chain(of(ADDED_KEYS)).collect();
        let keys: Vec<_> =
            scopes.iter().filter_map(|(text, scopes)| Some((text, RouteKey::parse(text)?, scopes))).collect();
        let needed = |method: &str, path: &str| {
            let of_key =
                |method: &str| keys.iter().find(|(_, key, _)| key.path == path && key.method == method);
            let found = of_key(method).or_else(|| of_key("ANY")).map(|(.., scopes)| *scopes);
            found.or_else(|| scopes.get(DEFAULT_KEY)).cloned().unwrap_or_default()
        };
        for (text, route) in routes.iter().filter_map(|text| Some((text, RouteKey::parse(text)?))) {
            if !route.path.ends_with("{+}") && route.path != "$default" {
                continue;
            }
            let is_closer = |(_, key, scopes): &&(&String, RouteKey, &Scopes)| {
                key.path != route.path
                    && key.path.starts_with('/')
                    && literal_prefix(&key.path).starts_with(literal_prefix(&route.path))
                    && !needed(&key.method, &route.path).contains_all(scopes)
            };
            if let Some((key, ..)) = keys.iter().find(is_closer) {
                self.warnings.push(format!(
                    "`{text}` needs fewer scopes than `{key}` and takes other spellings of its path, such as `//…`: remove \
                     it, or give it a key with those scopes"
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sam_template::TEMPLATE;

    /// The findings of the template with other keys.
    fn of(own: &str, added: &str) -> Findings {
        let keys = r#"ROUTE_SCOPES: '{"GET /todo":["todo:read"]}'"#;
        assert!(TEMPLATE.contains(keys));
        let text = TEMPLATE.replace(keys, &format!("ROUTE_SCOPES: '{own}'"));
        findings(&Template::read_with(&text, &[("RouteScopes", added)]).unwrap())
    }

    #[test]
    fn every_key_of_the_template_names_one_of_its_routes() {
        assert_eq!(findings(&Template::read(TEMPLATE).unwrap()), Findings::default());
        check(&Template::read(TEMPLATE).unwrap()).unwrap();
    }

    #[test]
    fn a_key_that_names_no_route_is_an_error() {
        for (own, key) in [
            (r#"{"GET /todos":[]}"#, "GET /todos"),
            (r#"{"PUT /todo":[]}"#, "PUT /todo"),
            (r#"{"ANY /todo":[]}"#, "ANY /todo"),
            (r#"{"GET /todo/{id}":[]}"#, "GET /todo/{id}"),
            (r#"{"POST /login":[]}"#, "POST /login"),
            (r#"{"$default":[]}"#, "$default"),
        ] {
            let findings = of(own, "");
            assert!(findings.errors[0].contains(&format!("`{key}`")), "{findings:?}");
            assert!(findings.errors[0].contains("correct the key"), "{findings:?}");
        }
        assert_eq!(of(r#"{"GET /todo":[],"*":[]}"#, ""), Findings::default());
    }

    #[test]
    fn a_setting_that_the_authorizer_refuses_is_an_error() {
        for (own, added, problem) in [
            (r#"{"GET todo":[]}"#, "", "ROUTE_SCOPES: has a key that is not like"),
            (r#"{"GET /todo":[]}"#, r#"{"GET /x":[]}"#, "needs the key `*`"),
            (r#"{"GET /todo":[]}"#, r#"{"GET /todo":[],"*":[]}"#, "second key"),
        ] {
            let findings = of(own, added);
            assert!(findings.errors.len() == 1 && findings.errors[0].contains(problem), "{findings:?}");
        }
        assert_eq!(of(r#"{"GET /todo":[]}"#, r#"{"GET /x":["a"],"*":[]}"#), Findings::default());
    }

    #[test]
    fn a_route_whose_other_methods_have_no_key_is_a_warning() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let routes = texts(&["ANY /a/{x}", "GET /b", "POST /b", "HEAD /b", "GET /c"]);
        let warned = |keys: &[&str]| {
            let mut findings = Findings::default();
            findings.compare(&texts(keys), &[], &routes);
            assert_eq!(findings.errors, [""; 0]);
            findings.warnings.len()
        };
        assert_eq!(warned(&["GET /a/{y}"]), 1);
        assert_eq!(warned(&["GET /b"]), 1, "HEAD needs the scopes of GET");
        assert_eq!(warned(&["GET /a/{y}", "ANY /a/{y}", "GET /b", "POST /b", "GET /c"]), 0);
        assert_eq!(warned(&["GET /a/{y}", "GET /b", "*"]), 0);
    }

    #[test]
    fn an_open_catch_all_beside_a_closed_route_is_a_warning() {
        let warned = |own: &str, routes: &[&str]| {
            let settings: Settings = [(TEMPLATE_KEYS, own)].into_iter().collect();
            let routes: Vec<_> = routes.iter().map(|route| (*route).to_owned()).collect();
            let mut findings = Findings::default();
            findings.warn_of_open_catch_alls(&settings, &routes);
            findings.warnings.len()
        };
        let routes = ["GET /todo", "ANY /{proxy+}"];
        assert_eq!(warned(r#"{"GET /todo":["todo:read"]}"#, &routes), 1);
        assert_eq!(warned(r#"{"GET /todo":["todo:read"]}"#, &["GET /todo", "$default"]), 1);
        assert_eq!(warned(r#"{"GET /todo":["todo:read"],"ANY /{proxy+}":["none"]}"#, &routes), 1);
        assert_eq!(warned(r#"{"GET /todo":["todo:read"],"ANY /{proxy+}":["todo:read"]}"#, &routes), 0);
        assert_eq!(warned(r#"{"GET /todo":["todo:read"],"*":["todo:read"]}"#, &routes), 0);
        assert_eq!(warned(r#"{"GET /todo":["todo:read"]}"#, &["GET /todo", "ANY /files/{proxy+}"]), 0);
    }
}
