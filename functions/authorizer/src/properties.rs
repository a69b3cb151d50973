//! Properties: whatever is sent, no caller passes a route whose scopes they lack, in all event shapes and by cached
//! policies too. The tests compare the authorizer with a model of API Gateway and with the rule for route scopes. Both
//! are implemented here a second time.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sam_template::policy::covers;
use serde_json::{Value, json};
use shared::oauth::scope::Scopes;
use shared::runtime::settings::Settings;

use crate::Decision;
use crate::answer::AuthorizerResponse;
use crate::event::AuthorizerEvent;
use crate::principal::{Context, Principal};
use crate::route::is_unsafe;
use crate::route_scopes::RouteScopes;

const STAGE: &str = "arn:aws:execute-api:eu-west-1:1:api/prod";
/// The longest answer that API Gateway takes, in bytes.
const MAX_ANSWER: usize = 8192;

/// Enough cases to fail if one rule of the look-up is left out.
const CASES: u32 = 1000;

type Keys = BTreeMap<String, Vec<String>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Http2,
    Http1,
    Request,
    Token,
}

const SHAPES: [Shape; 4] = [Shape::Http2, Shape::Http1, Shape::Request, Shape::Token];

/// A route of the API: a method or `ANY`, and a path or `$default`.
type ApiRoute = (String, String);

/// The most specific route that takes a call, if there is one. A REST API chooses the path first and then the method.
fn choose<'a>(routes: &'a [ApiRoute], shape: Shape, method: &str, path: &str) -> Option<&'a ApiRoute> {
    let takes = |(own, _): &&ApiRoute| own == method || own == "ANY";
    let rank = |(own, path): &&ApiRoute| {
        let rank = |text: &str| if text.ends_with("+}") { 0 } else { 2 - u8::from(text.starts_with('{')) };
        (path.split('/').map(rank).collect::<Vec<_>>(), own != "ANY")
    };
    let fitting = routes.iter().filter(|(_, own)| fits(own, path));
    if matches!(shape, Shape::Http1 | Shape::Http2) {
        let default = routes.iter().find(|(_, path)| path == "$default");
        return fitting.filter(takes).max_by_key(rank).or(default);
    }
    let (_, chosen) = fitting.max_by_key(rank)?;
    routes.iter().filter(|(_, path)| path == chosen).filter(takes).max_by_key(rank)
}

fn fits(route: &str, path: &str) -> bool {
    let (route, path) = (route.split('/').collect::<Vec<_>>(), path.split('/').collect::<Vec<_>>());
    let greedy = route.last().is_some_and(|last| last.ends_with("+}"));
    (route.len() == path.len() || greedy && route.len() < path.len())
        && route.iter().zip(&path).all(|(own, text)| own == text || own.starts_with('{') && !text.is_empty())
}

/// The scopes that a call on a route needs.
fn needed(keys: &Keys, method: &str, (_, path): &ApiRoute) -> BTreeSet<String> {
    let shape = |path: &str| {
        let names = path.split('/').map(|text| match (text.starts_with('{'), text.ends_with("+}")) {
            (true, greedy) => {
                if greedy {
                    "+"
                } else {
                    "*"
                }
            }
            _ => text,
        });
        names.collect::<Vec<_>>().join("/")
    };
    let key = |method: &str| {
        let mut keys = keys.iter();
        let is_it = |key: &str| {
            key == path
                || key.split_once(' ').is_some_and(|(own, key)| own == method && shape(key) == shape(path))
        };
        keys.find(|(key, _)| is_it(key)).map(|(_, scopes)| scopes.clone())
    };
    let any_and_get = || match (key("ANY"), key("GET").filter(|_| method == "HEAD")) {
        (None, None) => None,
        (any, get) => Some([any.unwrap_or_default(), get.unwrap_or_default()].concat()),
    };
    let scopes = key(method).or_else(any_and_get).or_else(|| keys.get("*").cloned());
    scopes.unwrap_or_default().into_iter().collect()
}

/// The event for a call. A REST API and payload 1.0 hand the path on as it was sent.
fn event(shape: Shape, method: &str, path: &str, route: &ApiRoute) -> AuthorizerEvent {
    let (own, route_path) = route;
    let arn = format!("{STAGE}/{method}{path}");
    let resource = json!({
        "type": "REQUEST", "httpMethod": method, "resource": route_path, "methodArn": arn,
        "requestContext": {"path": format!("/prod{path}")},
    });
    let value = match shape {
        Shape::Http2 => json!({
            "version": "2.0", "type": "REQUEST", "rawPath": path, "requestContext": {"http": {"method": method}},
            "routeKey": if route_path == "$default" { route_path.clone() } else { format!("{own} {route_path}") },
        }),
        Shape::Http1 => {
            let mut value = resource;
            value["version"] = json!("1.0");
            value
        }
        Shape::Request => resource,
        Shape::Token => json!({"type": "TOKEN", "authorizationToken": "t", "methodArn": arn}),
    };
    serde_json::from_value(value).unwrap()
}

