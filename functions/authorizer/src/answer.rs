//! Our answer, in the shape that the question asks for
//! (docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html and
//! …/api-gateway-lambda-authorizer-output.html).

use std::collections::BTreeMap;

use serde::Serialize;
use shared::oauth::scope::Scopes;

use crate::caller::Caller;
use crate::event::{AnswerShape, Event, MethodArn};
use crate::resource::{ambiguous, is_ambiguous};
use crate::routes::{Route, RoutePolicy, Rule};

/// The longest list of resources in a policy, in bytes, and the longest that it is with the context. Invariant: with
/// all that JSON adds, below the 8 KB that API Gateway takes.
const MAX_RESOURCES: usize = 4096;
const MAX_WITH_CONTEXT: usize = 6656;

/// What the route's own function learns of the caller: flat strings, and nothing that the caller sent
/// as a header.
pub(crate) type Context = BTreeMap<String, String>;

/// The answer.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// HTTP API, payload 2.0.
    #[serde(rename_all = "camelCase")]
    Simple {
        /// Yes or no.
        is_authorized: bool,
        /// Who the caller is.
        context: Context,
    },
    /// All others.
    #[serde(rename_all = "camelCase")]
    Policy {
        /// Who the caller is, in one word.
        principal_id: String,
        /// What the caller may use.
        policy_document: PolicyDocument,
        /// Who the caller is.
        context: Context,
    },
}

/// An IAM policy.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PolicyDocument {
    version: &'static str,
    statement: Vec<Statement>,
}

/// A statement of an IAM policy.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    action: &'static str,
    effect: &'static str,
    resource: Vec<String>,
}

impl Statement {
    fn new(effect: &'static str, resource: Vec<String>) -> Self {
        Self { action: "execute-api:Invoke", effect, resource }
    }
}

impl Answer {
    /// No, whatever the route: the credential is not good.
    pub(crate) fn deny(event: &Event) -> Self {
        match event.answer_shape() {
            AnswerShape::Simple => Self::Simple { is_authorized: false, context: Context::new() },
            AnswerShape::Policy(arn) => {
                let all = arn.map_or_else(|| "*".to_owned(), |arn| format!("{}/*", arn.stage));
                Self::policy("nobody".to_owned(), vec![Statement::new("Deny", vec![all])], Context::new())
            }
        }
    }

    /// What a good credential opens. A policy is cached and then asked about other routes, so it says
    /// for every route that has a rule whether these scopes open it.
    pub(crate) fn for_caller(
        event: &Event,
        routes: &RoutePolicy,
        route: &Route<'_>,
        permitted: bool,
        caller: Caller,
    ) -> Self {
        let Caller { scopes, context } = caller;
        match event.answer_shape() {
            AnswerShape::Simple if permitted => Self::Simple { is_authorized: true, context },
            AnswerShape::Simple | AnswerShape::Policy(None) => Self::deny(event),
            AnswerShape::Policy(Some(arn)) => {
                let principal = context.get("sub").cloned().unwrap_or_default();
                let room = room_beside(json_length(&context));
                let statements = statements(&arn, routes, route, permitted, &scopes, room);
                Self::policy(principal, statements, context)
            }
        }
    }

    fn policy(principal_id: String, statement: Vec<Statement>, context: Context) -> Self {
        Self::Policy {
            principal_id,
            policy_document: PolicyDocument { version: "2012-10-17", statement },
            context,
        }
    }
}

/// How long something is in an answer.
fn json_length(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX / 2, |json| json.len())
}

/// How long the list of resources may be beside a context of that length.
fn room_beside(context: usize) -> usize {
    MAX_RESOURCES.min(MAX_WITH_CONTEXT.saturating_sub(context))
}

