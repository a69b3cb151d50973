//! The HTTPS client of the functions, for AWS and for the JWKS of other issuers. It speaks HTTP/1.1 and TLS and trusts
//! the given roots only.
//!
//! The SDK's client adds HTTP/2, proxies and the system's certificates, which is a tenth of a function's package.

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use lambda_http::http::{HeaderMap, Method, Request, Uri};
use rustls::{ClientConfig, RootCertStore};

/// An HTTPS client with its connection pool.
#[derive(Clone, Debug)]
pub struct Https(Client<HttpsConnector<TcpConnector>, SdkBody>);

impl Https {
    /// A client that trusts these roots. It has no timeouts. The sender of a request must bound the whole request with
    /// its connection, because the connector divides its own timeout among the addresses of a host. It allows plain
    /// http for the local stack. The settings restrict other URLs to https.
    pub fn new(roots: RootCertStore) -> Self {
        let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let mut tcp = TcpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Self(Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector))
    }

    /// Sends a request without a body.
    pub fn send(&self, method: Method, url: Uri) -> ResponseFuture {
        self.send_with(method, url, HeaderMap::new())
    }

    /// Sends a request with these headers and without a body.
    pub fn send_with(&self, method: Method, url: Uri, headers: HeaderMap) -> ResponseFuture {
        let mut request = Request::new(SdkBody::empty());
        *request.method_mut() = method;
        *request.uri_mut() = url;
        *request.headers_mut() = headers;
        self.0.request(request)
    }
}

impl HttpConnector for Https {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.0.clone();
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            // An I/O error, which the SDK retries.
            let answer = client.request(request).await.map_err(|error| ConnectorError::io(error.into()))?;
            HttpResponse::try_from(answer.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

impl HttpClient for Https {
    /// The SDK passes timeouts of connecting and reading. The timeout of an attempt, which the SDK enforces, covers
    /// both.
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
