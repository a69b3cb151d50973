//! Our answer, in the shape that the question asks for
//! (docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html and
//! …/api-gateway-lambda-authorizer-output.html).

use std::collections::BTreeMap;

use serde::Serialize;
use shared::wire::scope::Scopes;

use crate::caller::Caller;
use crate::event::{AnswerShape, Event, MethodArn};
use crate::routes::{Arns, Route, RoutePolicy, called_arn};

/// The longest list of resources in a policy, in bytes. Invariant: with the context, which the cap on
/// tokens bounds, below the 8 KB that API Gateway takes.
const MAX_RESOURCES: usize = 4096;

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
                Self::policy(principal, statements(&arn, routes, route, permitted, &scopes), context)
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

fn statements(
    arn: &MethodArn<'_>,
    routes: &RoutePolicy,
    route: &Route<'_>,
    permitted: bool,
    scopes: &Scopes,
) -> Vec<Statement> {
    if routes.is_empty() {
        return vec![Statement::new("Allow", vec![format!("{}/*", arn.stage)])];
    }
    let also = called_arn(arn, route).filter(|_| permitted && !routes.names(route));
    let Arns { mut allowed, mut denied } = routes.arns(arn.stage, scopes, also);
    if !permitted {
        denied.extend(called_arn(arn, route));
    }
    if allowed.iter().chain(&denied).map(String::len).sum::<usize>() > MAX_RESOURCES {
        // Too much to say at once: only what was asked, and the next route is asked for again or denied.
        let resource: Vec<String> = called_arn(arn, route).into_iter().collect();
        (allowed, denied) = if permitted { (resource, Vec::new()) } else { (Vec::new(), resource) };
    }
    let mut statements = Vec::new();
    if !allowed.is_empty() {
        statements.push(Statement::new("Allow", allowed));
    }
    if !denied.is_empty() || statements.is_empty() {
        let all = vec![format!("{}/*", arn.stage)];
        statements.push(Statement::new("Deny", if denied.is_empty() { all } else { denied }));
    }
    statements
}
