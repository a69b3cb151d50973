//! Which scopes a route needs: `ROUTE_SCOPES`, as rules.
//!
//! A route that no rule names needs a good credential and no scope.

use std::borrow::Cow;
use std::collections::BTreeMap;

use shared::oauth::scope::Scopes;
use shared::runtime::settings::ConfigError;

use crate::path::{Path, is_nobodys, readings, segments};
use crate::pattern::Pattern;
use crate::resource::{MAX_LENGTH, is_literal};

/// The route that a call is for.
#[derive(Clone, Debug)]
pub struct Route<'a> {
    /// The method, or a WebSocket's `$connect`.
    pub method: &'a str,
    /// The path as it was called, without the stage. HTTP APIs have decoded it once, the others have not.
    pub path: Cow<'a, str>,
    /// The path of the API's own route that matched, such as `/todo/{id}`, when the event says it.
    pub pattern: Option<&'a str>,
    /// The stage, where the path may begin with it and the event doesn't tell.
    pub stage: Option<&'a str>,
}

impl Route<'_> {
    /// Whether a WebSocket is opened by it, which has no path.
    fn is_connect(&self) -> bool {
        self.method == "$connect" && self.path.is_empty()
    }

    /// Whether the method is one that nobody needs. Those in small letters are others (RFC 9110 §9.1), and some back ends
    /// take them for the same; those of API Gateway's own begin with a `$`; and a `*` is any in a policy.
    fn has_nobodys_method(&self) -> bool {
        !self.is_connect() && !self.method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-')
    }

    /// What a back end may read its path as.
    fn readings(&self) -> Option<Vec<Vec<Cow<'_, str>>>> {
        readings(&self.path, self.stage)
    }
}

/// The rules of an API.
pub struct RoutePolicy(Vec<Rule>);

/// A route, and the scopes that it needs.
pub struct Rule {
    method: String,
    pattern: Pattern,
    scopes: Scopes,
}

impl RoutePolicy {
    /// Reads `ROUTE_SCOPES`: its keys are a method or `ANY`, a blank and a path; or `$connect`.
    pub fn new(routes: BTreeMap<String, Scopes>) -> Result<Self, ConfigError> {
        let complaint = |problem| ConfigError::new("ROUTE_SCOPES", problem);
        let mut rules: Vec<Rule> = Vec::new();
        for (key, scopes) in routes {
            let (method, path) = key.split_once(' ').unwrap_or((&key, ""));
            let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
            let pattern = match key == "$connect" {
                true => Some(Pattern::new("")),
                false => Pattern::of_rule(path).filter(|_| is_method),
            };
            let Some(pattern) = pattern else {
                return Err(complaint(
                    "has a key that is not like `GET /path`, `ANY /path/{id}` or `$connect`",
                ));
            };
            if rules.iter().any(|rule| rule.method == method && rule.pattern == pattern) {
                return Err(complaint("has two keys for one route"));
            }
            rules.push(Rule { method: method.to_owned(), pattern, scopes });
        }
        Ok(Self(rules))
    }

    /// Whether there are no rules at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a caller with these scopes may use the route, in whichever of its readings a back end takes its path.
    pub fn permits(&self, route: &Route<'_>, scopes: &Scopes) -> bool {
        let allows = |rule: &Rule| scopes.contains_all(&rule.scopes);
        let open = |readings: Vec<Vec<_>>| {
            let mut readings = readings.iter();
            readings.all(|called| !is_nobodys(called) && self.rules(route, called).all(allows))
        };
        self.is_empty() || !route.has_nobodys_method() && route.readings().is_some_and(open)
    }

    /// Whether some rule is about this route.
    pub fn names(&self, route: &Route<'_>) -> bool {
        let Some(readings) = route.readings() else { return true };
        readings.iter().any(|called| self.rules(route, called).next().is_some())
    }

