//! A request to an HTTP function, its API Gateway context, and `now`.

use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequestContext;
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt};

use crate::oauth::authorizer_context::AuthorizerContext;

/// A request with its time. The context is API Gateway's and not from a header.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The request.
    pub request: &'a Request,
    /// Seconds since 1970.
    pub now: u64,
}

/// A client's certificate, as API Gateway passes it on from a mutual-TLS domain, which has verified it.
pub struct ClientCertificate<'a> {
    /// The certificate.
    pub pem: &'a str,
    /// Distinguished name of its subject.
    pub subject: &'a str,
}

impl<'a> Call<'a> {
    /// A call that is answered at `now`.
    pub fn new(request: &'a Request, now: u64) -> Self {
        Self { request, now }
    }

    fn context(self) -> Option<&'a ApiGatewayV2httpRequestContext> {
        match self.request.request_context_ref()? {
            RequestContext::ApiGatewayV2(context) => Some(context),
            _ => None,
        }
    }

    /// The domain that the API received the request on.
    pub fn domain(self) -> Option<&'a str> {
        self.context()?.domain_name.as_deref()
    }

    /// The certificate that the caller connected with, if the domain uses mutual TLS
    /// (docs.aws.amazon.com/apigateway/latest/developerguide/http-api-mutual-tls.html).
    pub fn client_certificate(self) -> Option<ClientCertificate<'a>> {
        let certificate = self.context()?.authentication.as_ref()?.client_cert.as_ref()?;
        Some(ClientCertificate {
            pem: certificate.client_cert_pem.as_deref()?,
            subject: certificate.subject_dn.as_deref()?,
        })
    }

    /// The address that the request came from.
    pub fn source_ip(self) -> Option<&'a str> {
        self.context()?.http.source_ip.as_deref()
    }

    /// The path as it was called, without the query.
    pub fn path(self) -> Option<&'a str> {
        self.context()?.http.path.as_deref()
    }

    /// API Gateway's id of the request.
    pub fn request_id(self) -> Option<&'a str> {
        self.context()?.request_id.as_deref()
    }

    /// The path of the route that API Gateway chose, such as `/oauth2/token`.
    pub fn route_path(self) -> &'a str {
        let route_key = self.context().and_then(|context| context.route_key.as_deref());
        route_key.and_then(|key| key.split_once(' ')).map_or("", |(_, path)| path)
    }

    /// The authorizer context. None for a route without an authorizer.
    pub fn authorizer_context(self) -> Option<AuthorizerContext> {
        let authorizer = self.context()?.authorizer.as_ref()?;
        serde_json::from_value(authorizer.fields.clone().into_iter().collect()).ok()
    }
}
