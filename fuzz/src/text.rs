//! Helpers that parse an input.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lambda_http::http::{HeaderValue, Method, header};
use lambda_http::{Body, Request};
use serde_json::Value;

/// The first line, and the rest.
pub fn first_line(data: &[u8]) -> (&[u8], Option<&[u8]>) {
    match data.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&data[..end], data.get(end + 1..)),
        None => (data, None),
    }
}

/// A POST with the first line as content type and the rest as body. None if the line can't be a header value.
pub fn post(data: &[u8]) -> Option<Request> {
    let (content_type, body) = first_line(data);
    let mut request = Request::new(Body::from(body.unwrap_or_default()));
    *request.method_mut() = Method::POST;
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_bytes(content_type).ok()?);
    Some(request)
}

/// Decodes `application/x-www-form-urlencoded`, independently of the code under test.
pub fn form_decoded(text: &[u8]) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let escaped = match after {
            [high, low, ..] if *first == b'%' => digit(high).zip(digit(low)),
            _ => None,
        };
        (rest, _) = match escaped {
            Some((high, low)) => (&after[2..], decoded.push(high << 4 | low)),
            None => (after, decoded.push(if *first == b'+' { b' ' } else { *first })),
        };
    }
    decoded
}

/// Whether the predicate is true for any string in a JSON value.
pub fn any_string(value: &Value, predicate: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => predicate(text),
        Value::Array(items) => items.iter().any(|item| any_string(item, predicate)),
        Value::Object(members) => members.values().any(|value| any_string(value, predicate)),
        _ => false,
    }
}

/// The decodings of a text that may reveal a secret: plain, unescaped, and base64.
pub fn readings(text: &str) -> Vec<String> {
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let words = text.split([' ', ',']).filter_map(|word| STANDARD.decode(word).ok());
    let mut readings: Vec<String> = words.map(|bytes| lossy(&bytes)).collect();
    readings.push(text.to_owned());
    if let Ok(json) = serde_json::from_str::<Value>(text) {
        readings.push(json.to_string());
    }
    // A decoded text may be form-encoded as well.
    let decoded: Vec<_> = readings.iter().map(|text| lossy(&form_decoded(text.as_bytes()))).collect();
    readings.extend(decoded);
    readings
}

/// Replaces every `${NAME}` that has a value.
pub fn filled<'a>(data: &'a [u8], values: &[(&'static str, String)]) -> Cow<'a, [u8]> {
    let mut filled = Vec::new();
    let mut rest = data;
    while let Some(start) = rest.windows(2).position(|pair| pair == b"${") {
        let value = rest[start..].iter().position(|byte| *byte == b'}').and_then(|length| {
            let name = &rest[start + 2..start + length];
            let (_, value) = values.iter().find(|(known, _)| known.as_bytes() == name)?;
            Some((value, start + length + 1))
        });
        let (value, end) =
            value.map_or((&rest[start..start + 2], start + 2), |(value, end)| (value.as_bytes(), end));
        filled.extend_from_slice(&rest[..start]);
        filled.extend_from_slice(value);
        rest = &rest[end..];
    }
    if filled.is_empty() {
        return Cow::Borrowed(rest);
    }
    filled.extend_from_slice(rest);
    Cow::Owned(filled)
}