fn statements(
    arn: &MethodArn<'_>,
    routes: &RoutePolicy,
    route: &Route<'_>,
    permitted: bool,
    scopes: &Scopes,
    room: usize,
) -> Vec<Statement> {
    let everything = format!("{}/*", arn.stage);
    if routes.is_empty() {
        return vec![Statement::new("Allow", vec![everything])];
    }
    let call = arn.can_be_said().then(|| arn.whole.to_owned());
    let also = Rule::of_called(route).filter(|_| permitted && !routes.names(route));
    let mut allowed = routes.arns(arn.stage, scopes, also.as_ref());
    let mut denied = Vec::new();
    // Where a wildcard is open, what it must not open is denied: so it can't stand beside a call that is shut and can't
    // be named, or one that is open and is denied with all that is like it.
    if is_ambiguous(arn.path) || call.is_none() && !permitted {
        allowed.retain(|arn| !arn.contains('*'));
    }
    if allowed.iter().any(|arn| arn.contains('*')) {
        denied.extend(ambiguous(arn.stage));
    }
    let own = if permitted { &mut allowed } else { &mut denied };
    if call.as_ref().is_some_and(|call| !own.contains(call)) {
        own.extend(call.clone());
    }
    if json_length(&allowed) + json_length(&denied) > room {
        // Not to be said at once: only this very call, and the next one is asked for again or denied.
        let call = Vec::from_iter(call.filter(|call| json_length(call) <= room));
        (allowed, denied) = if permitted { (call, Vec::new()) } else { (Vec::new(), call) };
    }
    if allowed.is_empty() && denied.is_empty() {
        denied.push(everything);
    }
    let statements = [("Allow", allowed), ("Deny", denied)].into_iter();
    let said = statements.filter(|(_, resources)| !resources.is_empty());
    said.map(|(effect, resources)| Statement::new(effect, resources)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::MAX_LENGTH;
    use proptest::prelude::*;
    use sam_template::policy::covers;

    const STAGE: &str = "arn:aws:execute-api:eu-west-1:1:api/prod";

    /// The longest answer that API Gateway takes, in bytes.
    const MAX_ANSWER: usize = 8192;

    /// Whether the policy opens a call: a deny wins.
    fn opens(statements: &[Statement], arn: &str) -> bool {
        let says = |effect| {
            let mut resources = statements.iter().filter(|s| s.effect == effect).flat_map(|s| &s.resource);
            resources.any(|resource| covers(resource, arn))
        };
        says("Allow") && !says("Deny")
    }

    /// What the policy says of a call, and whether that call is permitted.
    fn policy(
        routes: &RoutePolicy,
        held: &Scopes,
        method: &str,
        path: &str,
        pattern: Option<&str>,
        room: usize,
    ) -> (Vec<Statement>, String, bool) {
        let whole = format!("{STAGE}/{method}/{path}");
        let arn =
            MethodArn { whole: &whole, stage: STAGE, method, path: &whole[STAGE.len() + 1 + method.len()..] };
        let path = format!("/{path}");
        let route = Route { method, path: path.as_str().into(), pattern, stage: None };
        let permitted = routes.permits(&route, held);
        (statements(&arn, routes, &route, permitted, held, room), whole.clone(), permitted)
    }

    type Rules = BTreeMap<String, String>;

    fn routes(rules: &Rules) -> RoutePolicy {
        let rules = rules.iter().map(|(key, scopes)| (key.clone(), Scopes::parse(scopes).unwrap()));
        RoutePolicy::new(rules.collect()).unwrap()
    }

    fn rules(key: &str) -> impl Strategy<Value = Rules> + use<> {
        let key = proptest::string::string_regex(key).unwrap();
        proptest::collection::btree_map(key, "([rw]( s)?)?", 0..6)
    }

    /// A path of the API's own that a call of `path` may have come by: some segments are parameters, or none
    /// is told.
    fn pattern(path: &str, parameters: u8) -> Option<String> {
        let segments = path.split('/').enumerate().map(|(index, segment)| match parameters >> index & 1 {
            0 if !"*?".contains(segment) => segment,
            _ => "{x}",
        });
        (parameters < 128).then(|| format!("/{}", segments.collect::<Vec<_>>().join("/")))
    }

    /// A path, and the same path written otherwise.
    fn otherwise(path: &str) -> [String; 16] {
        let encoded = path.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let doubled = path.replace('/', "//");
        let climbing =
            ["..%2f", "c/..%2F", "c%2f..%2f", "c/..%3B/", "c/..;/", "%5C"].map(|up| format!("{up}{path}"));
        let [one, two, three, four, five, six] = climbing;
        let around = [
            ("", ""),
            ("", "/"),
            ("/", ""),
            ("./", ""),
            ("a/../", ""),
            ("c/%2E%2e/", ""),
            ("b//../", "/."),
            ("", "#/c"),
        ];
        let [own, after, before, here, up, encoded_up, odd, fragment] =
            around.map(|(before, after)| format!("{before}{path}{after}"));
        [
            own, after, before, here, up, encoded_up, odd, fragment, encoded, doubled, one, two, three, four,
            five, six,
        ]
    }

    #[test]
    fn a_path_that_a_header_of_another_call_may_fill_is_in_no_policy() {
        let rules = [("ANY /admin/{rest+}", "s"), ("GET /users/{id}", ""), ("GET /me", "")];
        let routes = routes(&rules.map(|(key, scopes)| (key.to_owned(), scopes.to_owned())).into());
        for (path, permitted) in
            [("${aws:Referer}", true), ("users/${aws:Referer}", true), ("admin/${*}", false)]
        {
            let (policy, _, found) = policy(&routes, &Scopes::default(), "GET", path, None, MAX_RESOURCES);
            assert_eq!(found, permitted, "{path}");
            let mut resources = policy.iter().flat_map(|statement| &statement.resource);
            assert!(resources.all(|resource| !resource.contains('$')), "{path}");
            assert!(opens(&policy, &format!("{STAGE}/GET/me")), "what has nothing to do with it stays open");
            assert_eq!(opens(&policy, &format!("{STAGE}/GET/users/1")), permitted);
            assert!(!opens(&policy, &format!("{STAGE}/GET/users/../admin/x")));
        }
    }

    proptest! {
        /// Whatever call a policy was made for, it is about this API and stage, and it opens no call that the
        /// scopes do not open.
        #[test]
        fn a_policy_opens_nothing_that_is_shut(
            rules in rules("(GET|PUT|HEAD|ANY) (/[ab]|/\\{x\\}){1,2}(/[ab]|/\\{r\\+\\})?"),
            held in "[rw]( s)?",
            called in ("GET|PUT|HEAD", "([abc*?]|\\$\\{x\\})(/[abc*?]){0,2}", any::<u8>()),
            probes in proptest::collection::vec(("GET|PUT", "[abc](/[abc]){0,3}"), 1..8),
        ) {
            let (routes, held) = (routes(&rules), Scopes::parse(&held).unwrap());
            let pattern = pattern(&called.1, called.2);
            let (policy, arn, permitted) = policy(&routes, &held, &called.0, &called.1, pattern.as_deref(), MAX_RESOURCES);
            prop_assert!(!policy.is_empty() && policy.iter().all(|statement| !statement.resource.is_empty()));
            let mut resources = policy.iter().flat_map(|statement| &statement.resource);
            let within = format!("{STAGE}/");
            prop_assert!(resources.all(|resource| resource.starts_with(&within)));
            prop_assert!(permitted || !opens(&policy, &arn), "what was asked");
            // Calls of whatever kind, and of each route that has a rule, however they are written.
            let named = rules.keys().map(|key| key.replace("{x}", "c").replace("{r+}", "c/a"));
            let named = named.filter_map(|key| Some(key.split_once(" /")?.1.to_owned()));
            let by_methods = |path: String| ["GET", "PUT", "HEAD"].map(|method| (method.to_owned(), path.clone()));
            let named: Vec<_> = named.flat_map(by_methods).collect();
            let written = |(method, path): &(String, String)| {
                otherwise(path).map(|path| (method.clone(), path))
            };
            for (method, path) in probes.iter().chain(&named).flat_map(written) {
                let (method, path) = (method.as_str(), path.as_str());
                let route = Route { method, path: path.into(), pattern: None, stage: None };
                let probe = format!("{STAGE}/{method}/{path}");
                prop_assert!(!opens(&policy, &probe) || routes.permits(&route, &held), "{method} {path}");
            }
        }

        /// Where no rule has a parameter nothing can cross, and the policy says yes exactly to what is
        /// permitted.
        #[test]
        fn what_is_permitted_is_opened(
            rules in rules("(GET|PUT) (/[ab]){1,3}"),
            held in "[rw]( s)?",
            called in ("GET|PUT", "[abc](/[abc]){0,2}"),
        ) {
            let (routes, held) = (routes(&rules), Scopes::parse(&held).unwrap());
            let (policy, arn, permitted) = policy(&routes, &held, &called.0, &called.1, None, MAX_RESOURCES);
            prop_assert_eq!(opens(&policy, &arn), permitted);
        }

        /// However much there is to say, API Gateway takes the policy.
        #[test]
        fn a_policy_is_never_too_large(
            rules in proptest::collection::btree_map("GET (/[a-z]{1,300}){1,2}(/\\{x\\})?", "[rw]", 0..60),
            held in "[rw]",
            path in "[a-z]{1,20}",
            longer in 1_usize..600,
            is_parameter in any::<bool>(),
            context in 0_usize..6656,
        ) {
            let (routes, held) = (routes(&rules), Scopes::parse(&held).unwrap());
            let path = path.repeat(longer);
            let pattern = is_parameter.then_some("/{x}");
            let (policy, arn, permitted) = policy(&routes, &held, "GET", &path, pattern, room_beside(context));
            prop_assert!(permitted || !opens(&policy, &arn));
            let mut resources = policy.iter().flat_map(|statement| &statement.resource);
            prop_assert!(resources.all(|resource| resource.len() <= MAX_LENGTH));
            for key in rules.keys() {
                let path = key.replace("GET /", "").replace("{x}", "y");
                let route = Route { method: "GET", path: path.as_str().into(), pattern: None, stage: None };
                let opens = opens(&policy, &format!("{STAGE}/GET/{path}"));
                prop_assert!(!opens || routes.permits(&route, &held), "{path}");
            }
            let answer = Answer::policy("usr_0123456789abcdefghijkl".to_owned(), policy, Context::new());
            prop_assert!(serde_json::to_string(&answer).unwrap().len() + context <= MAX_ANSWER);
        }
    }
}
