//! What API Gateway says about a request, beside the request itself.

use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequestContext;
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt};

use super::caller::Caller;

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

/// A client's certificate, as API Gateway hands it on from a mutual-TLS domain, checked there.
pub struct ClientCertificate<'a> {
    /// The certificate.
    pub pem: &'a str,
    /// Its subject's distinguished name.
    pub subject: &'a str,
}

/// The certificate that the caller connected with, if the domain asked for one
/// (docs.aws.amazon.com/apigateway/latest/developerguide/http-api-mutual-tls.html).
pub fn client_certificate(request: &Request) -> Option<ClientCertificate<'_>> {
    let certificate = context(request)?.authentication.as_ref()?.client_cert.as_ref()?;
    Some(ClientCertificate {
        pem: certificate.client_cert_pem.as_deref()?,
        subject: certificate.subject_dn.as_deref()?,
    })
}

/// The address that the request came from. API Gateway's own word, not a header.
pub fn source_ip(request: &Request) -> Option<&str> {
    context(request)?.http.source_ip.as_deref()
}

/// The path as it was called, without the query.
pub fn path(request: &Request) -> Option<&str> {
    context(request)?.http.path.as_deref()
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

/// What our authorizer handed on; none if nobody was asked.
pub fn caller(request: &Request) -> Option<Caller> {
    let authorizer = context(request)?.authorizer.as_ref()?;
    serde_json::from_value(authorizer.fields.clone().into_iter().collect()).ok()
}