/// How API Gateway may read a path: as sent, decoded as a whole, or decoded segment by segment.
const DECODINGS: [fn(&str) -> String; 3] = [str::to_owned, decoded, |path| {
    // An encoded slash is part of its segment.
    let segments = path.split('/').map(|text| decoded(text).replace('/', "\u{2215}"));
    segments.collect::<Vec<_>>().join("/")
}];

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn route_scopes(keys: &Keys) -> RouteScopes {
    let json = if keys.is_empty() { String::new() } else { json!(keys).to_string() };
    RouteScopes::from_settings(&[("ROUTE_SCOPES", json)].into_iter().collect::<Settings>()).unwrap()
}

fn held(scopes: &BTreeSet<String>) -> Scopes {
    Scopes::from_names(scopes).unwrap()
}

fn is_permitted(route_scopes: &RouteScopes, event: &AuthorizerEvent, scopes: &Scopes) -> bool {
    event.route().is_some_and(|route| route_scopes.check(&route, scopes).is_ok())
}

/// The answer to a call.
fn answer(route_scopes: &RouteScopes, event: &AuthorizerEvent, scopes: &Scopes) -> Value {
    let outcome = route_scopes.check(&event.route().unwrap(), scopes);
    let principal = Principal { scopes: scopes.clone(), context: Context::new() };
    serde_json::to_value(AuthorizerResponse::new(event, route_scopes, Decision { principal, outcome }))
        .unwrap()
}

fn resources<'a>(policy: &'a Value, effect: &str) -> Vec<&'a str> {
    let statements = policy["policyDocument"]["Statement"].as_array().unwrap().iter();
    let of_effect = statements.filter(|statement| statement["Effect"] == effect);
    of_effect
        .flat_map(|statement| statement["Resource"].as_array().unwrap())
        .map(|arn| arn.as_str().unwrap())
        .collect()
}

/// Whether a policy opens a call: a deny wins.
fn opens(policy: &Value, method: &str, path: &str) -> bool {
    let arn = format!("{STAGE}/{method}{path}");
    let covers = |effect| resources(policy, effect).into_iter().any(|resource| covers(resource, &arn));
    covers("Allow") && !covers("Deny")
}

/// The routes of an API.
fn routes() -> impl Strategy<Value = Vec<ApiRoute>> {
    let path = prop_oneof![
        9 => "(/[ab]|/\\{x\\}){1,2}(/[ab]|/\\{r\\+\\})?|/|/\\{r\\+\\}",
        1 => Just("$default".to_owned()),
    ];
    let route = ("GET|PUT|HEAD|ANY", path).prop_map(|(method, path)| match path.as_str() {
        "$default" => ("ANY".to_owned(), path),
        _ => (method, path),
    });
    proptest::collection::btree_set(route, 1..7).prop_map(|routes| routes.into_iter().collect())
}

/// Keys that name some of the routes, with other parameter names, and `"*"` or not.
fn keys(routes: Vec<ApiRoute>) -> impl Strategy<Value = (Vec<ApiRoute>, Keys)> {
    let scopes = || proptest::collection::vec("[rsw]", 0..3);
    let key = ("GET|PUT|HEAD|ANY", scopes());
    let own = proptest::collection::vec(proptest::option::weighted(0.7, key), routes.len());
    let star = proptest::option::weighted(0.3, scopes());
    (own, star).prop_map(move |(own, star)| {
        let mut keys = Keys::new();
        for ((method, path), key) in routes.iter().zip(own) {
            let Some((other, scopes)) = key else { continue };
            // A key names its route's method, or one of many where the route is for any.
            let method = if method == "ANY" { &other } else { method };
            let path = path.replace("{x}", "{id}").replace("{r+}", "{proxy+}");
            keys.insert(if path == "$default" { path } else { format!("{method} {path}") }, scopes);
        }
        keys.extend(star.map(|scopes| ("*".to_owned(), scopes)));
        (routes.clone(), keys)
    })
}

/// A path that no route had in mind.
fn path() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        8 => "[abc]",
        1 => "%61|%62|a%2Fb|a%2fb|%2561|a;b|%3B|a%3Fb|a#b|\\*|\\$\\{x\\}",
        1 => "\\.\\.|\\.|%2e%2E|%252e%252e|a\\\\b|\\.\\.;x|\\.\\.%2fa||%5Ca",
    ];
    proptest::collection::vec(segment, 0..5).prop_map(|segments| format!("/{}", segments.join("/")))
}

