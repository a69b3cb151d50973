//! The answer, in the shape that the event asks for
//! (docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html and
//! …/api-gateway-lambda-authorizer-output.html).

use serde::Serialize;
use serde_json::{Value, json};

use crate::Decision;
use crate::event::AuthorizerEvent;
use crate::policy_resource::{PolicyResources, json_length};
use crate::principal::Context;
use crate::route_scopes::RouteScopes;

/// The longest lists of resources in a policy, in bytes, alone and together with the context. Invariant: with what
/// JSON adds, below the 8 KB that API Gateway takes.
const MAX_RESOURCES: usize = 4096;
const MAX_WITH_CONTEXT: usize = 6656;

/// The answer.
#[derive(Debug, Serialize)]
pub struct AuthorizerResponse(Body);

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Body {
    /// For an HTTP API with payload 2.0.
    #[serde(rename_all = "camelCase")]
    Simple { is_authorized: bool, context: Context },
    /// For all others.
    Policy(Value),
}

impl AuthorizerResponse {
    /// Denies every call with the credential.
    pub(crate) fn deny(event: &AuthorizerEvent) -> Self {
        if event.is_simple() {
            return Self(Body::Simple { is_authorized: false, context: Context::new() });
        }
        let all = event.method_arn().map_or_else(|| "*".to_owned(), |arn| format!("{}/*", arn.stage));
        Self::policy(&Context::new(), PolicyResources { allowed: Vec::new(), denied: vec![all] })
    }

    /// Allows or denies the call. A policy lists every route that the principal's scopes open, because API Gateway
    /// caches the policy and asks it about other calls with the credential.
    pub(crate) fn new(event: &AuthorizerEvent, route_scopes: &RouteScopes, decision: Decision) -> Self {
        let is_permitted = decision.outcome.is_ok();
        let (scopes, context) = (decision.principal.scopes, decision.principal.context);
        if event.is_simple() && is_permitted {
            return Self(Body::Simple { is_authorized: true, context });
        }
        let Some(arn) = event.method_arn().filter(|_| !event.is_simple()) else { return Self::deny(event) };
        let resources = if route_scopes.is_empty() {
            PolicyResources { allowed: vec![format!("{}/*", arn.stage)], denied: Vec::new() }
        } else {
            let budget = resource_budget(json_length(&context));
            PolicyResources::new(&arn, route_scopes.resources(arn.stage, &scopes), is_permitted, budget)
        };
        Self::policy(&context, resources)
    }

    fn policy(context: &Context, resources: PolicyResources) -> Self {
        let statements = [("Allow", resources.allowed), ("Deny", resources.denied)].into_iter();
        let statement = |(effect, resource)| json!({"Action": "execute-api:Invoke", "Effect": effect, "Resource": resource});
        let statements = statements.filter(|(_, resource)| !resource.is_empty()).map(statement);
        Self(Body::Policy(json!({
            "principalId": context.get("sub").map_or("unknown", String::as_str),
            "policyDocument": {"Version": "2012-10-17", "Statement": statements.collect::<Vec<_>>()},
            "context": context,
        })))
    }
}

/// The longest lists of resources beside a context of this length.
fn resource_budget(context: usize) -> usize {
    MAX_RESOURCES.min(MAX_WITH_CONTEXT.saturating_sub(context))
}