    /// The rules for a call, all of which count. Back ends answer `HEAD` as they do `GET`, without the body (RFC 9110
    /// §9.3.2), and where an API has no route for it API Gateway sends it to that for `ANY`: so the rule for `GET` counts
    /// for it, and the one that would if there were none.
    fn rules(&self, route: &Route<'_>, called: &Path<'_>) -> impl Iterator<Item = &Rule> + use<'_> {
        let past_get =
            (route.method == "HEAD").then(|| self.rules_among(route, called, |rule| rule.method != "GET"));
        let all = self.rules_among(route, called, |_| true);
        all.chain(past_get.into_iter().flatten())
    }

    /// The most exact of those that match the path as API Gateway sees it, and of all that match; and of those for the
    /// API's own route, if it is for that route alone or if either doesn't match the path. They differ where a back end
    /// may take the path for another one than API Gateway did.
    fn rules_among(
        &self,
        route: &Route<'_>,
        called: &Path<'_>,
        counts: fn(&Rule) -> bool,
    ) -> impl Iterator<Item = &Rule> + use<'_> {
        let most_exact = |is_it: &dyn Fn(&Pattern) -> bool| {
            let found = self
                .0
                .iter()
                .filter(|rule| counts(rule) && rule.is_for(route.method) && is_it(&rule.pattern));
            found.max_by_key(|rule| {
                (rule.pattern.exactness(), rule.method == route.method, rule.method != "ANY")
            })
        };
        let own = route.pattern.and_then(|path| {
            let (pattern, path) = (Pattern::new(path), segments(path));
            let greedy = pattern.is_greedy();
            let found = most_exact(&|rule| rule.fits(&path) && greedy <= rule.is_greedy())?;
            let is_for_it_alone = !greedy && found.pattern == pattern;
            (is_for_it_alone || !found.pattern.fits(called) || !pattern.fits(called)).then_some(found)
        });
        let fitting = most_exact(&|rule| rule.fits(called));
        own.into_iter().chain(fitting).chain(most_exact(&|rule| rule.matches(called)))
    }

    /// The ARNs of the routes that these scopes open, and that of `also`, for a policy that is kept and asked
    /// about other calls: there `*` stands for slashes too, and a path is not told from the same path written
    /// otherwise. So one whose wildcard might let a call through that is shut is left out.
    pub fn arns(&self, stage: &str, scopes: &Scopes, also: Option<&Rule>) -> Vec<String> {
        let (open, shut): (Vec<_>, Vec<_>) =
            self.0.iter().partition(|rule| scopes.contains_all(&rule.scopes));
        let opens_no_other = |rule: &&Rule| !shut.iter().any(|shut| rule.may_open(shut));
        let arns = open.into_iter().chain(also).filter(opens_no_other).map(|rule| rule.arn(stage));
        arns.filter(|arn| arn.len() <= MAX_LENGTH).collect()
    }
}

impl Rule {
    /// One for the API's own route that a call matched, which opens it to everybody.
    pub fn of_called(route: &Route<'_>) -> Option<Self> {
        let path = route.pattern.filter(|path| is_literal(path) && !route.method.starts_with('$'))?;
        Some(Self { method: route.method.to_owned(), pattern: Pattern::new(path), scopes: Scopes::default() })
    }

    fn is_for(&self, method: &str) -> bool {
        self.method == method
            || self.method == "ANY" && !method.starts_with('$')
            || self.method == "GET" && method == "HEAD"
    }

    /// The route as a resource of a policy.
    fn arn(&self, stage: &str) -> String {
        match self.method.as_str() {
            connect if connect.starts_with('$') => format!("{stage}/{connect}"),
            "ANY" => format!("{stage}/*/{}", self.pattern.glob()),
            method => format!("{stage}/{method}/{}", self.pattern.glob()),
        }
    }

