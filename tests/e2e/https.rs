//! TLS of outgoing requests, to AWS and to other issuers.
//!
//! The certificate of `localhost` in `tls/` is valid until 2126. The private key of its root was deleted.

use std::sync::Arc;

use lambda_http::http::{Method, Uri};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use shared::runtime::https::Https;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const ROOT: &[u8] = include_bytes!("tls/root.pem");
const CERTIFICATE: &[u8] = include_bytes!("tls/localhost.pem");
const KEY: &[u8] = include_bytes!("tls/localhost.key");

/// Starts a server for `localhost` that responds with 200, and returns its port.
async fn server() -> u16 {
    let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that rejects the certificate hangs up.
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            });
        }
    });
    port
}

fn roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ROOT).unwrap()).unwrap();
    roots
}

/// The status of the response, or the error.
async fn status(client: &Https, host: &str, port: u16) -> Result<u16, String> {
    let url: Uri = format!("https://{host}:{port}/").parse().unwrap();
    let answer = client.send(Method::GET, url).await;
    answer
        .map(|answer| answer.status().as_u16())
        .map_err(|error| shared::runtime::cache::display_chain(&error))
}

#[tokio::test]
async fn untrusted_certificates_are_rejected() {
    let port = server().await;
    assert_eq!(status(&Https::new(roots()), "localhost", port).await, Ok(200));
    for client in [Https::with_public_roots(), Https::new(RootCertStore::empty())] {
        let error = status(&client, "localhost", port).await.unwrap_err();
        assert!(error.contains("UnknownIssuer"), "{error}");
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_rejected() {
    let port = server().await;
    let error = status(&Https::new(roots()), "127.0.0.1", port).await.unwrap_err();
    assert!(error.contains("not valid for name"), "{error}");
}
