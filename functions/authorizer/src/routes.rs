//! Which scopes a route needs: `ROUTE_SCOPES`, as rules.
//!
//! A route that no rule names needs a good credential and no scope.

use std::borrow::Cow;
use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use shared::config::ConfigError;
use shared::wire::scope::Scopes;

/// The route that a call is for.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    /// The method, or a WebSocket's `$connect`.
    pub method: &'a str,
    /// The path as it was called, without the stage.
    pub path: &'a str,
    /// The path of the API's own route that matched, such as `/todo/{id}`, when the event says it.
    pub pattern: Option<&'a str>,
}

/// The rules of an API.
pub struct RoutePolicy(Vec<Rule>);

/// A route, and the scopes that it needs.
pub struct Rule {
    method: String,
    segments: Vec<Segment>,
    scopes: Scopes,
}

/// A segment of a path pattern. In the order of API Gateway's precedence: what is more exact wins
/// (docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    /// `{name+}`: all the rest.
    Rest,
    /// `{name}`: any one segment.
    Any,
    /// Itself.
    Literal(String),
}

impl RoutePolicy {
    /// Reads `ROUTE_SCOPES`: its keys are a method or `ANY`, a blank and a path; or `$connect`.
    pub fn new(routes: BTreeMap<String, Scopes>) -> Result<Self, ConfigError> {
        let rules = routes.into_iter().map(|(key, scopes)| {
            let (method, path) = key.split_once(' ').unwrap_or((&key, "/"));
            let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
            if method != "$connect" && !(is_method && key.contains(" /") && is_literal(path)) {
                return Err(ConfigError::new(
                    "ROUTE_SCOPES",
                    "has a key that is not like `GET /path` or `$connect`, or holds `*` or `?`",
                ));
            }
            Ok(Rule { method: method.to_owned(), segments: pattern(path), scopes })
        });
        rules.collect::<Result<_, _>>().map(Self)
    }

    /// Whether there are no rules at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a caller with these scopes may use the route. A path that climbs is nobody's: which route it
    /// is for is the back end's to say.
    pub fn permits(&self, route: &Route<'_>, scopes: &Scopes) -> bool {
        let decoded = decoded(route.path);
        let called = segments(&decoded);
        let allows = |rule: &Rule| scopes.contains_all(&rule.scopes);
        self.is_empty() || !called.contains(&"..") && self.rule(route, &called).is_none_or(allows)
    }

    /// Whether some rule is about this route.
    pub fn names(&self, route: &Route<'_>) -> bool {
        self.rule(route, &segments(&decoded(route.path))).is_some()
    }

    /// The most exact of the rules that match the call; the rule for the API's own route first.
    fn rule(&self, route: &Route<'_>, called: &[&str]) -> Option<&Rule> {
        let own = route.pattern.map(pattern).filter(|segments| !segments.contains(&Segment::Rest));
        let own = own
            .and_then(|own| self.0.iter().find(|rule| rule.method == route.method && rule.segments == own));
        own.or_else(|| {
            let matching = self.0.iter().filter(|rule| rule.matches(route.method, called));
            matching.max_by_key(|rule| (&rule.segments, rule.method == route.method, rule.method != "ANY"))
        })
    }

    /// The ARNs of the routes that these scopes open, and that of `also`, for a policy that is kept and asked
    /// about other calls: there `*` stands for slashes too, and a path is not told from the same path written
    /// otherwise. So one whose wildcard might let a call through that is shut is left out.
    pub fn arns(&self, stage: &str, scopes: &Scopes, also: Option<&Rule>) -> Vec<String> {
        let (open, shut): (Vec<_>, Vec<_>) =
            self.0.iter().partition(|rule| scopes.contains_all(&rule.scopes));
        let opens_no_other = |rule: &&Rule| !shut.iter().any(|shut| rule.may_open(shut));
        open.into_iter().chain(also).filter(opens_no_other).map(|rule| rule.arn(stage)).collect()
    }
}

/// What a policy that holds a wildcard denies: paths that climb, written plainly or with a dot as `%2e`, for
/// which there is never a need.
pub fn climbing_arns(stage: &str) -> [String; 4] {
    ["*/../*", "*/..", "*%2e*", "*%2E*"].map(|path| format!("{stage}/{path}"))
}

impl Rule {
    /// One for the API's own route that a call matched, which opens it to everybody.
    pub fn of_called(route: &Route<'_>) -> Option<Self> {
        let path = route.pattern.filter(|path| is_literal(path) && !route.method.starts_with('$'))?;
        let segments = pattern(path);
        Some(Self { method: route.method.to_owned(), segments, scopes: Scopes::default() })
    }

    fn matches(&self, method: &str, called: &[&str]) -> bool {
        let is_its_own = self.method == method
            || self.method == "ANY" && !method.starts_with('$')
            // Back ends answer HEAD as they do GET, without the body (RFC 9110 §9.3.2).
            || self.method == "GET" && method == "HEAD";
        if !is_its_own {
            return false;
        }
        match self.segments.split_last() {
            Some((Segment::Rest, before)) => {
                called.len() > before.len() && agree(before, &called[..before.len()])
            }
            _ => called.len() == self.segments.len() && agree(&self.segments, called),
        }
    }

    /// The route as a resource of a policy.
    fn arn(&self, stage: &str) -> String {
        if self.method.starts_with('$') {
            return format!("{stage}/{}", self.method);
        }
        let method = if self.method == "ANY" { "*" } else { &self.method };
        let path = self.segments.iter().map(|segment| match segment {
            Segment::Literal(text) => text.as_str(),
            Segment::Any | Segment::Rest => "*",
        });
        format!("{stage}/{method}/{}", path.collect::<Vec<_>>().join("/"))
    }