    /// Whether this route's ARN lets some call through that a shut rule is for, however that call is written.
    fn may_open(&self, shut: &Self) -> bool {
        let any = self.method == "ANY";
        // The same path by another method is told apart by the method, unless this is for any.
        let told_apart = self.pattern == shut.pattern && !any;
        let is_connect = self.method.starts_with('$') || shut.method.starts_with('$');
        let by_method = any
            || shut.method == "ANY"
            || self.method == shut.method
            || self.method == "HEAD" && shut.method == "GET";
        by_method && !told_apart && !is_connect && self.pattern.meets(any, &shut.pattern)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGE: &str = "arn:aws:execute-api:eu-west-1:1:api/prod";

    fn policy(routes: &[(&str, &str)]) -> RoutePolicy {
        let routes = routes.iter().map(|(key, scopes)| ((*key).to_owned(), Scopes::parse(scopes).unwrap()));
        RoutePolicy::new(routes.collect()).unwrap()
    }

    fn permits(policy: &RoutePolicy, method: &str, path: &str, scopes: &str) -> bool {
        policy.permits(
            &Route { method, path: path.into(), pattern: None, stage: None },
            &Scopes::parse(scopes).unwrap(),
        )
    }

    #[test]
    fn a_route_needs_all_its_scopes_and_others_none() {
        let policy = policy(&[("GET /todo", "a b")]);
        assert!(permits(&policy, "GET", "/todo", "a b c"));
        assert!(!permits(&policy, "GET", "/todo", "a"));
        assert!(permits(&policy, "POST", "/todo", ""));
        assert!(permits(&policy, "GET", "/todo/1", ""));
    }

    #[test]
    fn the_most_exact_rule_counts() {
        let policy = policy(&[("ANY /{rest+}", "admin"), ("GET /users/{id}", "read"), ("GET /users/me", "")]);
        assert!(permits(&policy, "GET", "/users/me", ""));
        assert!(permits(&policy, "GET", "/users/1", "read") && !permits(&policy, "GET", "/users/1", "admin"));
        assert!(
            permits(&policy, "POST", "/users/1", "admin") && !permits(&policy, "POST", "/users/1", "read")
        );
        assert!(!permits(&policy, "GET", "/a/b/c", "read"));
    }

    #[test]
    fn a_path_written_otherwise_is_the_same_path() {
        let policy = policy(&[("GET /todo", "a")]);
        for path in
            ["/todo", "/todo/", "//todo", "/%74odo", "/%2Ftodo", "/./todo", "/%2e/todo", "\\todo", "%5Ctodo"]
        {
            assert!(!permits(&policy, "GET", path, ""), "{path}");
        }
    }

    #[test]
    fn a_path_is_read_as_often_as_it_is_encoded() {
        let policy = policy(&[("GET /admin", "a"), ("GET /users/{id}", "a"), ("GET /{tenant}/keys", "a")]);
        for path in [
            "/%2561dmin",
            "/%252561dmin",
            "/adm%69n;%2Fx",
            "/adm%69n;a%2Fb/",
            "/%75sers/a%2Fb",
            "/%2575sers/a%252Fb",
            "/users/a%2Fb%2Fc",
            "/a%2Fb/%6Beys",
            "/admin%3Bx%2Fy",
            "/adm%2569n;%2Fx",
            "/adm%2569n%3Bx%2Fy",
            "/%2575sers/x%2Fy",
            "/%3B/users/a%2Fb",
            "/%23/%20/admin",
        ] {
            assert!(!permits(&policy, "GET", path, "") && permits(&policy, "GET", path, "a"), "{path}");
        }
        assert!(!permits(&policy, "GET", "/%25252561dmin", "a"), "nobody encodes four times");
        assert!(permits(&policy, "GET", "/%7Euser/100%25", "") && permits(&policy, "GET", "/%zz%", ""));
    }

    #[test]
    fn all_the_rest_may_be_nothing_unless_another_rule_says_what_that_is() {
        let policy =
            policy(&[("ANY /admin/{rest+}", "admin"), ("ANY /users/{rest+}", "a"), ("GET /users", "")]);
        for path in ["/admin", "/admin/", "/admin/x", "/users/x"] {
            assert!(!permits(&policy, "GET", path, ""), "{path}");
        }
        assert!(permits(&policy, "GET", "/users", "") && !permits(&policy, "PUT", "/users", ""));
        assert!(permits(&policy, "GET", "/", "") && permits(&policy, "GET", "/administrator", ""));
    }

    #[test]
    fn a_rule_for_all_the_rest_opens_nothing_that_is_before_it() {
        let policy = policy(&[
            ("ANY /{rest+}", "admin"),
            ("GET /public/{rest+}", ""),
            ("ANY /users/{rest+}", "admin"),
            ("GET /users/{id}/{rest+}", "read"),
        ]);
        for (path, own, others) in [
            ("/users/1", "/users/{id}", "read"),
            ("/users/1", "/users/{proxy+}", "read"),
            ("/users/1", "/{proxy+}", "read"),
            ("/public", "/public", ""),
            ("/public/", "/{proxy+}", ""),
        ] {
            for pattern in [None, Some(own)] {
                let route = Route { method: "GET", path: path.into(), pattern, stage: None };
                assert!(!policy.permits(&route, &Scopes::parse(others).unwrap()), "{path} {pattern:?}");
                assert!(policy.permits(&route, &Scopes::parse("admin read").unwrap()), "{path} {pattern:?}");
            }
        }
        assert!(permits(&policy, "GET", "/public/x", "") && permits(&policy, "GET", "/users/1/x", "read"));
    }

    #[test]
    fn a_stage_that_may_be_in_the_path_is_read_both_ways() {
        let policy = policy(&[("GET /todo", "a"), ("GET /prod/users", "b")]);
        let permits = |path: &str, scopes| {
            let route = Route { method: "GET", path: path.into(), pattern: None, stage: Some("prod") };
            policy.permits(&route, &Scopes::parse(scopes).unwrap())
        };
        for path in ["/prod/todo", "//prod/todo", "/%70rod/todo", "/todo"] {
            assert!(!permits(path, "b") && permits(path, "a"), "{path}");
        }
        assert!(!permits("/prod/users", "a") && permits("/users", "") && permits("/product/todo", ""));
    }

    #[test]
    fn a_path_that_climbs_or_may_be_read_in_many_ways_is_nobodys() {
        let policy = policy(&[("GET /todo", "a")]);
        for path in ["/./todo", "/%2e/todo", "/todo/.", "\\todo", "/x%5C..%5Ctodo", "/to%09do"] {
            assert!(!permits(&policy, "GET", path, "a"), "{path}");
        }
        for path in ["/x/../todo", "/x/%2e./todo", "/x%2F..%2Ftodo", "/..", "/todo/.."] {
            assert!(!permits(&policy, "GET", path, "a"), "{path}");
        }
        assert!(permits(&policy, "GET", "/..todo", "") && permits(&policy, "GET", "/.well-known/x", ""));
    }

    #[test]
    fn a_path_that_may_be_read_twice_needs_the_scopes_of_both() {
        let policy =
            policy(&[("GET /users/{id}", "read"), ("GET /users/me", ""), ("GET /users/admin", "admin")]);
        for path in ["/users/%61dmin", "/users/%6de"] {
            assert!(!permits(&policy, "GET", path, ""), "{path}");
        }
        assert!(permits(&policy, "GET", "/users/%6de", "read"));
        assert!(!permits(&policy, "GET", "/users/%61dmin", "read"));
        assert!(!permits(&policy, "GET", "/users/%61dmin", "admin"));
        assert!(permits(&policy, "GET", "/users/%61dmin", "admin read"));
    }

    #[test]
    fn a_more_exact_rule_than_that_of_the_apis_own_route_counts_too() {
        let policy =
            policy(&[("GET /users/{id}", "read"), ("GET /users/admin", "admin"), ("ANY /{rest+}", "all")]);
        let permits = |path: &str, scopes| {
            let route = Route { method: "GET", path: path.into(), pattern: Some("/users/{id}"), stage: None };
            policy.permits(&route, &Scopes::parse(scopes).unwrap())
        };
        assert!(permits("/users/1", "read") && !permits("/users/1", "all"));
        assert!(permits("/users/admin", "admin read") && !permits("/users/a/b", "read"));
        assert!(!permits("/users/admin", "read") && !permits("/users/%61dmin", "read"));
    }

    #[test]
    fn a_rule_that_matches_one_reading_counts_beside_that_of_the_apis_own_route() {
        let policy = policy(&[
            ("GET /users", "list"),
            ("GET /users/{id}", "read"),
            ("GET /users/{id}/photo", ""),
            ("GET /files/{name}", ""),
            ("ANY /files/{rest+}", "all"),
            ("ANY /{dir}/{rest+}", "all"),
            ("GET /health", ""),
        ]);
        for (pattern, path) in [
            ("/users/{id}/photo", "/users/1?/photo"),
            ("/users/{id}/photo", "/users/1%3f/photo"),
            ("/users/{id}", "/users/?"),
            ("/files/{name}", "/files/a/b"),
            ("/files/{name}", "/files/a%2Fb"),
            ("/docs/{name}", "/docs//"),
            ("/{dir}/{rest+}", "//health"),
            ("/{dir}/{rest+}", "/health//"),
        ] {
            let route = Route { method: "GET", path: path.into(), pattern: Some(pattern), stage: None };
            assert!(!policy.permits(&route, &Scopes::default()), "{path}");
            assert!(policy.permits(&route, &Scopes::parse("list read all").unwrap()), "{path}");
        }
    }

    #[test]
    fn a_general_rule_counts_where_the_path_is_none_of_the_apis_own_route() {
        let policy = policy(&[("ANY /users/{rest+}", "staff"), ("GET /users/{id}/photo", "")]);
        let route = |path: &'static str| Route {
            method: "GET",
            path: path.into(),
            pattern: Some("/users/{id}"),
            stage: None,
        };
        let staff = Scopes::parse("staff").unwrap();
        for path in ["/users/1/photo", "/users/1%2Fphoto"] {
            assert!(!policy.permits(&route(path), &Scopes::default()), "{path}");
            assert!(policy.permits(&route(path), &staff), "{path}");
        }
    }

