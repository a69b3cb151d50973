//! The local API Gateway: an HTTP API with payload format 2.0 in front of the functions.
//!
//! It depends on the template and calls functions by their logical id. It must not depend on what the functions do.

mod answer;
mod authorization;
mod cors;
mod event;
mod routes;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::convert::identity;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::rand;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, Response, StatusCode, request::Parts};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::LengthLimitError;
use sam_template::{Authorizer, Cors, Template};
use serde_json::{Map, Value, json};
use shared::runtime::clock;

use self::answer::{message, to_response};
use self::authorization::{AuthorizerCache, AuthorizerDecision};
pub use self::cors::LOOPBACK_ORIGINS;
use self::event::CallContext;
use self::routes::Routes;
use super::functions::{self, Invoke};

/// API Gateway's limit for the request line and all headers, in bytes.
const MAX_HEAD: usize = 10_240;
/// API Gateway's limit for a body, in bytes.
const MAX_BODY: usize = 10 * 1024 * 1024;

/// The local gateway.
pub struct Gateway {
    routes: Routes,
    authorizers: BTreeMap<String, Authorizer>,
    cors: Option<Cors>,
    functions: BTreeMap<String, Invoke>,
    domain: String,
    decisions: Mutex<AuthorizerCache>,
}

impl Gateway {
    /// A gateway for a template's routes. `functions` has every function by its logical id, and `domain` is
    /// `127.0.0.1:PORT`.
    pub fn new(template: Template, functions: BTreeMap<String, Invoke>, domain: String) -> Self {
        Self {
            routes: Routes::new(template.routes),
            authorizers: template.authorizers,
            cors: template.cors,
            functions,
            domain,
            decisions: Mutex::default(),
        }
    }

    /// The gateway as a router for every path.
    pub fn into_router(self) -> Router {
        Router::new().fallback(handle).with_state(Arc::new(self))
    }

    /// Whether CORS answers a request. A route for `OPTIONS` has precedence.
    fn is_preflight(&self, parts: &Parts) -> bool {
        parts.method == Method::OPTIONS && self.routes.find("OPTIONS", parts.uri.path()).is_none()
    }

    async fn answer(&self, parts: &Parts, body: Body, request_id: &str) -> Response<Body> {
        if head_length(parts) > MAX_HEAD {
            return message(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "Request Header Fields Too Large");
        }
        let Some(found) = self.routes.find(parts.method.as_str(), parts.uri.path()) else {
            return message(StatusCode::NOT_FOUND, "Not Found");
        };
        let body = match to_bytes(body, MAX_BODY).await {
            Ok(body) => body,
            Err(error) => {
                return match error.into_inner().is::<LengthLimitError>() {
                    true => message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large"),
                    false => message(StatusCode::BAD_REQUEST, "Bad Request"),
                };
            }
        };
        let about = CallContext { domain: &self.domain, request_id, now: clock::now() };
        let mut event = event::for_function(parts, &body, &found, &about);
        if let Some(name) = &found.route.authorizer {
            match self.authorize(name, parts, &event, about.now).await {
                Ok(context) => event["requestContext"]["authorizer"] = json!({"lambda": context}),
                Err(refusal) => return refusal,
            }
        }
        self.call(&found.route.function, event, to_response).await.unwrap_or_else(identity)
    }

    /// Calls a function and reads its answer.
    async fn call<T>(
        &self,
        function: &str,
        event: Value,
        read: impl FnOnce(Value) -> Option<T>,
    ) -> Result<T, Response<Body>> {
        let invoke = self.functions.get(function).ok_or_else(internal_server_error)?;
        let answer = invoke(event).await.map_err(|_| internal_server_error())?;
        read(answer).ok_or_else(|| {
            functions::log_failure(function, "the function's answer is invalid for API Gateway");
            internal_server_error()
        })
    }

    /// The authorizer's context, or the answer to a denied caller.
    async fn authorize(
        &self,
        name: &str,
        parts: &Parts,
        event: &Value,
        now: u64,
    ) -> Result<Map<String, Value>, Response<Body>> {
        let authorizer = self.authorizers.get(name).ok_or_else(internal_server_error)?;
        let route_key = event["routeKey"].as_str().unwrap_or_default();
        let identity = authorization::identity(authorizer, &parts.headers, route_key)
            .ok_or_else(|| message(StatusCode::UNAUTHORIZED, "Unauthorized"))?;
        let remembered = self.decisions().get(name, &identity, now);
        let verdict = match remembered {
            Some(verdict) => verdict,
            None => {
                let asked = event::for_authorizer(event, &identity);
                let verdict = self
                    .call(&authorizer.function, asked, |answer| AuthorizerDecision::read(&answer))
                    .await?;
                self.decisions().put((name, identity), verdict.clone(), authorizer.ttl, now);
                verdict
            }
        };
        match verdict {
            AuthorizerDecision::Allow(context) => Ok(context),
            AuthorizerDecision::Deny => Err(message(StatusCode::FORBIDDEN, "Forbidden")),
        }
    }

    fn decisions(&self) -> MutexGuard<'_, AuthorizerCache> {
        self.decisions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn handle(State(gateway): State<Arc<Gateway>>, request: Request) -> Response<Body> {
    let request_id = request_id();
    let (parts, body) = request.into_parts();
    let mut response = match &gateway.cors {
        Some(cors) if gateway.is_preflight(&parts) => cors::preflight(cors, &parts.headers),
        Some(cors) => {
            let mut response = gateway.answer(&parts, body, &request_id).await;
            cors::decorate(cors, &parts.headers, &mut response);
            response
        }
        None => gateway.answer(&parts, body, &request_id).await,
    };
    if let Ok(value) = HeaderValue::try_from(request_id) {
        response.headers_mut().insert("apigw-requestid", value);
    }
    response
}

fn internal_server_error() -> Response<Body> {
    message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
}

/// The length of request line and headers, in bytes.
fn head_length(parts: &Parts) -> usize {
    const LINE: usize = " HTTP/1.1\r\n".len();
    const HEADER: usize = ": \r\n".len();
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let headers: usize =
        parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + HEADER).sum();
    parts.method.as_str().len() + " ".len() + target + LINE + headers
}

/// Eleven random bytes, as in API Gateway's request ids.
fn request_id() -> String {
    let mut bytes = [0; 11];
    // The id need not be unique, so a failing random number generator is no error.
    rand::fill(&mut bytes).unwrap_or_default();
    STANDARD.encode(bytes)
}
