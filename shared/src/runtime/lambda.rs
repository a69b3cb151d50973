//! The Lambda adaptor: from an event to an HTTP request, and from the response to Lambda's format.
//!
//! `lambda_http` converts the events, but panics if the URI or the base64 is invalid. This module rejects such events
//! first, so that no input can crash a function.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lambda_http::aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use lambda_http::http::uri::PathAndQuery;
use lambda_http::http::{HeaderValue, Method, header};
use lambda_http::lambda_runtime::Runtime;
use lambda_http::request::LambdaRequest;
use lambda_http::{Body, Error, LambdaEvent, Request, Response, service_fn};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::oauth::error::OAuthError;
use crate::runtime::settings::{ConfigError, Settings};
use crate::runtime::{clock, telemetry};

/// Maximum length of path and query, in bytes. API Gateway accepts 10,240 for the request line and all headers
/// together.
const MAX_URI: usize = 10_240;

/// Maximum length of an event's headers as JSON, in bytes. API Gateway accepts 10,240 bytes, and JSON may write one of
/// them as six. Invariant: with seven bytes for the shortest header, there are fewer headers than a `HeaderMap` can
/// hold.
const MAX_HEADERS: usize = 64 * 1024;

/// The body of every HTTP function's `main`: builds its dependencies from the environment, warms them up, and answers
/// requests of the Lambda Runtime API until the environment is shut down.
///
/// # Errors
/// A setting that is missing or invalid. Lambda's log has the message.
pub fn serve<D>(
    function: &'static str,
    from_settings: impl FnOnce(&Settings) -> Result<D, ConfigError>,
    warm_up: impl AsyncFnOnce(&D, u64),
    handle: impl AsyncFn(&D, Request, u64) -> Response<Body>,
) -> Result<(), Error> {
    telemetry::install(function);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let deps = &from_settings(&Settings::from_process())?;
        warm_up(deps, clock::now()).await;
        let handle = &|request| handle(deps, request, clock::now());
        let service =
            async |event: LambdaEvent<HttpEvent>| Ok::<_, Error>(answer(event.payload, handle).await);
        // Not `lambda_runtime::run`, which wraps every call in spans that no subscriber records.
        Runtime::new(service_fn(service)).run().await
    })
}

/// An event of any type. The runtime's own deserializer copies every member's name for its error messages. This one
/// does not, and its error contains nothing of the event, which may contain a secret.
pub struct Event<T>(pub T);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Event<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer);
        text.ok().and_then(|text| read(&text)).map(Self).ok_or_else(unexpected_event)
    }
}

fn read<T: DeserializeOwned>(text: &RawValue) -> Option<T> {
    serde_json::from_str(text.get()).ok()
}

fn unexpected_event<E: serde::de::Error>() -> E {
    E::custom("unexpected Lambda event type")
}

/// An event of an HTTP API, payload format 2.0, or none if its headers are too long. `LambdaRequest` would have to find
/// out the format first and parse the event twice.
pub struct HttpEvent(Option<ApiGatewayV2httpRequest>);

impl<'de> Deserialize<'de> for HttpEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer).map_err(|_| unexpected_event())?;
        if has_long_headers(text.get()) {
            return Ok(Self(None));
        }
        read(&text).map(|event| Self(Some(event))).ok_or_else(unexpected_event)
    }
}

/// Whether the headers of an event are longer than API Gateway allows, or can't be found. A `HeaderMap` panics with
/// more than 24,576 headers.
fn has_long_headers(event: &str) -> bool {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow)]
        headers: Option<&'a RawValue>,
    }
    let fits = |head: Head<'_>| head.headers.is_none_or(|headers| headers.get().len() <= MAX_HEADERS);
    // Only events that are longer than any valid header list are parsed twice.
    event.len() > MAX_HEADERS && !(event.starts_with('{') && serde_json::from_str(event).is_ok_and(fits))
}

/// Handles one event.
pub async fn answer<H, F>(event: HttpEvent, handle: &H) -> ApiGatewayV2httpResponse
where
    H: Fn(Request) -> F,
    F: Future<Output = Response<Body>>,
{
    let request = event.0.and_then(sanitize);
    // RFC 9110 §9.3.2: the response of GET without its body.
    let is_head = request.as_ref().is_some_and(|request| request.request_context.http.method == Method::HEAD);
    let answer = match request {
        // Boxed, because the SDK's futures exceed the compiler's nesting limit.
        Some(request) => Box::pin(handle(LambdaRequest::ApiGatewayV2(request).into())).await,
        None => OAuthError::invalid_request("malformed request").into_response(),
    };
    let (parts, body) = answer.into_parts();
    let mut answer = ApiGatewayV2httpResponse::default();
    answer.status_code = parts.status.as_u16().into();
    answer.headers = parts.headers;
    let body = if is_head { Body::Empty } else { body };
    answer.is_base64_encoded = matches!(body, Body::Binary(_));
    answer.body = Some(body);
    answer
}

/// Rejects what `lambda_http` can't parse. The host is constant, because no code reads it.
fn sanitize(mut request: ApiGatewayV2httpRequest) -> Option<ApiGatewayV2httpRequest> {
    request.headers.insert(header::HOST, HeaderValue::from_static("localhost"));
    request.headers.remove("x-forwarded-proto");
    request.request_context.stage = None;
    let path = request.raw_path.as_deref().unwrap_or("/");
    let query = request.raw_query_string.as_deref().unwrap_or_default();
    let uri_reads = path.starts_with('/')
        && path.len() + query.len() <= MAX_URI
        && PathAndQuery::try_from(format!("/?{query}")).is_ok();
    let body = request.body.as_deref().unwrap_or_default();
    let body_reads = !request.is_base64_encoded || STANDARD.decode(body).is_ok();
    (uri_reads && body_reads).then_some(request)
}