    #[test]
    fn a_method_in_small_letters_or_of_api_gateways_own_is_nobodys() {
        let policy = policy(&[("ANY /a", "admin"), ("GET /a", ""), ("$connect", "read")]);
        assert!(permits(&policy, "GET", "/a", "") && permits(&policy, "$connect", "", "read"));
        for (method, path) in
            [("get", "/a"), ("Head", "/a"), ("post", "/b"), ("$RUN", "/a"), ("$connect", "/"), ("*", "/b")]
        {
            assert!(!permits(&policy, method, path, "admin read"), "{method}");
        }
    }

    #[test]
    fn head_is_get_unless_it_has_a_rule() {
        let policy = policy(&[("GET /a", "read"), ("GET /b", "read"), ("HEAD /b", ""), ("ANY /c", "read")]);
        assert!(!permits(&policy, "HEAD", "/a", "") && permits(&policy, "HEAD", "/a", "read"));
        assert!(permits(&policy, "HEAD", "/b", "") && !permits(&policy, "HEAD", "/c", ""));
    }

    #[test]
    fn head_is_any_too_where_api_gateway_has_no_other_route_for_it() {
        let policy = policy(&[
            ("GET /a", ""),
            ("ANY /a", "admin"),
            ("GET /b/{id}", "read"),
            ("ANY /b/{rest+}", "admin"),
            ("HEAD /c", ""),
            ("ANY /c", "admin"),
        ]);
        let permits = |path: &str, pattern, scopes| {
            let route = Route { method: "HEAD", path: path.into(), pattern, stage: None };
            policy.permits(&route, &Scopes::parse(scopes).unwrap())
        };
        for (path, own) in [("/a", "/a"), ("/b/1", "/b/{rest+}")] {
            for pattern in [None, Some(own)] {
                assert!(!permits(path, pattern, "read") && permits(path, pattern, "admin read"), "{path}");
            }
        }
        assert!(!permits("/b/1", None, "admin") && permits("/c", None, ""));
    }

