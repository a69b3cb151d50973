//! What API Gateway says about a request, beside the request itself.

use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequestContext;
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt};
use serde_json::{Map, Value};

fn context(request: &Request) -> Option<&ApiGatewayV2httpRequestContext> {
    match request.request_context_ref()? {
        RequestContext::ApiGatewayV2(context) => Some(context),
        _ => None,
    }
}

/// The domain that the API received the request on. API Gateway's own word, not the `Host` header.
pub fn domain(request: &Request) -> Option<&str> {
    context(request)?.domain_name.as_deref()
}

/// API Gateway's id of the request.
pub fn request_id(request: &Request) -> Option<&str> {
    context(request)?.request_id.as_deref()
}

/// The path of the route that matched, such as `/oauth2/token`.
pub fn route_path(request: &Request) -> &str {
    let route_key = context(request).and_then(|context| context.route_key.as_deref());
    route_key.and_then(|key| key.split_once(' ')).map_or("", |(_, path)| path)
}

/// What our authorizer handed on.
pub fn caller(request: &Request) -> Map<String, Value> {
    let authorizer = context(request).and_then(|context| context.authorizer.as_ref());
    authorizer.map(|authorizer| authorizer.fields.clone().into_iter().collect()).unwrap_or_default()
}
