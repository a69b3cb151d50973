//! Which scopes a route needs: `ROUTE_SCOPES`, as rules.
//!
//! A route that no rule names needs a good credential and no scope.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::iter;

use percent_encoding::percent_decode_str;
use shared::config::ConfigError;
use shared::wire::scope::Scopes;

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
        let complaint = |problem| ConfigError::new("ROUTE_SCOPES", problem);
        let mut rules: Vec<Rule> = Vec::new();
        for (key, scopes) in routes {
            let (method, path) = key.split_once(' ').unwrap_or((&key, ""));
            let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
            if key != "$connect" && !(is_method && can_match(path)) {
                return Err(complaint(
                    "has a key that is not like `GET /path`, `ANY /path/{id}` or `$connect`",
                ));
            }
            let segments = pattern(path);
            if rules.iter().any(|rule| rule.method == method && rule.segments == segments) {
                return Err(complaint("has two keys for one route"));
            }
            rules.push(Rule { method: method.to_owned(), segments, scopes });
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
        // Methods are told apart by case (RFC 9110 §9.1), and some back ends don't.
        let in_small_letters = route.method.contains(char::is_lowercase) && route.method != "$connect";
        let open = |readings: Vec<Vec<_>>| {
            let mut readings = readings.iter();
            readings.all(|called| !is_nobodys(called) && self.rules(route, called).all(allows))
        };
        self.is_empty() || !in_small_letters && readings(route).is_some_and(open)
    }

    /// Whether some rule is about this route.
    pub fn names(&self, route: &Route<'_>) -> bool {
        let Some(readings) = readings(route) else { return true };
        readings.iter().any(|called| self.rules(route, called).next().is_some())
    }

    /// The rules for a call, all of which count: the most exact of those that match the path as API Gateway sees it,
    /// and of all that match; and of those for the API's own route, if it is for that route alone or if either
    /// doesn't match the path. They differ where a back end may take the path for another one than API Gateway did.
    fn rules(&self, route: &Route<'_>, called: &Path<'_>) -> impl Iterator<Item = &Rule> + use<'_> {
        let most_exact = |is_it: &dyn Fn(&[Segment]) -> bool| {
            let found = self.0.iter().filter(|rule| rule.is_for(route.method) && is_it(&rule.segments));
            found.max_by_key(|rule| (rule.exactness(), rule.method == route.method, rule.method != "ANY"))
        };
        let own = route.pattern.and_then(|path| {
            let (route, path) = (pattern(path), split(path));
            let greedy = is_greedy(&route);
            let found = most_exact(&|rule| fits(rule, &path) && greedy <= is_greedy(rule))?;
            let is_for_it_alone = !greedy && found.segments == route;
            (is_for_it_alone || !fits(&found.segments, called) || !fits(&route, called)).then_some(found)
        });
        let fitting = most_exact(&|rule| fits(rule, called));
        own.into_iter().chain(fitting).chain(most_exact(&|rule| matches(rule, called)))
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

/// The first digits of what is encoded and may make another path of one: ASCII's controls but the last, digits and
/// punctuation, and `P` to `_`. All other letters, `@` and what is not ASCII begin otherwise.
const AMBIGUOUS: [char; 5] = ['0', '1', '2', '3', '5'];

/// What a policy that holds a wildcard denies: paths that are nobody's, and all that may be read as another path than
/// it is written.
pub fn ambiguous_arns(stage: &str) -> impl Iterator<Item = String> {
    let plain = ["*/./*", "*/.", "*/../*", "*/..", "*;*", "*#*"].map(str::to_owned);
    let encoded = AMBIGUOUS.map(|digit| format!("*%{digit}*"));
    plain.into_iter().chain(encoded).map(move |path| format!("{stage}/{path}"))
}

/// Whether a path is among them, so that a policy can't both hold a wildcard and open it.
pub fn is_ambiguous(path: &str) -> bool {
    is_nobodys(&split(path))
        || path.contains([';', '#'])
        || path.split('%').skip(1).any(|rest| rest.starts_with(AMBIGUOUS))
}

