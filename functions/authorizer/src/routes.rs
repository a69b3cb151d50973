//! Which scopes a route needs: `ROUTE_SCOPES`, as rules.
//!
//! A route that no rule names needs a good credential and no scope.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use shared::config::ConfigError;
use shared::wire::scope::Scopes;

use crate::event::MethodArn;

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

struct Rule {
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
            if method != "$connect" && !(is_method && key.contains(" /")) {
                return Err(ConfigError::new(
                    "ROUTE_SCOPES",
                    "has a key that is not like `GET /path` or `$connect`",
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

    /// Whether a caller with these scopes may use the route.
    pub fn permits(&self, route: &Route<'_>, scopes: &Scopes) -> bool {
        self.rule(route).is_none_or(|rule| scopes.contains_all(&rule.scopes))
    }

    /// Whether some rule is about this route.
    pub fn names(&self, route: &Route<'_>) -> bool {
        self.rule(route).is_some()
    }

    /// The most exact of the rules that match the call; the rule for the API's own route first.
    fn rule(&self, route: &Route<'_>) -> Option<&Rule> {
        let called = segments(route.path);
        let own = route.pattern.map(pattern).filter(|segments| !segments.contains(&Segment::Rest));
        let own = own
            .and_then(|own| self.0.iter().find(|rule| rule.method == route.method && rule.segments == own));
        own.or_else(|| {
            let matching = self.0.iter().filter(|rule| rule.matches(route.method, &called));
            matching.max_by(|one, other| {
                (&one.segments, one.method != "ANY").cmp(&(&other.segments, other.method != "ANY"))
            })
        })
    }

    /// The ARNs of all named routes that these scopes open, and of those that they don't but that a
    /// wildcard of the former or of `also` would: in a policy, `*` stands for slashes too. Where two
    /// patterns cross, the call is denied rather than opened.
    pub fn arns(&self, stage: &str, scopes: &Scopes, also: Option<String>) -> Arns {
        let (open, shut): (Vec<_>, Vec<_>) =
            self.0.iter().partition(|rule| scopes.contains_all(&rule.scopes));
        let sweeps = |glob: &str, rule: &Rule| glob.contains('*') && may_match(glob, &rule.sample(stage));
        let swept_up = |rule: &&Rule| {
            // The same path by another method is told apart by the method, unless it is open by any.
            let told_apart = |open: &Rule| open.segments == rule.segments && open.method != "ANY";
            let by_rule = open.iter().any(|open| !told_apart(open) && sweeps(&open.arn(stage), rule));
            by_rule || also.as_deref().is_some_and(|also| sweeps(also, rule))
        };
        let denied = shut.into_iter().filter(swept_up).map(|rule| rule.arn(stage)).collect();
        Arns { allowed: open.iter().map(|rule| rule.arn(stage)).chain(also.clone()).collect(), denied }
    }
}

/// What a policy says.
pub struct Arns {
    /// What it opens.
    pub allowed: Vec<String>,
    /// What it keeps shut all the same.
    pub denied: Vec<String>,
}

impl Rule {
    fn matches(&self, method: &str, called: &[String]) -> bool {
        if self.method != method && (self.method != "ANY" || method.starts_with('$')) {
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
        self.written(stage, "*", "*")
    }

    /// The route with [`ANY_SEGMENT`] for each of its parameters, or [`ANY_REST`].
    fn sample(&self, stage: &str) -> String {
        self.written(stage, ANY_SEGMENT, ANY_REST)
    }

    fn written(&self, stage: &str, any: &str, rest: &str) -> String {
        if self.method.starts_with('$') {
            return format!("{stage}/{}", self.method);
        }
        let method = if self.method == "ANY" { any } else { &self.method };
        let path = self.segments.iter().map(|segment| match segment {
            Segment::Literal(text) => text.as_str(),
            Segment::Any => any,
            Segment::Rest => rest,
        });
        format!("{stage}/{method}/{}", path.collect::<Vec<_>>().join("/"))
    }
}

/// The ARN for a call of a route that no rule names. None when the caller's own text could widen it.
pub fn called_arn(arn: &MethodArn<'_>, route: &Route<'_>) -> Option<String> {
    match route.pattern {
        Some(path) if !arn.method.starts_with('$') => {
            let rule =
                Rule { method: arn.method.to_owned(), segments: pattern(path), scopes: Scopes::default() };
            Some(rule.arn(arn.stage))
        }
        _ => (!arn.holds_wildcard()).then(|| arn.whole.to_owned()),
    }
}

fn agree(pattern: &[Segment], called: &[String]) -> bool {
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

/// The segments of a path as it was called, decoded, without empty ones: however it is written, it is
/// judged as what a back end may take it for.
fn segments(path: &str) -> Vec<String> {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    decoded.split('/').filter(|text| !text.is_empty()).map(str::to_owned).collect()
}

/// Stands for a parameter of a path: some text without a slash. No path holds it.
const ANY_SEGMENT: &str = "\0";

/// Stands for all the rest of a path: some text, slashes too. No path holds it.
const ANY_REST: &str = "\u{1}";

/// Whether a resource of a policy, in which `*` is any text, matches some call of a sample.
fn may_match(glob: &str, sample: &str) -> bool {
    let (glob, sample) = (glob.as_bytes(), sample.as_bytes());
    let same = |(one, other): &(&u8, &u8)| one == other && **one != b'*';
    let same = glob.iter().zip(sample).take_while(same).count();
    let (glob, sample) = (&glob[same..], &sample[same..]);
    if let (Some(one), Some(2..)) = (glob.first(), sample.first())
        && *one != b'*'
    {
        return false;
    }
    // Whether the rest of the one matches the rest of the other, for every two rests, the shortest first: a
    // search that tries again and again takes years when there are many wildcards.
    let mut shorter = vec![false; sample.len() + 1];
    for start in (0..=glob.len()).rev() {
        let mut matches = vec![false; sample.len() + 1];
        for place in (0..=sample.len()).rev() {
            matches[place] = match (glob.get(start), sample.get(place)) {
                (None, None) => true,
                (Some(b'*'), None) => shorter[place],
                (Some(b'*'), Some(_)) => shorter[place] || matches[place + 1],
                // The parameter takes this character, and ends here or goes on.
                (Some(character), Some(parameter @ (0 | 1))) => {
                    (*character != b'/' || *parameter == 1) && (shorter[place + 1] || shorter[place])
                }
                (Some(one), Some(other)) => one == other && shorter[place + 1],
                (None, Some(_)) | (Some(_), None) => false,
            };
        }
        shorter = matches;
    }
    shorter[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
        for path in ["/todo", "/todo/", "//todo", "/%74odo", "/%2Ftodo"] {
            assert!(!permits(&policy, "GET", path, ""), "{path}");
        }
    }

    #[test]
    fn a_policy_lists_what_the_scopes_open_and_denies_what_its_wildcards_sweep_up() {
        let policy =
            policy(&[("GET /users/{id}", "read"), ("GET /users/{id}/secret", "admin"), ("GET /me", "")]);
        let scopes = Scopes::parse("read").unwrap();
        let arns = policy.arns(STAGE, &scopes, None);
        assert_eq!(arns.allowed, [format!("{STAGE}/GET/me"), format!("{STAGE}/GET/users/*")]);
        assert_eq!(arns.denied, [format!("{STAGE}/GET/users/*/secret")]);
        let arns = policy.arns(STAGE, &Scopes::default(), None);
        assert_eq!((arns.allowed.len(), arns.denied.len()), (1, 0));
        let arns = policy.arns(STAGE, &Scopes::default(), Some(format!("{STAGE}/GET/*")));
        assert_eq!((arns.allowed.len(), arns.denied.len()), (2, 2));
    }

    #[test]
    fn a_method_of_its_own_is_not_denied_with_all_others() {
        let policy = policy(&[("GET /users/{id}", "read"), ("ANY /users/{id}", "write")]);
        let arns = policy.arns(STAGE, &Scopes::parse("read").unwrap(), None);
        assert_eq!((arns.allowed, arns.denied), (vec![format!("{STAGE}/GET/users/*")], vec![]));
    }

    #[test]
    fn all_the_rest_of_a_path_holds_slashes() {
        let policy = policy(&[("GET /b/{rest+}", "admin"), ("GET /{x}/b/a", "")]);
        let arns = policy.arns(STAGE, &Scopes::default(), None);
        assert_eq!(arns.allowed, [format!("{STAGE}/GET/*/b/a")]);
        assert_eq!(arns.denied, [format!("{STAGE}/GET/b/*")]);
    }

    #[test]
    fn many_wildcards_take_no_time() {
        let (glob, sample) = ("*a".repeat(200), "a".repeat(400));
        assert!(may_match(&glob, &sample) && !may_match(&glob, &(sample + "b")));
    }

    #[test]
    fn a_method_of_its_own_is_shut_where_all_others_are_open() {
        let policy = policy(&[("ANY /users", "read"), ("PUT /users", "write")]);
        let arns = policy.arns(STAGE, &Scopes::parse("read").unwrap(), None);
        assert_eq!(arns.allowed, [format!("{STAGE}/*/users")]);
        assert_eq!(arns.denied, [format!("{STAGE}/PUT/users")]);
    }

    #[test]
    fn a_caller_cannot_widen_the_policy() {
        let arn = |whole| crate::event::MethodArn { whole, stage: STAGE, method: "GET", path: "" };
        let route = Route { method: "GET", path: "/*", pattern: None };
        assert_eq!(called_arn(&arn("arn/prod/GET/*"), &route), None);
        assert_eq!(called_arn(&arn("arn/prod/GET/x"), &route).as_deref(), Some("arn/prod/GET/x"));
        let known = Route { pattern: Some("/todo/{id}"), ..route };
        assert_eq!(called_arn(&arn("arn/prod/GET/todo/*"), &known), Some(format!("{STAGE}/GET/todo/*")));
    }

    #[test]
    fn bad_keys_are_refused() {
        for key in ["", "todo", "GET", "GET todo", "get /todo", "$default"] {
            let routes = BTreeMap::from([(key.to_owned(), Scopes::default())]);
            assert!(RoutePolicy::new(routes).is_err(), "{key:?}");
        }
    }

    proptest! {
        /// However it is cached, a policy never opens a named route that the scopes do not.
        #[test]
        fn a_cached_policy_stays_right(
            rules in proptest::collection::btree_map("GET (/[ab]|/\\{x\\}){1,3}", "[rw]( [s])?", 1..5),
            held in "[rw]( [s])?",
            path in "(/[abc]){1,3}",
        ) {
            let rules: Vec<_> = rules.iter().map(|(key, scopes)| (key.as_str(), scopes.as_str())).collect();
            let (policy, held) = (policy(&rules), Scopes::parse(&held).unwrap());
            let route = Route { method: "GET", path: &path, pattern: None };
            if policy.names(&route) {
                let arns = policy.arns(STAGE, &held, None);
                let arn = format!("{STAGE}/GET{path}");
                let any = |globs: &[String]| globs.iter().any(|glob| may_match(glob, &arn));
                let opens = any(&arns.allowed) && !any(&arns.denied);
                prop_assert!(!opens || policy.permits(&route, &held));
            }
        }
    }
}
