//! Checks of the template's route scopes. A mistyped key would leave a route open to every valid credential.

use anyhow::ensure;
use authorizer::route_scopes::{ADDED_KEYS, RouteScopes, TEMPLATE_KEYS};
use authorizer::{RouteKey, literal_prefix};
use sam_template::{Route, Template};
use shared::oauth::scope::Scopes;
use shared::runtime::settings::Settings;

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
        let route_scopes = match RouteScopes::from_settings(&settings) {
            Ok(route_scopes) => route_scopes,
            Err(error) => {
                findings.errors.push(format!("{id}: {error}"));
                continue;
            }
        };
        let is_its_own = |route: &&Route| {
            let authorizer = route.authorizer.as_ref().and_then(|name| template.authorizers.get(name));
            authorizer.is_some_and(|authorizer| authorizer.function == *id)
        };
        let routes: Vec<_> = template.routes.iter().filter(is_its_own).map(Route::key).collect();
        findings.compare(&settings, &route_scopes, &routes);
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

/// A key of the route scopes, as text and parsed, with its scopes.
struct ScopedKey {
    text: String,
    key: RouteKey,
    scopes: Scopes,
}

/// The keys of a setting, but `"*"`.
fn keys(settings: &Settings, name: &'static str) -> Vec<ScopedKey> {
    let all = settings.route_scopes(name).unwrap_or_default().into_iter();
    all.filter_map(|(text, scopes)| Some(ScopedKey { key: RouteKey::parse(&text)?, text, scopes })).collect()
}

impl Findings {
    fn compare(&mut self, settings: &Settings, route_scopes: &RouteScopes, routes: &[String]) {
        let routes: Vec<_> = routes.iter().filter_map(|text| Some((text, RouteKey::parse(text)?))).collect();
        let mut all = keys(settings, TEMPLATE_KEYS);
        for ScopedKey { text, key, .. } in &all {
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
        all.extend(keys(settings, ADDED_KEYS));
        for (text, route) in routes {
            if route_scopes.needed(&route.method, &route.path).is_none()
                && all.iter().any(|ScopedKey { key, .. }| key.path == route.path)
            {
                self.warnings.push(format!(
                    "`{text}` has no key in {TEMPLATE_KEYS}, though other methods of the path have one: any valid credential \
                     opens the methods without a key"
                ));
            }
            // A catch-all takes every spelling of a path that no finer route takes, such as `//todo`, and every method.
            // A back end that serves both then serves the finer route by the scopes of the catch-all.
            let is_catch_all = route.path.ends_with("{+}") || route.path == "$default";
            let needs_more = |ScopedKey { key, scopes, .. }: &&ScopedKey| {
                let needed = route_scopes.needed(&key.method, &route.path).cloned().unwrap_or_default();
                key.path != route.path
                    && key.path.starts_with('/')
                    && literal_prefix(&key.path).starts_with(literal_prefix(&route.path))
                    && !needed.contains_all(scopes)
            };
            if let Some(ScopedKey { text: key, .. }) = all.iter().filter(|_| is_catch_all).find(needs_more) {
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

    /// The findings of these keys for these routes.
    fn compared(keys: &str, routes: &[&str]) -> Findings {
        let settings: Settings = [(TEMPLATE_KEYS, keys)].into_iter().collect();
        let routes: Vec<_> = routes.iter().map(|route| (*route).to_owned()).collect();
        let mut findings = Findings::default();
        findings.compare(&settings, &RouteScopes::from_settings(&settings).unwrap(), &routes);
        findings
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
        let routes = ["ANY /a/{x}", "GET /b", "POST /b", "HEAD /b", "GET /c"];
        let warned = |keys: &[&str]| {
            let keys: Vec<_> = keys.iter().map(|key| format!(r#""{key}":[]"#)).collect();
            let findings = compared(&format!("{{{}}}", keys.join(",")), &routes);
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
        let warned = |keys: &str, routes: &[&str]| compared(keys, routes).warnings.len();
        let routes = ["GET /todo", "ANY /{proxy+}"];
        assert_eq!(warned(r#"{"GET /todo":["todo:read"]}"#, &routes), 1);
        assert_eq!(warned(r#"{"GET /todo":["todo:read"]}"#, &["GET /todo", "$default"]), 1);
        assert_eq!(warned(r#"{"GET /todo":["todo:read"],"ANY /{proxy+}":["none"]}"#, &routes), 1);
        assert_eq!(warned(r#"{"GET /todo":["todo:read"],"ANY /{proxy+}":["todo:read"]}"#, &routes), 0);
        assert_eq!(warned(r#"{"GET /todo":["todo:read"],"*":["todo:read"]}"#, &routes), 0);
        assert_eq!(warned(r#"{"GET /todo":["todo:read"]}"#, &["GET /todo", "ANY /files/{proxy+}"]), 0);
    }
}