impl Rule {
    /// One for the API's own route that a call matched, which opens it to everybody.
    pub fn of_called(route: &Route<'_>) -> Option<Self> {
        let path = route.pattern.filter(|path| is_literal(path) && !route.method.starts_with('$'))?;
        let segments = pattern(path);
        Some(Self { method: route.method.to_owned(), segments, scopes: Scopes::default() })
    }

    fn is_for(&self, method: &str) -> bool {
        self.method == method
            || self.method == "ANY" && !method.starts_with('$')
            // Back ends answer HEAD as they do GET, without the body (RFC 9110 §9.3.2).
            || self.method == "GET" && method == "HEAD"
    }

    /// Greater for the more exact of two rules that match one path: what comes first in it decides, and all the rest
    /// is less than its end.
    fn exactness(&self) -> (&[Segment], bool) {
        match self.segments.split_last() {
            Some((Segment::Rest, before)) => (before, false),
            _ => (&self.segments, true),
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

/// Whether a path is one of a pattern's. All the rest may be nothing: to many back ends `/a/` is one of `/a/{rest+}`,
/// and `/a` is the same as `/a/`.
fn matches(pattern: &[Segment], called: &Path<'_>) -> bool {
    fits(pattern, called)
        || pattern.split_last().is_some_and(|(last, before)| *last == Segment::Rest && fits(before, called))
}

/// The same as API Gateway takes it: all the rest is something.
fn fits(pattern: &[Segment], called: &Path<'_>) -> bool {
    let is_long_enough = match is_greedy(pattern) {
        true => called.len() >= pattern.len(),
        false => called.len() == pattern.len(),
    };
    is_long_enough
        && pattern.iter().zip(called).all(|(segment, called)| match segment {
            Segment::Literal(text) => text == called,
            Segment::Any | Segment::Rest => true,
        })
}

/// Whether a pattern is for all the rest of a path.
fn is_greedy(pattern: &[Segment]) -> bool {
    pattern.contains(&Segment::Rest)
}

fn pattern(path: &str) -> Vec<Segment> {
    let segment = |text: &str| match parameter(text) {
        Some((_, true)) => Segment::Rest,
        Some((_, false)) => Segment::Any,
        None => Segment::Literal(text.to_owned()),
    };
    split(path).iter().map(|text| segment(text)).collect()
}

/// The name of a parameter, `{name}` or `{name+}`, and whether it is for all the rest.
pub(crate) fn parameter(segment: &str) -> Option<(&str, bool)> {
    let name = segment.strip_prefix('{')?.strip_suffix('}')?;
    Some(name.strip_suffix('+').map_or((name, false), |name| (name, true)))
}

/// Whether a path is no wildcard where it stands in a policy.
fn is_literal(path: &str) -> bool {
    !path.contains(['*', '?'])
}

/// Whether some call's path may match a pattern. A rule that never counts leaves open what it was to shut.
fn can_match(path: &str) -> bool {
    let segments = pattern(path);
    let never = |text: &str| matches!(text, "." | "..") || text.contains(['{', '}', '%', '\\']);
    let greedy = segments.iter().position(|segment| *segment == Segment::Rest);
    path.starts_with('/')
        && is_literal(path)
        && !path.contains(|c: char| c.is_whitespace() || c.is_control())
        && !segments.iter().any(|segment| matches!(segment, Segment::Literal(text) if never(text)))
        && greedy.is_none_or(|at| at + 1 == segments.len())
}

/// A path in segments, without empty ones: however many slashes there are, it is the same path.
type Path<'a> = [Cow<'a, str>];

/// How many times a path may be encoded. One that is encoded more often is nobody's, and read by nobody.
const MAX_ENCODED: usize = 3;

/// What a back end may read a route's path as, with the stage and without. None if it is encoded too often.
fn readings<'a>(route: &'a Route<'_>) -> Option<Vec<Vec<Cow<'a, str>>>> {
    let mut readings = match route.path.contains(|c: char| c == '%' || is_mark(c)) {
        true => spellings(&route.path)?,
        false => vec![split(&route.path)],
    };
    if let Some(stage) = route.stage {
        let staged = readings.iter().filter(|path| path.first().is_some_and(|first| first == stage));
        let rest: Vec<_> = staged.map(|path| path[1..].to_vec()).collect();
        readings.extend(rest);
    }
    Some(readings)
}

/// A path itself, and decoded as often as it is encoded, by segments or as a whole or both; all of them bare, too.
fn spellings<'a>(path: &str) -> Option<Vec<Vec<Cow<'a, str>>>> {
    let mut spellings = Vec::new();
    for start in both(path) {
        let mut segments = each(&split(&start), str::to_owned);
        let (mut text, mut left) = (start, MAX_ENCODED);
        loop {
            for text in both(&text) {
                spellings.push(each(&split(&text), str::to_owned));
                spellings.push(each(&split(&text), |segment| decoded(segment).into_owned()));
            }
            let bare = each(&segments, |segment| cut(segment).to_owned());
            spellings.push(bare.iter().filter(|segment| !segment.is_empty()).cloned().collect());
            spellings.extend([segments.clone(), bare]);
            match decoded(&text) {
                Cow::Borrowed(_) => break,
                Cow::Owned(inner) => text = inner,
            }
            segments = each(&segments, |segment| decoded(segment).into_owned());
            left = left.checked_sub(1)?;
        }
    }
    Some(spellings)
}

fn each<'a>(path: &Path<'_>, change: impl Fn(&str) -> String) -> Vec<Cow<'a, str>> {
    path.iter().map(|segment| Cow::Owned(change(segment))).collect()
}