    /// Whether this route's ARN lets some call through that a shut rule is for, however that call is written.
    fn may_open(&self, shut: &Self) -> bool {
        let any = self.method == "ANY";
        // The same path by another method is told apart by the method, unless this is for any.
        let told_apart = self.segments == shut.segments && !any;
        let is_connect = self.method.starts_with('$') || shut.method.starts_with('$');
        let by_method = any
            || shut.method == "ANY"
            || self.method == shut.method
            || self.method == "HEAD" && shut.method == "GET";
        by_method && !told_apart && !is_connect && meets(&self.segments, any, &shut.segments)
    }
}

/// Whether a text that a pattern's ARN matches may be a path of the other pattern. In an ARN each parameter is
/// a `*`, and so is what stands for any method, before the path: any number of segments, or none. An ARN
/// without one matches its own path alone.
fn meets(open: &[Segment], by_any_method: bool, shut: &[Segment]) -> bool {
    let is_exact = |segment: &Segment| matches!(segment, Segment::Literal(_));
    if !by_any_method && open.iter().all(is_exact) {
        return false;
    }
    // For every two rests whether they meet, the shortest first: a search that tries again and again takes
    // years when there are many parameters.
    let globs = by_any_method.then_some(&Segment::Rest).into_iter().chain(open);
    let mut shorter: Vec<bool> =
        (0..=shut.len()).map(|at| shut[at..].iter().all(|s| *s == Segment::Rest)).collect();
    for glob in globs.collect::<Vec<_>>().into_iter().rev() {
        let mut longer = vec![false; shut.len() + 1];
        for at in (0..=shut.len()).rev() {
            longer[at] = match (glob, shut.get(at)) {
                (Segment::Any | Segment::Rest, next) => shorter[at] || next.is_some() && longer[at + 1],
                (Segment::Literal(_), None) => false,
                (Segment::Literal(one), Some(Segment::Literal(other))) => one == other && shorter[at + 1],
                (Segment::Literal(_), Some(Segment::Any)) => shorter[at + 1],
                // The rest takes this segment and goes on, or it is over.
                (Segment::Literal(_), Some(Segment::Rest)) => shorter[at] || longer[at + 1],
            };
        }
        shorter = longer;
    }
    shorter[0]
}

fn agree(pattern: &[Segment], called: &[&str]) -> bool {
    pattern.iter().zip(called).all(|(segment, called)| match segment {
        Segment::Literal(text) => text == called,
        Segment::Any | Segment::Rest => true,
    })
}

fn pattern(path: &str) -> Vec<Segment> {
    let segment = |text: &str| match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        Some(name) if name.ends_with('+') => Segment::Rest,
        Some(_) => Segment::Any,
        None => Segment::Literal(text.to_owned()),
    };
    path.split('/').filter(|text| !text.is_empty()).map(segment).collect()
}

/// Whether a path is no wildcard where it stands in a policy.
fn is_literal(path: &str) -> bool {
    !path.contains(['*', '?'])
}

fn decoded(path: &str) -> Cow<'_, str> {
    percent_decode_str(path).decode_utf8_lossy()
}

/// The segments of a decoded path without those that lead nowhere: however it is written, it is judged as
/// what a back end may take it for.
fn segments(decoded: &str) -> Vec<&str> {
    decoded.split('/').filter(|text| !matches!(*text, "" | ".")).collect()
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
        policy.permits(&Route { method, path, pattern: None }, &Scopes::parse(scopes).unwrap())
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
        for path in ["/todo", "/todo/", "//todo", "/%74odo", "/%2Ftodo", "/./todo", "/%2e/todo"] {
            assert!(!permits(&policy, "GET", path, ""), "{path}");
        }
    }

    #[test]
    fn a_path_that_climbs_is_nobodys() {
        let policy = policy(&[("GET /todo", "a")]);
        for path in ["/x/../todo", "/x/%2e./todo", "/x%2F..%2Ftodo", "/..", "/todo/.."] {
            assert!(!permits(&policy, "GET", path, "a"), "{path}");
        }
        assert!(permits(&policy, "GET", "/..todo", "") && permits(&policy, "GET", "/.well-known/x", ""));
    }

    #[test]
    fn head_is_get_unless_it_has_a_rule() {
        let policy = policy(&[("GET /a", "read"), ("GET /b", "read"), ("HEAD /b", ""), ("ANY /c", "read")]);
        assert!(!permits(&policy, "HEAD", "/a", "") && permits(&policy, "HEAD", "/a", "read"));
        assert!(permits(&policy, "HEAD", "/b", "") && !permits(&policy, "HEAD", "/c", ""));
    }

    fn arns(policy: &RoutePolicy, scopes: &str, called: Option<&str>) -> Vec<String> {
        let route = Route { method: "GET", path: "/", pattern: called };
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
        let many = |last: &str| format!("GET {}/{last}", "/{x}/a".repeat(200));
        let policy = policy(&[(&many("b"), ""), (&many("c"), "admin")]);
        assert_eq!(arns(&policy, "", None).len(), 1);
    }

    #[test]
    fn bad_keys_are_refused() {
        for key in ["", "todo", "GET", "GET todo", "get /todo", "$default", "GET /*", "GET /a?"] {
            let routes = BTreeMap::from([(key.to_owned(), Scopes::default())]);
            assert!(RoutePolicy::new(routes).is_err(), "{key:?}");
        }
    }
}
