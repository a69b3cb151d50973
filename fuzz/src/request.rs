//! Requests to the endpoints that issue, revoke and introspect tokens, through the functions' handlers.
//!
//! An input is an event of API Gateway, or a request as text: a line with method and URL, a line for each header, an
//! empty line, and the body.

use lambda_http::{Body, Request, Response};
use serde_json::{Value, json};
use shared::runtime::lambda::{self, HttpEvent};
use test_support::events::http_event;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::text::{first_line, readings};
use crate::world::{self, World};

/// The error codes that a client may get.
const CODES: [&str; 9] = [
    "invalid_client",
    "invalid_dpop_proof",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "invalid_target",
    "temporarily_unavailable",
    "unauthorized_client",
    "unsupported_grant_type",
];

/// The target.
pub fn run(data: &[u8]) {
    world::with(|world| {
        let text = world.filled(data);
        let event = match text.first() {
            Some(b'{') => serde_json::from_slice(&text).ok(),
            _ => event_of(&text),
        };
        let Some(event) = event else { return };
        // An event that the Lambda adaptor can't read never reaches the handler.
        let Ok(read) = serde_json::from_str::<HttpEvent>(&event.to_string()) else { return };
        check(world, &event, &ask(world, route(&event), read));
    });
}

/// The path of the route, which decides the function.
fn route(event: &Value) -> &str {
    let key = event.pointer("/requestContext/routeKey").and_then(Value::as_str);
    key.and_then(|key| key.split_once(' ')).map_or("", |(_, path)| path)
}

fn ask(world: &World, route: &str, event: HttpEvent) -> Value {
    let now = world.now;
    match route {
        "/google" => answer(world, event, |request| google::handle(&world.google, request, now)),
        "/oauth2/introspect" => {
            answer(world, event, |request| introspect::handle(&world.introspect, request, now))
        }
        "/oauth2/revoke" => answer(world, event, |request| revoke::handle(&world.revoke, request, now)),
        "/oauth2/token" | "/oauth2/authorize" => {
            answer(world, event, |request| token::handle(&world.token, request, now))
        }
        _ => answer(world, event, |request| login::handle(&world.login, request, now)),
    }
}

fn answer<F>(world: &World, event: HttpEvent, handler: impl Fn(Request) -> F) -> Value
where
    F: Future<Output = Response<Body>>,
{
    serde_json::to_value(world.runtime.block_on(lambda::answer(event, &handler))).expect("JSON")
}

fn check(world: &World, event: &Value, answer: &Value) {
    let status = answer["statusCode"].as_u64().expect("a status");
    assert!(status == 200 || (400..500).contains(&status), "{status}: {event}");
    let body = answer["body"].as_str().expect("a body");
    let body: Value = serde_json::from_str(body).expect("a body of JSON");
    assert!(body.is_object());
    if status == 200 {
        // A granted request contains a secret.
        let texts = || readings(&event.to_string()).into_iter().chain(parts(event));
        let grants = body.get("access_token").is_some() || body["active"] == true;
        assert!(
            !grants || texts().any(|text| world.holds_secret(&text)),
            "granted without a credential: {event}"
        );
    } else {
        assert!(body["error"].as_str().is_some_and(|code| CODES.contains(&code)), "{body}");
        let description = body["error_description"].as_str().expect("a description");
        assert!(description.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'));
    }
}

/// Every decoding of the body and of the headers.
fn parts(event: &Value) -> Vec<String> {
    let body = event["body"].as_str().unwrap_or_default();
    let decoded = STANDARD.decode(body).unwrap_or_default();
    let headers = event["headers"].as_object().into_iter().flatten().filter_map(|(_, value)| value.as_str());
    let texts =
        headers.map(str::to_owned).chain([body.to_owned(), String::from_utf8_lossy(&decoded).into_owned()]);
    texts.flat_map(|text| readings(&text)).collect()
}

/// The event of a request that is written as text.
fn event_of(text: &[u8]) -> Option<Value> {
    let (line, mut rest) = first_line(text);
    let line = String::from_utf8_lossy(line);
    let (method, url) = line.split_once(' ')?;
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let mut headers = serde_json::Map::new();
    let mut cookies = Vec::new();
    while let Some(lines) = rest {
        let (line, after) = first_line(lines);
        rest = after;
        if line.is_empty() {
            break;
        }
        let line = String::from_utf8_lossy(line);
        let (name, value) = line.split_once(": ")?;
        if name.eq_ignore_ascii_case("cookie") {
            cookies.push(value.to_owned());
            continue;
        }
        // API Gateway joins duplicate headers.
        let joined = match headers.get(name).and_then(Value::as_str) {
            Some(before) => format!("{before},{value}"),
            None => value.to_owned(),
        };
        headers.insert(name.to_owned(), joined.into());
    }
    let mut event = http_event(method, path, headers.into(), None);
    event["rawQueryString"] = query.into();
    event["cookies"] = json!(cookies);
    event["body"] = STANDARD.encode(rest.unwrap_or_default()).into();
    event["isBase64Encoded"] = true.into();
    Some(event)
}