/// Owned if there was something to decode.
fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// A path, and the same without what some take for a query, a fragment or parameters (RFC 3986 §3.3 to §3.5) or for
/// blanks about a segment, if it has any of that.
fn both(path: &str) -> impl Iterator<Item = String> + use<> {
    let bare = path.contains(is_mark).then(|| {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        path.split('/').map(cut).collect::<Vec<_>>().join("/")
    });
    iter::once(path.to_owned()).chain(bare)
}

/// Whether some take a character for the end of a path or of a segment.
fn is_mark(character: char) -> bool {
    matches!(character, '?' | '#' | ';') || character.is_whitespace()
}

/// A segment as far as that.
fn cut(segment: &str) -> &str {
    segment.split(['?', '#', ';']).next().unwrap_or_default().trim()
}

/// Whether a path is one that nobody needs and that back ends read each in its own way.
fn is_nobodys(path: &Path<'_>) -> bool {
    path.iter().any(|segment| {
        matches!(&**segment, "." | "..") || segment.contains(|c: char| c == '\\' || c.is_control())
    })
}

fn split(path: &str) -> Vec<Cow<'_, str>> {
    path.split('/').filter(|segment| !segment.is_empty()).map(Cow::Borrowed).collect()
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
    fn a_method_in_small_letters_is_nobodys() {
        let policy = policy(&[("ANY /a", "admin"), ("GET /a", ""), ("$connect", "read")]);
        assert!(permits(&policy, "GET", "/a", "") && permits(&policy, "$connect", "", "read"));
        for (method, path) in [("get", "/a"), ("Head", "/a"), ("post", "/b")] {
            assert!(!permits(&policy, method, path, "admin read"), "{method}");
        }
    }

    #[test]
    fn head_is_get_unless_it_has_a_rule() {
        let policy = policy(&[("GET /a", "read"), ("GET /b", "read"), ("HEAD /b", ""), ("ANY /c", "read")]);
        assert!(!permits(&policy, "HEAD", "/a", "") && permits(&policy, "HEAD", "/a", "read"));
        assert!(permits(&policy, "HEAD", "/b", "") && !permits(&policy, "HEAD", "/c", ""));
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
        let many = |last: &str| format!("GET {}/{last}", "/{x}/a".repeat(200));
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