    fn arns(policy: &RoutePolicy, scopes: &str, called: Option<&str>) -> Vec<String> {
        let route = Route { method: "GET", path: "/".into(), pattern: called, stage: None };
        let arns = policy.arns(STAGE, &Scopes::parse(scopes).unwrap(), Rule::of_called(&route).as_ref());
        arns.iter().map(|arn| arn.strip_prefix(STAGE).unwrap().to_owned()).collect()
    }

    #[test]
    fn a_policy_lists_what_the_scopes_open() {
        let policy = policy(&[("GET /users/{id}", "read"), ("GET /me", ""), ("PUT /users", "write")]);
        assert_eq!(arns(&policy, "read", None), ["/GET/me", "/GET/users/*"]);
        assert_eq!(arns(&policy, "", None), ["/GET/me"]);
        assert_eq!(arns(&policy, "write", Some("/x/{y}")), ["/GET/me", "/PUT/users", "/GET/x/*"]);
    }

    #[test]
    fn what_a_wildcard_might_open_besides_keeps_it_out() {
        for (open, shut) in [
            ("GET /users/{id}", "GET /users/admin"),
            ("GET /users/{id}", "GET /users/{id}/secret"),
            ("GET /users/{id}", "GET /users"), // `/users/` is `/users`, and `*` may be nothing
            ("GET /users/{id}", "ANY /{rest+}"),
            ("GET /{rest+}", "GET /admin"),
            ("GET /{x}/c", "GET /c"),
            ("GET /{x}/b/a", "GET /b/{rest+}"),
            ("HEAD /{x}", "GET /admin"),
            ("ANY /users", "PUT /users"),
            ("ANY /a", "GET /b/a"),
        ] {
            let policy = policy(&[(open, ""), (shut, "admin")]);
            assert_eq!(arns(&policy, "", None), [""; 0], "{open}, {shut}");
            assert_eq!(arns(&policy, "admin", None).len(), 2);
        }
        assert_eq!(arns(&policy(&[("GET /admin", "admin")]), "", Some("/{proxy+}")), [""; 0]);
    }

