//! From an HTTP request to API Gateway's event in payload format 2.0
//! (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>).

use axum::body::Bytes;
use axum::http::header::{CONTENT_TYPE, COOKIE, USER_AGENT};
use axum::http::{HeaderMap, request::Parts};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sam_template::{ACCOUNT_ID, REGION};
use serde_json::{Map, Value, json};

use super::routes::{Match, decode};

/// The id of the local API.
const API_ID: &str = "local";
/// The gateway listens on this address only.
const SOURCE_IP: &str = "127.0.0.1";

/// The request's context.
pub struct CallContext<'a> {
    /// `127.0.0.1:PORT`.
    pub domain: &'a str,
    /// The request id, which is in the response too.
    pub request_id: &'a str,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub now: u64,
}

/// The event for the function behind a route.
pub fn for_function(parts: &Parts, body: &Bytes, found: &Match<'_>, about: &CallContext<'_>) -> Value {
    let path = decode(parts.uri.path());
    let route_key = found.route.key();
    let mut event = json!({
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": path,
        "rawQueryString": parts.uri.query().unwrap_or_default(),
        "headers": headers(&parts.headers, about.domain),
        "requestContext": {
            "accountId": ACCOUNT_ID,
            "apiId": API_ID,
            "domainName": about.domain,
            "domainPrefix": API_ID,
            "http": {
                "method": parts.method.as_str(),
                "path": path,
                "protocol": format!("{:?}", parts.version),
                "sourceIp": SOURCE_IP,
                "userAgent": text(&parts.headers, USER_AGENT.as_str()).unwrap_or_default(),
            },
            "requestId": about.request_id,
            "routeKey": route_key,
            "stage": "$default",
            "time": common_log_time(about.now),
            "timeEpoch": about.now.saturating_mul(1000),
        },
        "isBase64Encoded": false,
    });
    // API Gateway omits empty parts.
    let cookies = cookies(&parts.headers);
    if !cookies.is_empty() {
        event["cookies"] = Value::from(cookies);
    }
    let query = query_parameters(parts.uri.query().unwrap_or_default());
    if !query.is_empty() {
        event["queryStringParameters"] = Value::Object(query);
    }
    if !found.path_parameters.is_empty() {
        event["pathParameters"] = json!(found.path_parameters);
    }
    if !body.is_empty() {
        match str::from_utf8(body).ok().filter(|_| is_text(&parts.headers)) {
            Some(text) => event["body"] = Value::from(text),
            None => {
                event["body"] = Value::from(STANDARD.encode(body));
                event["isBase64Encoded"] = Value::from(true);
            }
        }
    }
    event
}

/// The event for an authorizer, which is the function's event without the body
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html>).
pub fn for_authorizer(event: &Value, identity: &[String]) -> Value {
    let mut event = event.clone();
    let http = &event["requestContext"]["http"];
    let method = http["method"].as_str().unwrap_or_default();
    let path = http["path"].as_str().unwrap_or_default();
    let arn = format!("arn:aws:execute-api:{REGION}:{ACCOUNT_ID}:{API_ID}/$default/{method}{path}");
    if let Some(event) = event.as_object_mut() {
        event.remove("body");
        event.remove("isBase64Encoded");
        event.insert("type".to_owned(), Value::from("REQUEST"));
        event.insert("routeArn".to_owned(), Value::from(arn));
        let identity = (!identity.is_empty()).then_some(identity);
        event.insert("identitySource".to_owned(), json!(identity));
    }
    event
}

/// A header's values joined by commas, as API Gateway does. Bytes that are not UTF-8 become U+FFFD.
pub fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let values: Vec<_> =
        headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// The headers without the cookies, with those that API Gateway adds.
fn headers(sent: &HeaderMap, domain: &str) -> Map<String, Value> {
    let mut headers: Map<_, _> = sent
        .keys()
        .filter(|name| *name != COOKIE)
        .filter_map(|name| Some((name.as_str().to_owned(), Value::from(text(sent, name.as_str())?))))
        .collect();
    let forwarded_for = match text(sent, "x-forwarded-for") {
        Some(before) => format!("{before}, {SOURCE_IP}"),
        None => SOURCE_IP.to_owned(),
    };
    headers.insert("x-forwarded-for".to_owned(), Value::from(forwarded_for));
    headers.insert("x-forwarded-proto".to_owned(), Value::from("http"));
    if let Some((_, port)) = domain.split_once(':') {
        headers.insert("x-forwarded-port".to_owned(), Value::from(port));
    }
    headers
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|value| {
            let line = String::from_utf8_lossy(value.as_bytes()).into_owned();
            line.split(';').map(|cookie| cookie.trim().to_owned()).collect::<Vec<_>>()
        })
        .filter(|cookie| !cookie.is_empty())
        .collect()
}

fn query_parameters(query: &str) -> Map<String, Value> {
    let mut parameters = Map::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let joined = match parameters.get(name.as_ref()).and_then(Value::as_str) {
            Some(before) => format!("{before},{value}"),
            None => value.into_owned(),
        };
        parameters.insert(name.into_owned(), Value::from(joined));
    }
    parameters
}

/// Whether API Gateway passes the body as text. Any other body, a form included, is passed in base64.
fn is_text(headers: &HeaderMap) -> bool {
    let content_type = text(headers, CONTENT_TYPE.as_str()).unwrap_or_default().to_ascii_lowercase();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.starts_with("text/")
        || ["application/json", "application/xml", "application/javascript"].contains(&essence)
}

