//! Route scopes: the scopes that a call needs, looked up by the route that API Gateway chose.
//!
//! A call needs the scopes of the key `METHOD path`, else of `ANY path`, else of `"*"`. Without a key `HEAD path`, `HEAD`
//! needs those of `GET path` and of `ANY path` together. Without a key and without `"*"`, a valid credential is enough.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use percent_encoding::percent_decode_str;
use shared::oauth::scope::Scopes;
use shared::runtime::settings::{ConfigError, Settings};

use crate::policy_resource::MAX_LENGTH;
use crate::route::{CONNECT, CalledRoute, RouteKey, literal_prefix, matches, specificity, without_names};

/// The setting with the keys of the template's routes.
pub const TEMPLATE_KEYS: &str = "ROUTE_SCOPES";
/// The setting with the keys of other stacks' routes.
pub const ADDED_KEYS: &str = "ADDED_ROUTE_SCOPES";
/// The key for routes without a key.
pub const DEFAULT_KEY: &str = "*";

const BAD_KEY: &str =
    "has a key that is not like `GET /path`, `ANY /path/{id}`, `$connect`, `$default` or `*`";
const DUPLICATE_KEY: &str =
    "has a second key for one route, here or in the other of ROUTE_SCOPES and ADDED_ROUTE_SCOPES: remove one";
const NO_OTHER_ROUTES: &str = "needs the key `*`: the scopes of all routes that have no key";

/// The methods that a policy lists for `ANY`. A `*` in place of the method would match slashes too.
const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

/// The scopes of all routes.
pub struct RouteScopes {
    /// By path without parameter names, then by method. `HEAD` is there wherever `GET` or `ANY` is.
    paths: HashMap<String, HashMap<String, Scopes>>,
    /// The scopes of `"*"`.
    other_routes: Option<Scopes>,
    /// The paths but `$connect`, the most specific first.
    by_specificity: Vec<String>,
    /// The resources of a cached policy, such as `GET/users/*`, with the scopes that a caller needs to have them listed.
    resources: BTreeMap<String, Scopes>,
}

