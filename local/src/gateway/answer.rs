//! From a function's answer to an HTTP response: payload format 2.0
//! (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>).

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, SET_COOKIE};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

/// A function's answer. There is no `multiValueHeaders` in this format, and API Gateway ignores it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GatewayAnswer {
    status_code: u16,
    #[serde(default)]
    headers: BTreeMap<String, HeaderText>,
    #[serde(default)]
    cookies: Vec<String>,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// A header's value. API Gateway accepts numbers and booleans too.
#[derive(Deserialize)]
#[serde(untagged)]
enum HeaderText {
    Text(String),
    Number(serde_json::Number),
    Truth(bool),
}

/// The response for a function's answer. `None` if the answer is invalid.
pub fn to_response(answer: Value) -> Option<Response<Body>> {
    let answer: GatewayAnswer = serde_json::from_value(answer).ok()?;
    let status = StatusCode::from_u16(answer.status_code).ok().filter(|status| status.as_u16() >= 200)?;
    let body = answer.body.unwrap_or_default();
    let body = if answer.is_base64_encoded { STANDARD.decode(body).ok()? } else { body.into_bytes() };
    let is_empty = body.is_empty();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in answer.headers {
        let value = match value {
            HeaderText::Text(text) => text,
            HeaderText::Number(number) => number.to_string(),
            HeaderText::Truth(truth) => truth.to_string(),
        };
        headers.insert(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
    }
    for cookie in answer.cookies {
        headers.append(SET_COOKIE, HeaderValue::try_from(cookie).ok()?);
    }
    if !is_empty && !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain;charset=UTF-8"));
    }
    Some(response)
}

/// The response of API Gateway itself.
pub fn message(status: StatusCode, message: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(json!({"message": message}).to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_becomes_a_response() {
        let answer = json!({
            "statusCode": 201,
            "headers": {"X-One": "1", "x-two": 2},
            "cookies": ["a=b; Path=/", "c=d"],
            "multiValueHeaders": {"x-three": ["3"]},
            "body": "aGk=",
            "isBase64Encoded": true,
        });
        let response = to_response(answer).unwrap();
        assert_eq!(response.status(), 201);
        assert_eq!(response.headers()["x-one"], "1");
        assert_eq!(response.headers()["x-two"], "2");
        assert_eq!(response.headers().get_all(SET_COOKIE).iter().count(), 2);
        assert_eq!(response.headers().get("x-three"), None);
        assert_eq!(response.headers()[CONTENT_TYPE], "text/plain;charset=UTF-8");
    }

    #[test]
    fn invalid_answer_has_no_response() {
        for answer in [
            json!(null),
            json!("text"),
            json!({}),
            json!({"statusCode": 42}),
            json!({"statusCode": 101}),
            json!({"statusCode": "200"}),
            json!({"statusCode": 200, "headers": {"a b": "c"}}),
            json!({"statusCode": 200, "headers": {"a": "b\nc"}}),
            json!({"statusCode": 200, "cookies": ["\u{0}"]}),
            json!({"statusCode": 200, "body": "?", "isBase64Encoded": true}),
        ] {
            assert!(to_response(answer.clone()).is_none(), "{answer}");
        }
    }
}
