//! Authorizer events of every shape. Input that is not the JSON of an event is skipped, as Lambda does.

use authorizer::{AuthorizerEvent, handle};
use serde_json::Value;

use crate::text::any_string;
use crate::world::{self, World};

/// The maximum size of a response that API Gateway accepts, in bytes.
const MAX_RESPONSE: usize = 8192;

/// The target.
pub fn run(data: &[u8]) {
    world::with(|world| {
        let text = world.filled(data);
        let Ok(event) = serde_json::from_slice::<AuthorizerEvent>(&text) else { return };
        let answer = world.runtime.block_on(handle(&world.authorizer, event, world.now));
        // Skips events that nest deeper than `Value` allows, and events as arrays, whose members Serde reads by order.
        if let Ok(event @ Value::Object(_)) = serde_json::from_slice(&text) {
            check(world, &event, answer.map(|answer| serde_json::to_value(answer).expect("JSON")).ok());
        }
    });
}

fn check(world: &World, event: &Value, answer: Option<Value>) {
    let is_known = any_string(event, &|text| world.holds_secret(text));
    let stage = stage(event);
    let Some(answer) = answer else {
        // The only event without a decision while the stores are available has no route.
        assert!(is_known && !names_a_route(event), "no decision: {event}");
        return;
    };
    assert!(answer.to_string().len() <= MAX_RESPONSE, "API Gateway rejects the response");
    let context = answer["context"].as_object().expect("a context");
    assert!(context.values().all(Value::is_string));
    let allows = match answer["isAuthorized"].as_bool() {
        Some(allows) => {
            assert_eq!(
                (&event["version"], members(&answer)),
                (&Value::from("2.0"), vec!["context", "isAuthorized"])
            );
            allows
        }
        None => {
            assert_ne!(event["version"], "2.0");
            assert_eq!(members(&answer), ["context", "policyDocument", "principalId"]);
            assert!(answer["principalId"].as_str().is_some_and(|id| !id.is_empty()));
            check_policy(&answer["policyDocument"], stage.as_deref())
        }
    };
    assert!(is_known || !allows, "allowed without a credential: {event}");
    assert!(allows || is_known || context.is_empty());
}

/// Whether the policy allows anything.
fn check_policy(policy: &Value, stage: Option<&str>) -> bool {
    assert_eq!(
        (members(policy), &policy["Version"]),
        (vec!["Statement", "Version"], &Value::from("2012-10-17"))
    );
    let statements = policy["Statement"].as_array().filter(|all| !all.is_empty()).expect("statements");
    let mut allows = false;
    for statement in statements {
        assert_eq!(members(statement), ["Action", "Effect", "Resource"]);
        assert_eq!(statement["Action"], "execute-api:Invoke");
        let resources = statement["Resource"].as_array().filter(|all| !all.is_empty()).expect("resources");
        let is_allow = match statement["Effect"].as_str() {
            Some("Allow") => true,
            Some("Deny") => false,
            other => panic!("unknown effect {other:?}"),
        };
        allows |= is_allow;
        for resource in resources {
            let resource = resource.as_str().expect("text");
            let ours = stage.is_some_and(|stage| resource.starts_with(&format!("{stage}/")));
            assert!(ours || (!is_allow && stage.is_none() && resource == "*"), "{resource}");
        }
    }
    allows
}

fn members(value: &Value) -> Vec<&str> {
    let mut names: Vec<_> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// The API and the stage of the event's ARN, if the ARN has a method.
fn stage(event: &Value) -> Option<String> {
    method(event)?;
    Some(event["methodArn"].as_str()?.split('/').take(2).collect::<Vec<_>>().join("/"))
}

fn method(event: &Value) -> Option<&str> {
    event["methodArn"].as_str()?.split('/').nth(2).filter(|method| !method.is_empty())
}

fn names_a_route(asked: &Value) -> bool {
    let text = |pointer: &str| asked.pointer(pointer).and_then(Value::as_str);
    let is_path = |path: &str| path.starts_with('/') || path == "$default";
    if text("/version") == Some("2.0") {
        let key = text("/routeKey").unwrap_or_default();
        let path = key.split_once(' ').map_or(key, |(_, path)| path);
        return is_path(path) && text("/requestContext/http/method").is_some();
    }
    let Some(method) = method(asked) else { return false };
    if text("/type") == Some("TOKEN") && text("/authorizationToken").is_some() {
        return true;
    }
    match text("/resource") {
        Some(path) => {
            is_path(path) && (text("/httpMethod") == Some(method) || [method, path] == ["$default"; 2])
        }
        None => {
            let is_connect = text("/methodArn").is_some_and(|arn| arn.split('/').skip(2).eq(["$connect"]));
            is_connect && text("/requestContext/routeKey") == Some("$connect")
        }
    }
}