impl RouteScopes {
    /// Reads the settings `ROUTE_SCOPES` and `ADDED_ROUTE_SCOPES`.
    ///
    /// # Errors
    /// A key that is no route, two keys for one route, and `ADDED_ROUTE_SCOPES` without `"*"`.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let (mut keys, mut other_routes) = (BTreeMap::new(), None);
        for setting in [TEMPLATE_KEYS, ADDED_KEYS] {
            for (key, scopes) in settings.route_scopes(setting)? {
                let duplicate = if key == DEFAULT_KEY {
                    other_routes.replace(scopes)
                } else {
                    let key = RouteKey::parse(&key).ok_or_else(|| ConfigError::new(setting, BAD_KEY))?;
                    keys.insert(key, scopes)
                };
                if duplicate.is_some() {
                    return Err(ConfigError::new(setting, DUPLICATE_KEY));
                }
            }
        }
        if other_routes.is_none() && settings.optional(ADDED_KEYS).is_some() {
            return Err(ConfigError::new(ADDED_KEYS, NO_OTHER_ROUTES));
        }
        let mut paths: HashMap<String, HashMap<String, Scopes>> = HashMap::new();
        for (key, scopes) in &keys {
            paths.entry(key.path.clone()).or_default().insert(key.method.clone(), scopes.clone());
        }
        for methods in paths.values_mut().filter(|methods| !methods.contains_key("HEAD")) {
            let both = ["GET", "ANY"].into_iter().filter_map(|method| methods.get(method).cloned());
            let head = both.reduce(|get, any| get.union(&any));
            methods.extend(head.map(|scopes| ("HEAD".to_owned(), scopes)));
        }
        let mut by_specificity: Vec<_> = paths.keys().filter(|path| *path != CONNECT).cloned().collect();
        by_specificity.sort_by_key(|path| Reverse(specificity(path)));
        let mut all = Self { paths, other_routes, by_specificity, resources: BTreeMap::new() };
        all.resources = keys.keys().flat_map(|key| all.resources_of(key)).collect();
        Ok(all)
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.other_routes.is_none()
    }

    /// Checks that a caller with these scopes may use the route.
    ///
    /// # Errors
    /// Why not, for the log.
    pub fn check(&self, route: &CalledRoute<'_>, held: &Scopes) -> Result<(), &'static str> {
        if self.is_empty() {
            return Ok(());
        }
        // Some back ends read `get` as `GET`, and API Gateway takes it to an `ANY` route.
        if !route.method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') {
            return Err("the method is not in capital letters");
        }
        if route.is_unsafe {
            return Err("the path holds a dot segment, a backslash or a control character");
        }
        let needed = if route.is_chosen {
            [self.needed(route.method, &without_names(route.path)), None]
        } else {
            self.of_called(route.method, route.path).ok_or("the path is ambiguous")?
        };
        let is_open = needed.into_iter().flatten().all(|scopes| held.contains_all(scopes));
        is_open.then_some(()).ok_or("the caller lacks scopes of the route")
    }

    /// The scopes that a method and a path without parameter names need. None if there is neither a key nor `"*"`.
    pub fn needed(&self, method: &str, path: &str) -> Option<&Scopes> {
        self.of_key(method, path).or(self.other_routes.as_ref())
    }

    /// The scopes of the key for a method and a path without parameter names.
    fn of_key(&self, method: &str, path: &str) -> Option<&Scopes> {
        let methods = self.paths.get(path)?;
        methods.get(method).or_else(|| methods.get("ANY"))
    }

    /// The scopes for a call whose event does not name the route: those of the most specific key that matches. If that
    /// key has a parameter, API Gateway may have chosen a more specific route without a key, so `"*"` counts too.
    /// None if the path is ambiguous.
    fn of_called(&self, method: &str, path: &str) -> Option<[Option<&Scopes>; 2]> {
        let decoded = percent_decode_str(path).decode_utf8().ok()?;
        let most_specific = |called: &str| {
            let mut paths = self.by_specificity.iter();
            paths.find(|path| matches(path, called) && self.of_key(method, path).is_some())
        };
        let found = most_specific(path);
        let is_ambiguous = decoded.contains(['%', ';'])
            || decoded != "/" && decoded.strip_prefix('/')?.split('/').any(str::is_empty)
            || decoded.matches('/').count() != path.matches('/').count()
            // API Gateway may have matched the path as sent or decoded.
            || found != most_specific(&decoded);
        let is_literal = found.is_some_and(|path| !path.contains('{'));
        let of_key = found.and_then(|path| self.of_key(method, path));
        (!is_ambiguous).then_some([of_key, self.other_routes.as_ref().filter(|_| !is_literal)])
    }

    /// The resources of a cached policy that a caller with these scopes may use.
    pub fn resources(&self, stage: &str, held: &Scopes) -> Vec<String> {
        let open = self.resources.iter().filter(|(_, scopes)| held.contains_all(scopes));
        open.map(|(resource, _)| format!("{stage}/{resource}"))
            .filter(|arn| arn.len() <= MAX_LENGTH)
            .collect()
    }

    /// The resources of a cached policy for the route of a key, method by method.
    fn resources_of(&self, key: &RouteKey) -> Vec<(String, Scopes)> {
        let methods = if key.method == "ANY" { METHODS.as_slice() } else { &[key.method.as_str()] };
        let methods = methods.iter().filter(|_| key.path.starts_with('/'));
        let path = key.path.replace("{+}", "*").replace("{}", "*");
        methods.map(|method| (format!("{method}{path}"), self.listing_scopes(method, &key.path))).collect()
    }

    /// The scopes that a caller needs before a cached policy lists a route. A parameter is a `*` there, which matches
    /// slashes and the empty text too. So the caller needs the scopes of every key that such a resource might match.
    fn listing_scopes(&self, method: &str, path: &str) -> Scopes {
        let own = self.of_key(method, path).cloned().unwrap_or_default();
        if !path.contains('{') {
            return own;
        }
        let prefix = literal_prefix(path);
        let may_match = |other: &&String| {
            let other = literal_prefix(other);
            other.starts_with(prefix) || prefix.starts_with(other)
        };
        let others =
            self.by_specificity.iter().filter(may_match).filter_map(|other| self.of_key(method, other));
        others.chain(&self.other_routes).fold(own, |all, scopes| all.union(scopes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGE: &str = "arn:aws:execute-api:eu-west-1:1:api/prod";

    fn settings(own: &[(&str, &str)], added: &[(&str, &str)]) -> Settings {
        let json = |keys: &[(&str, &str)]| {
            let scopes = |scopes: &str| scopes.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            let keys: BTreeMap<_, _> = keys.iter().map(|(key, text)| (*key, scopes(text))).collect();
            if keys.is_empty() { String::new() } else { serde_json::to_string(&keys).unwrap() }
        };
        [(TEMPLATE_KEYS, json(own)), (ADDED_KEYS, json(added))].into_iter().collect()
    }

    fn route_scopes(keys: &[(&str, &str)]) -> RouteScopes {
        RouteScopes::from_settings(&settings(keys, &[])).unwrap()
    }

    fn held(scopes: &str) -> Scopes {
        Scopes::parse(scopes).unwrap()
    }

    /// Whether the scopes open the route that API Gateway chose.
    fn is_open(keys: &RouteScopes, call: &str, scopes: &str) -> bool {
        let (method, path) = call.split_once(' ').unwrap();
        let route = CalledRoute { method, path, is_chosen: true, is_unsafe: false };
        keys.check(&route, &held(scopes)).is_ok()
    }

    /// Whether the scopes open a call whose event does not name the route.
    fn is_open_by_path(keys: &RouteScopes, call: &str, scopes: &str) -> bool {
        let (method, path) = call.split_once(' ').unwrap();
        let route = CalledRoute { method, path, is_chosen: false, is_unsafe: false };
        keys.check(&route, &held(scopes)).is_ok()
    }

    #[test]
    fn a_call_needs_all_scopes_of_its_method_else_of_any_else_of_star() {
        let keys = route_scopes(&[("GET /todo", "a b"), ("ANY /todo", "c"), ("*", "d")]);
        assert!(is_open(&keys, "GET /todo", "a b") && !is_open(&keys, "GET /todo", "a c d"));
        assert!(is_open(&keys, "PUT /todo", "c") && !is_open(&keys, "PUT /todo", "a b d"));
        assert!(is_open(&keys, "PUT /other", "d") && !is_open(&keys, "PUT /other", "a b c"));
    }

    #[test]
    fn without_a_key_and_without_star_a_valid_credential_is_enough() {
        let keys = route_scopes(&[("GET /todo", "a")]);
        assert!(is_open(&keys, "POST /todo", "") && is_open(&keys, "GET /todo/{id}", ""));
        assert!(is_open(&route_scopes(&[]), "get /x", ""));
    }

    #[test]
    fn only_the_key_of_the_chosen_route_counts() {
        let keys = route_scopes(&[("ANY /{proxy+}", "all"), ("GET /admin", "admin")]);
        assert!(is_open(&keys, "GET /{path+}", "all") && is_open(&keys, "GET /admin", "admin"));
        assert!(!is_open(&keys, "GET /{path+}", "admin") && !is_open(&keys, "GET /admin", "all"));
    }

    #[test]
    fn parameter_names_do_not_matter() {
        let keys = route_scopes(&[("GET /todo/{id}", "a")]);
        assert!(!is_open(&keys, "GET /todo/{key}", "") && is_open(&keys, "GET /todo/{key+}", ""));
    }

    #[test]
    fn head_needs_the_scopes_of_get_and_any_together_unless_it_has_a_key() {
        let keys = route_scopes(&[
            ("GET /a", "get"),
            ("ANY /a", "any"),
            ("GET /b", "get"),
            ("ANY /c", "any"),
            ("HEAD /d", "head"),
            ("GET /d", "get"),
            ("PUT /e", "put"),
            ("*", "star"),
        ]);
        for (path, needed, others) in [
            ("/a", "any get", ["get star", "any star"]),
            ("/b", "get", ["any star", "head"]),
            ("/c", "any", ["get star", "head"]),
            ("/d", "head", ["get star", "any"]),
            ("/e", "star", ["put", "get any"]),
        ] {
            let call = format!("HEAD {path}");
            assert!(is_open(&keys, &call, needed), "{call}");
            assert!(others.iter().all(|others| !is_open(&keys, &call, &sorted(others))), "{call}");
        }
    }

    fn sorted(scopes: &str) -> String {
        let mut names: Vec<_> = scopes.split(' ').collect();
        names.sort_unstable();
        names.join(" ")
    }

    #[test]
    fn default_and_connect_have_one_key_for_all_methods() {
        let keys = route_scopes(&[("$default", "a"), ("$connect", "b"), ("*", "c")]);
        for method in ["GET", "HEAD", "PROPFIND"] {
            assert!(is_open(&keys, &format!("{method} $default"), "a"), "{method}");
            assert!(!is_open(&keys, &format!("{method} $default"), "b c"), "{method}");
        }
        assert!(is_open(&keys, "GET $connect", "b") && !is_open(&keys, "GET $connect", "a c"));
    }

    #[test]
    fn methods_that_are_not_in_capital_letters_are_denied() {
        let keys = route_scopes(&[("GET /a", "a"), ("ANY /a", "")]);
        for method in ["get", "Get", "$connect", "*", "G T"] {
            let route = CalledRoute { method, path: "/a", is_chosen: true, is_unsafe: false };
            assert!(keys.check(&route, &held("a")).is_err(), "{method}");
        }
        assert!(is_open(&keys, "M-SEARCH /a", ""));
    }

    #[test]
    fn an_unsafe_path_is_denied_where_there_are_keys() {
        let route = CalledRoute { method: "GET", path: "/{proxy+}", is_chosen: true, is_unsafe: true };
        assert!(route_scopes(&[("GET /a", "a")]).check(&route, &held("a")).is_err());
        assert!(route_scopes(&[]).check(&route, &held("")).is_ok());
    }

    #[test]
    fn the_most_specific_key_counts_where_the_event_names_no_route() {
        let keys =
            route_scopes(&[("ANY /{rest+}", "admin"), ("GET /users/{id}", "read"), ("GET /users/me", "")]);
        for (call, scopes) in [
            ("GET /users/me", ""),
            ("GET /users/1", "read"),
            ("GET /users/a%20b", "read"),
            ("HEAD /users/1", "read"),
            ("POST /users/1", "admin"),
            ("GET /users/1/x", "admin"),
            ("GET /", ""),
        ] {
            let others = if scopes == "read" { "admin" } else { "read" };
            assert!(is_open_by_path(&keys, call, scopes), "{call}");
            assert!(scopes.is_empty() || !is_open_by_path(&keys, call, others), "{call}");
        }
    }

    #[test]
    fn star_counts_too_where_a_route_without_a_key_may_be_the_chosen_one() {
        let keys = route_scopes(&[("GET /users/{id}", "read"), ("GET /users", "list"), ("*", "star")]);
        assert!(is_open_by_path(&keys, "GET /users", "list"));
        assert!(!is_open_by_path(&keys, "GET /users/me", "read"));
        assert!(is_open_by_path(&keys, "GET /users/me", "read star"));
        assert!(
            !is_open_by_path(&keys, "GET /other", "read") && is_open_by_path(&keys, "GET /other", "star")
        );
    }

    #[test]
    fn a_path_that_can_be_read_in_several_ways_is_denied() {
        let keys = route_scopes(&[("GET /users/{id}", ""), ("GET /users/admin", "admin"), ("GET /a/b", "")]);
        for path in [
            "",
            "users/1",
            "/users//1",
            "/users/1/",
            "//users/1",
            "/users/%2561",
            "/users/a%2Fb",
            "/a%2fb",
            "/users/1;x",
            "/users/1%3Bx",
            "/users/%61dmin",
            "/%75sers/1",
            "/users/%ff",
        ] {
            assert!(!is_open_by_path(&keys, &format!("GET {path}"), "admin"), "{path}");
        }
        for path in ["/", "/users/1", "/users/%C3%A9", "/users/a%40b.example", "/users/a:b"] {
            assert!(is_open_by_path(&keys, &format!("GET {path}"), ""), "{path}");
        }
    }

    #[test]
    fn an_encoded_slash_is_denied_although_both_readings_match_one_key() {
        let keys = route_scopes(&[("ANY /{rest+}", ""), ("GET /a/{x}", "admin")]);
        assert!(is_open_by_path(&keys, "GET /b/c", "") && !is_open_by_path(&keys, "GET /%61/b%2Fc", ""));
    }

    /// What a cached policy lists, without the stage.
    fn listed(keys: &[(&str, &str)], scopes: &str) -> Vec<String> {
        let arns = route_scopes(keys).resources(STAGE, &held(scopes));
        arns.iter().map(|arn| arn.strip_prefix(STAGE).unwrap().to_owned()).collect()
    }

    #[test]
    fn a_cached_policy_lists_the_routes_that_the_scopes_open() {
        let keys = [("GET /users/{id}", "read"), ("GET /me", ""), ("PUT /users", "write"), ("$connect", "")];
        assert_eq!(listed(&keys, ""), ["/GET/me"]);
        assert_eq!(listed(&keys, "read"), ["/GET/me", "/GET/users/*"]);
        assert_eq!(listed(&keys, "write"), ["/GET/me", "/PUT/users"]);
        assert_eq!(listed(&[("GET /", "")], ""), ["/GET/"]);
    }

    #[test]
    fn a_cached_policy_lists_any_method_by_method() {
        let keys = [("ANY /a", ""), ("PUT /a", "write"), ("GET /a", "read")];
        let others = ["/DELETE/a", "/OPTIONS/a", "/PATCH/a", "/POST/a"];
        assert_eq!(listed(&keys, ""), others);
        assert_eq!(listed(&keys, "read write").len(), METHODS.len());
        assert_eq!(listed(&[("GET /a", "")], ""), ["/GET/a"], "HEAD may be another route's");
    }

    #[test]
    fn a_parameterized_route_is_not_listed_beside_a_closed_key_with_a_common_prefix() {
        for (open, closed) in [
            ("GET /users/{id}", "GET /users/admin"),
            ("GET /users/{id}", "GET /users/{id}/secret"),
            ("GET /users/{id}", "GET /users"),
            ("GET /users/{id}", "GET /usersgroup"),
            ("GET /users/{id}", "ANY /{rest+}"),
            ("GET /users/{id}", "GET /"),
            ("GET /users/{id}", "$default"),
            ("GET /users/{id}", "*"),
            ("HEAD /users/{id}", "GET /users/admin"),
            ("GET /{x}/c", "GET /b/d"),
        ] {
            assert_eq!(listed(&[(open, ""), (closed, "admin")], ""), [""; 0], "{open}, {closed}");
            assert!(!listed(&[(open, ""), (closed, "admin")], "admin").is_empty(), "{open}, {closed}");
        }
    }

    #[test]
    fn a_disjoint_key_does_not_restrict_a_parameterized_route() {
        for (open, closed) in [
            ("GET /users/{id}", "GET /admin"),
            ("GET /users/{id}", "PUT /users/admin"),
            ("GET /users/{id}", "ANY /users/{id}"),
            ("GET /users/{id}", "$connect"),
            ("GET /a", "ANY /{rest+}"),
        ] {
            assert_eq!(listed(&[(open, ""), (closed, "admin")], "").len(), 1, "{open}, {closed}");
        }
    }

    #[test]
    fn the_keys_of_both_settings_count() {
        let both = settings(&[("GET /a", "a")], &[("GET /b", "b"), ("*", "c")]);
        let keys = RouteScopes::from_settings(&both).unwrap();
        for (call, scopes) in [("GET /a", "a"), ("GET /b", "b"), ("GET /c", "c")] {
            assert!(is_open(&keys, call, scopes) && !is_open(&keys, call, ""), "{call}");
        }
    }

    #[test]
    fn bad_keys_are_errors_that_name_the_setting() {
        type Keys<'a> = &'a [(&'a str, &'a str)];
        let cases: [(Keys<'_>, Keys<'_>, &str); 6] = [
            (&[("GET todo", "")], &[], "ROUTE_SCOPES: has a key that is not like"),
            (&[("GET /a/{x}", ""), ("GET /a/{y}", "")], &[], "ROUTE_SCOPES: has a second key"),
            (&[], &[("get /a", ""), ("*", "")], "ADDED_ROUTE_SCOPES: has a key that is not like"),
            (&[("GET /a", "a")], &[("GET /a", "a"), ("*", "")], "ADDED_ROUTE_SCOPES: has a second key"),
            (&[("*", "a")], &[("*", "a")], "ADDED_ROUTE_SCOPES: has a second key"),
            (&[("GET /a", "")], &[("GET /b", "")], "ADDED_ROUTE_SCOPES: needs the key `*`"),
        ];
        for (own, added, expected) in cases {
            let error = RouteScopes::from_settings(&settings(own, added)).err().unwrap().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