    #[test]
    fn what_no_wildcard_can_open_lets_it_be() {
        for (open, shut) in [
            ("GET /users/{id}", "GET /admin"),
            ("GET /users/{id}", "PUT /users/{id}"),
            ("GET /users/{id}", "ANY /users/{id}"),
            ("GET /users/{id}", "POST /users/admin"),
            ("GET /{x}/c", "GET /b/d"),
            ("ANY /a", "GET /b"),
            ("GET /a", "ANY /{rest+}"),
            ("$connect", "GET /a"),
        ] {
            assert_eq!(arns(&policy(&[(open, ""), (shut, "admin")]), "", None).len(), 1, "{open}, {shut}");
        }
    }

    #[test]
    fn many_parameters_take_no_time() {
        let many = |last: &str| format!("GET {}/{last}", "/{x}/a".repeat(100));
        let policy = policy(&[(&many("b"), ""), (&many("c"), "admin")]);
        assert_eq!(arns(&policy, "", None).len(), 1);
    }

    #[test]
    fn bad_keys_are_refused() {
        let refused = |keys: &[&str]| {
            RoutePolicy::new(keys.iter().map(|key| ((*key).to_owned(), Scopes::default())).collect()).is_err()
        };
        for key in [
            "",
            "todo",
            "GET",
            "GET todo",
            "get /todo",
            "$default",
            "$connect /",
            "GET /*",
            "GET /a?",
            "GET  /a",
            "GET /a ",
            "GET x /a",
            "GET /a b",
            "GET /%61",
            "GET /a/./b",
            "GET /..",
            "GET /a\\b",
            "GET /{id}.json",
            "GET /{rest+}/a",
        ] {
            assert!(refused(&[key]), "{key:?}");
        }
        for keys in [["GET /a/{x}", "GET /a/{y}"], ["GET /a", "GET /a/"], ["ANY /{x+}", "ANY /{y+}"]] {
            assert!(refused(&keys), "{keys:?}");
        }
        assert!(!refused(&["GET /a/{x}", "PUT /a/{x}", "ANY /", "GET /a/{x}/{y+}", "$connect"]));
    }
}