/// `12/Mar/2020:19:03:58 +0000`. Empty for a time out of the calendar's range.
fn common_log_time(now: u64) -> String {
    i64::try_from(now)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map(|time| time.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use axum::http::Request;
    use sam_template::Route;

    fn event(request: Request<&'static [u8]>) -> Value {
        let route = Route {
            method: "POST".to_owned(),
            path: "/my/{id}".to_owned(),
            function: "F".to_owned(),
            authorizer: None,
        };
        let path_parameters = BTreeMap::from([("id".to_owned(), "path".to_owned())]);
        let about = CallContext { domain: "127.0.0.1:3000", request_id: "id=", now: 1_583_348_638 };
        let (parts, body) = request.into_parts();
        for_function(&parts, &Bytes::from_static(body), &Match { route: &route, path_parameters }, &about)
    }

    /// AWS's example of payload format 2.0, without the parts that the local stack lacks.
    #[test]
    fn event_equals_awss_example() {
        let request = Request::post("/my/p%61th?parameter1=value1&parameter1=value2&parameter2=a%20b")
            .header("Header1", "value1")
            .header("header2", "value1")
            .header("HEADER2", "value2")
            .header("cookie", "cookie1=a; cookie2=b")
            .header("cookie", "cookie3=c")
            .header("user-agent", "agent")
            .header("content-type", "application/json; charset=utf-8")
            .body(b"{\"a\":\"\xc3\xa9\"}".as_slice())
            .unwrap();
        let expected = json!({
            "version": "2.0",
            "routeKey": "POST /my/{id}",
            "rawPath": "/my/path",
            "rawQueryString": "parameter1=value1&parameter1=value2&parameter2=a%20b",
            "cookies": ["cookie1=a", "cookie2=b", "cookie3=c"],
            "headers": {
                "header1": "value1",
                "header2": "value1,value2",
                "user-agent": "agent",
                "content-type": "application/json; charset=utf-8",
                "x-forwarded-for": "127.0.0.1",
                "x-forwarded-port": "3000",
                "x-forwarded-proto": "http",
            },
            "queryStringParameters": {"parameter1": "value1,value2", "parameter2": "a b"},
            "requestContext": {
                "accountId": "123456789012",
                "apiId": "local",
                "domainName": "127.0.0.1:3000",
                "domainPrefix": "local",
                "http": {
                    "method": "POST",
                    "path": "/my/path",
                    "protocol": "HTTP/1.1",
                    "sourceIp": "127.0.0.1",
                    "userAgent": "agent",
                },
                "requestId": "id=",
                "routeKey": "POST /my/{id}",
                "stage": "$default",
                "time": "04/Mar/2020:19:03:58 +0000",
                "timeEpoch": 1_583_348_638_000_u64,
            },
            "body": "{\"a\":\"é\"}",
            "pathParameters": {"id": "path"},
            "isBase64Encoded": false,
        });
        assert_eq!(event(request), expected);
    }

    #[test]
    fn form_and_binary_bodies_are_in_base64() {
        for (content_type, body, text) in [
            ("application/x-www-form-urlencoded", b"a=b".as_slice(), None),
            ("application/octet-stream", b"a=b", None),
            ("TEXT/plain", b"a=b", Some("a=b")),
            ("application/json", b"\xff", None),
        ] {
            let request = Request::post("/").header("content-type", content_type).body(body).unwrap();
            let event = event(request);
            assert_eq!(event["isBase64Encoded"], text.is_none(), "{content_type}");
            let encoded = STANDARD.encode(body);
            assert_eq!(event["body"], text.unwrap_or(&encoded), "{content_type}");
        }
    }

    #[test]
    fn event_has_no_empty_parts() {
        let event = event(Request::post("/").body(b"".as_slice()).unwrap());
        assert_eq!(event.get("body"), None);
        assert_eq!(event.get("cookies"), None);
        assert_eq!(event.get("queryStringParameters"), None);
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_replaced() {
        let request = Request::post("/%ff?%ff=%ff&&==")
            .header("x", axum::http::HeaderValue::from_bytes(b"\xff\xfe").unwrap())
            .header("cookie", axum::http::HeaderValue::from_bytes(b"\xff").unwrap())
            .body(b"".as_slice())
            .unwrap();
        assert_eq!(event(request)["headers"]["x"], "\u{fffd}\u{fffd}");
    }

    #[test]
    fn authorizer_gets_the_request_without_its_body() {
        let event = event(Request::post("/my/path").body(b"body".as_slice()).unwrap());
        let asked = for_authorizer(&event, &["secret".to_owned(), "POST /my/{id}".to_owned()]);
        assert_eq!(asked["type"], "REQUEST");
        assert_eq!(asked["version"], "2.0");
        assert_eq!(
            asked["routeArn"],
            "arn:aws:execute-api:us-east-1:123456789012:local/$default/POST/my/path"
        );
        assert_eq!(asked["identitySource"], json!(["secret", "POST /my/{id}"]));
        assert_eq!(asked["requestContext"], event["requestContext"]);
        assert_eq!((asked.get("body"), asked.get("isBase64Encoded")), (None, None));
        assert_eq!(for_authorizer(&event, &[])["identitySource"], Value::Null);
    }
}