/// A path that one of the routes takes, with some letters or slashes encoded, or any path.
fn call(routes: &[ApiRoute]) -> impl Strategy<Value = (String, String)> + use<> {
    let (_, paths): (Vec<_>, Vec<_>) = routes.iter().cloned().unzip();
    let near = (proptest::sample::select(paths), "[abc]", 0..64_u32).prop_map(|(route, value, encoded)| {
        let path = route.replace("{x}", &value).replace("{r+}", "a/b").replace("$default", "/b/c");
        let spell = |(index, character): (usize, char)| match encoded >> index & 1 {
            1 if (1..6).contains(&index) => format!("%{:02x}", character as u32),
            _ => character.to_string(),
        };
        path.chars().enumerate().map(spell).collect()
    });
    ("GET|PUT|HEAD|POST", prop_oneof![near, path()])
}

/// An API, its keys, a caller's scopes and some calls.
#[derive(Clone, Debug)]
struct Case {
    routes: Vec<ApiRoute>,
    keys: Keys,
    scopes: BTreeSet<String>,
    calls: Vec<(String, String)>,
}

fn case() -> impl Strategy<Value = Case> {
    let scopes = proptest::collection::btree_set("[rsw]", 0..3);
    (routes(), scopes).prop_flat_map(|(routes, scopes)| {
        let calls = proptest::collection::vec(call(&routes), 1..12);
        (keys(routes), calls).prop_map(move |((routes, keys), calls)| Case {
            routes,
            keys,
            scopes: scopes.clone(),
            calls,
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    /// A call needs the scopes of its route. If API Gateway names the route and the path is safe, they are enough.
    #[test]
    fn no_caller_passes_a_route_whose_scopes_they_lack(case in case()) {
        let Case { routes, keys, scopes, calls } = case;
        let (route_scopes, held) = (route_scopes(&keys), held(&scopes));
        for ((method, path), shape) in calls.iter().flat_map(|call| SHAPES.map(|shape| (call, shape))) {
            for read in DECODINGS {
                let Some(route) = choose(&routes, shape, method, &read(path)) else { continue };
                let has_scopes = needed(&keys, method, route).is_subset(&scopes);
                let permitted = is_permitted(&route_scopes, &event(shape, method, path, route), &held);
                prop_assert!(!permitted || has_scopes, "{shape:?} {method} {path} {route:?}");
                let is_safe = keys.is_empty() || !is_unsafe(path);
                prop_assert!(!permitted || is_safe, "{shape:?} {method} {path} {route:?}");
                prop_assert!(permitted || !has_scopes || !is_safe || shape == Shape::Token, "{shape:?} {path}");
            }
        }
    }

    /// A cached policy, whichever call it was made for, opens no call that would be denied by itself. It is about this
    /// API and stage alone, and it opens its own call if that is permitted and can be named.
    #[test]
    fn no_cached_policy_opens_a_route_whose_scopes_the_caller_lacks(case in case()) {
        let Case { routes, keys, scopes, calls } = case;
        let (route_scopes, held) = (route_scopes(&keys), held(&scopes));
        let ((method, path), probes) = calls.split_first().unwrap();
        for shape in [Shape::Http1, Shape::Request, Shape::Token] {
            for read in DECODINGS {
                let Some(route) = choose(&routes, shape, method, &read(path)) else { continue };
                let event = event(shape, method, path, route);
                let policy = answer(&route_scopes, &event, &held);
                let all = [resources(&policy, "Allow"), resources(&policy, "Deny")].concat();
                let is_ours = |arn: &&str| arn.starts_with(STAGE) && !arn.contains("${");
                prop_assert!(!all.is_empty() && all.iter().all(is_ours));
                let permitted = is_permitted(&route_scopes, &event, &held);
                let can_be_named = !path.contains(['*', '$']);
                let opens_itself = opens(&policy, method, path);
                prop_assert!(permitted || !opens_itself, "{shape:?} {path} {policy}");
                prop_assert!(!permitted || opens_itself || !can_be_named, "{shape:?} {path} {policy}");
                let opened = probes.iter().filter(|(method, path)| opens(&policy, method, path));
                for (method, path) in opened.filter(|_| !keys.is_empty()) {
                    prop_assert!(!is_unsafe(path), "{shape:?} {path} {policy}");
                    let Some(route) = choose(&routes, shape, method, &read(path)) else { continue };
                    let has_scopes = needed(&keys, method, route).is_subset(&scopes);
                    prop_assert!(has_scopes, "{shape:?} {method} {path} {route:?} {policy}");
                }
            }
        }
    }

    /// Where no route has a parameter, a cached policy opens exactly the keys' routes whose scopes the caller has.
    #[test]
    fn a_cached_policy_opens_the_literal_routes_whose_scopes_the_caller_has(
        paths in proptest::collection::btree_map("(GET|PUT) (/[ab]){1,3}", proptest::collection::vec("[rw]", 0..2), 1..6),
        scopes in proptest::collection::btree_set("[rw]", 0..2),
    ) {
        let (route_scopes, held) = (route_scopes(&paths), held(&scopes));
        let routes: Vec<_> = paths.keys().filter_map(|key| key.split_once(' ')).collect();
        let calls = routes.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned()));
        for route in calls.clone() {
            let policy = answer(&route_scopes, &event(Shape::Request, &route.0, &route.1, &route), &held);
            for probe in calls.clone() {
                let has_scopes = needed(&paths, &probe.0, &probe).is_subset(&scopes);
                prop_assert_eq!(opens(&policy, &probe.0, &probe.1), has_scopes, "{:?}", probe);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However many routes and however long a path and a context are, API Gateway takes the answer.
    #[test]
    fn a_policy_is_never_too_large(
        keys in proptest::collection::btree_map("GET (/[a-z]{1,300}){1,2}(/\\{x\\})?", proptest::collection::vec("[rw]", 1), 0..60),
        path in "[a-z]{1,20}",
        times in 1_usize..600,
        context in 0_usize..6000,
    ) {
        let (route_scopes, path) = (route_scopes(&keys), format!("/{}", path.repeat(times)));
        let event = event(Shape::Request, "GET", &path, &("GET".to_owned(), "/{x}".to_owned()));
        let context = Context::from([("sub".to_owned(), "usr_1".to_owned()), ("a".to_owned(), "x".repeat(context))]);
        let principal = Principal { scopes: Scopes::parse("r").unwrap(), context };
        let outcome = route_scopes.check(&event.route().unwrap(), &principal.scopes);
        let answer = AuthorizerResponse::new(&event, &route_scopes, Decision { principal, outcome });
        let answer = serde_json::to_value(answer).unwrap();
        prop_assert!(answer.to_string().len() <= MAX_ANSWER);
        let all = [resources(&answer, "Allow"), resources(&answer, "Deny")].concat();
        prop_assert!(all.iter().all(|arn| arn.len() <= 512));
    }
}

#[test]
fn a_websocket_opens_with_the_scopes_of_connect_alone() {
    let connect = json!({
        "type": "REQUEST", "methodArn": format!("{STAGE}/$connect"), "requestContext": {"routeKey": "$connect"},
    });
    let event: AuthorizerEvent = serde_json::from_value(connect).unwrap();
    let keys =
        Keys::from([("$connect".to_owned(), vec!["chat".to_owned()]), ("GET /a".to_owned(), Vec::new())]);
    let route_scopes = route_scopes(&keys);
    for (scopes, expected) in [("", false), ("todo", false), ("chat", true)] {
        let policy = answer(&route_scopes, &event, &Scopes::parse(scopes).unwrap());
        assert_eq!(opens(&policy, "$connect", ""), expected, "{scopes}");
    }
}

#[test]
fn a_cached_policy_holds_no_text_of_the_callers_that_is_a_wildcard_or_a_variable() {
    let keys = Keys::from([
        ("ANY /admin/{rest+}".to_owned(), vec!["s".to_owned()]),
        ("GET /users/{id}".to_owned(), Vec::new()),
        ("GET /me".to_owned(), Vec::new()),
    ]);
    let route_scopes = route_scopes(&keys);
    for (path, route, permitted) in [
        ("/${aws:Referer}", "/{x}", true),
        ("/users/${aws:Referer}", "/users/{id}", true),
        ("/users/*", "/users/{id}", true),
        ("/users/a?b", "/users/{id}", true),
        ("/admin/${*}", "/admin/{rest+}", false),
    ] {
        let event = event(Shape::Request, "GET", path, &("GET".to_owned(), route.to_owned()));
        assert_eq!(is_permitted(&route_scopes, &event, &Scopes::default()), permitted, "{path}");
        let policy = answer(&route_scopes, &event, &Scopes::default());
        let all = [resources(&policy, "Allow"), resources(&policy, "Deny")].concat();
        assert!(all.iter().all(|arn| !arn.contains(['$', '?'])), "{path}");
        assert!(opens(&policy, "GET", "/me"), "{path}");
        assert_eq!(opens(&policy, "GET", "/users/1"), permitted, "{path}");
        assert!(!opens(&policy, "GET", "/users/../admin/x") && !opens(&policy, "GET", "/admin/x"), "{path}");
    }
}
