//! Events of the authorizer, in every shape: what is not JSON of an event is passed over, as Lambda does.

use authorizer::{Event, handle};
use serde_json::Value;

use crate::text::any_string;
use crate::world::{self, World};

/// The longest answer that API Gateway takes, in bytes.
const MAX_ANSWER: usize = 8192;

/// The target.
pub fn run(data: &[u8]) {
    world::with(|world| {
        let text = world.filled(data);
        let Ok(event) = serde_json::from_slice::<Event>(&text) else { return };
        let answer = world.runtime.block_on(handle(&world.authorizer, event, world.now));
        // What nests too deep for this reading is passed over by ours; an event's members in an array are
        // read too, by their order. Nobody sends either.
        if let Ok(asked @ Value::Object(_)) = serde_json::from_slice(&text) {
            check(world, &asked, answer.map(|answer| serde_json::to_value(answer).expect("JSON")).ok());
        }
    });
}

fn check(world: &World, asked: &Value, answer: Option<Value>) {
    let is_known = any_string(asked, &|text| world.holds_secret(text));
    let stage = stage(asked);
    let Some(answer) = answer else {
        // The one event that can't be decided with all stores at hand.
        assert!(is_known && !names_a_route(asked), "no answer: {asked}");
        return;
    };
    assert!(answer.to_string().len() <= MAX_ANSWER, "API Gateway refuses the answer");
    let context = answer["context"].as_object().expect("a context");
    assert!(context.values().all(Value::is_string));
    let allows = match answer["isAuthorized"].as_bool() {
        Some(allows) => {
            assert_eq!(
                (&asked["version"], members(&answer)),
                (&Value::from("2.0"), vec!["context", "isAuthorized"])
            );
            allows
        }
        None => {
            assert_ne!(asked["version"], "2.0");
            assert_eq!(members(&answer), ["context", "policyDocument", "principalId"]);
            assert!(answer["principalId"].as_str().is_some_and(|id| !id.is_empty()));
            check_policy(&answer["policyDocument"], stage.as_deref())
        }
    };
    assert!(is_known || !allows, "nobody is let in: {asked}");
    assert!(allows || is_known || context.is_empty());
}

/// Whether it allows anything.
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
            other => panic!("what is {other:?}?"),
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

/// The API and the stage that the event asks for, where it has an ARN with a method.
fn stage(asked: &Value) -> Option<String> {
    method(asked)?;
    Some(asked["methodArn"].as_str()?.split('/').take(2).collect::<Vec<_>>().join("/"))
}

fn method(asked: &Value) -> Option<&str> {
    asked["methodArn"].as_str()?.split('/').nth(2).filter(|method| !method.is_empty())
}

fn names_a_route(asked: &Value) -> bool {
    match asked["version"].as_str() {
        Some("2.0") => {
            let names = ["/rawPath", "/routeKey", "/requestContext/http/method"];
            // With all that its route stands for: without, nobody can tell what is asked for.
            let (_, path) =
                asked["routeKey"].as_str().unwrap_or_default().split_once(' ').unwrap_or_default();
            let mut segments = path.split('/');
            let has =
                |name: &str| asked["pathParameters"][name.strip_suffix('+').unwrap_or(name)].is_string();
            names.iter().all(|name| asked.pointer(name).is_some_and(Value::is_string))
                && segments.all(|text| {
                    let name = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
                    name.is_none_or(has)
                })
        }
        // What begins with a dollar is no method, but for that of a WebSocket that is opened.
        _ => method(asked).is_some_and(|method| method == "$connect" || !method.starts_with('$')),
    }
}
