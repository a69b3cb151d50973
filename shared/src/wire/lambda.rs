//! From Lambda's event to an HTTP request and back, for every function that answers over HTTP.
//!
//! `lambda_http` does the translation, but panics on events whose URI or base64 it can't read. What
//! it would trip over is refused here first, so that no input can take a function down.

use std::future::{Future, ready};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use lambda_http::http::uri::PathAndQuery;
use lambda_http::http::{HeaderValue, header};
use lambda_http::lambda_runtime::Runtime;
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Body, Error, LambdaEvent, Request, Response, Service, service_fn};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::oauth::OAuthError;

/// The longest path and query that are read, in bytes. API Gateway takes 10,240 for the request
/// line and all headers together.
const MAX_URI: usize = 10_240;

/// Serves requests from the Lambda Runtime API until the environment is shut down.
pub async fn run<H, F>(handler: H) -> Result<(), Error>
where
    H: Fn(Request) -> F + Sync,
    F: Future<Output = Response<Body>> + Send,
{
    let handler = &handler;
    // Not `lambda_runtime::run`, which wraps every call in spans that nobody here records.
    Runtime::new(service_fn(move |event| serve(event, handler))).run().await
}

/// An event of an HTTP API, payload format 2.0. It is read as what it is: `LambdaRequest` would have to find
/// out first, and reads it twice.
pub struct HttpEvent(ApiGatewayV2httpRequest);

impl<'de> Deserialize<'de> for HttpEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // What is no such event is not repeated in the error, which goes into the log: it may hold a secret.
        let event = ApiGatewayV2httpRequest::deserialize(deserializer);
        event.map(Self).map_err(|_| D::Error::custom("the event is not an HTTP API request"))
    }
}

/// Answers one event.
pub async fn serve<H, F>(
    event: LambdaEvent<HttpEvent>,
    handler: &H,
) -> Result<impl Serialize + use<H, F>, Error>
where
    H: Fn(Request) -> F + Sync,
    F: Future<Output = Response<Body>> + Send,
{
    match admit(event.payload.0) {
        Some(request) => {
            let event = LambdaEvent::new(LambdaRequest::ApiGatewayV2(request), event.context);
            let answer = async |request| Ok::<_, Error>(handler(request).await);
            Adapter::from(service_fn(answer)).call(event).await
        }
        None => {
            let blank = LambdaRequest::ApiGatewayV2(ApiGatewayV2httpRequest::default());
            let refusal = OAuthError::invalid_request("the request cannot be read").into_response();
            let refuse = |_| ready(Ok::<_, Error>(refusal.clone()));
            Adapter::from(service_fn(refuse)).call(LambdaEvent::new(blank, event.context)).await
        }
    }
}

/// Lets through what `lambda_http` can read. The host is a constant: nothing here looks at it.
fn admit(mut request: ApiGatewayV2httpRequest) -> Option<ApiGatewayV2httpRequest> {
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
