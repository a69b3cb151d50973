//! A proxy in front of a store that counts what goes through it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::Response;
use reqwest::Client as Http;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A running proxy. Dropped, it stops.
pub struct CountingProxy {
    pub url: String,
    count: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Way {
    target: String,
    http: Http,
    count: Arc<AtomicUsize>,
}

impl CountingProxy {
    /// A proxy in front of `target`, a URL without a path.
    pub async fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let count = Arc::new(AtomicUsize::new(0));
        let http = Http::builder().no_proxy().build().expect("an HTTP client");
        let way = Way { target: target.to_owned(), http, count: count.clone() };
        let router = Router::new().fallback(pass).with_state(way);
        let task = tokio::spawn(async { axum::serve(listener, router).await.expect("the proxy runs") });
        Self { url, count, task }
    }

    /// How many requests went through.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

impl Drop for CountingProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(State(way): State<Way>, request: Request) -> Response<Body> {
    way.count.fetch_add(1, Ordering::SeqCst);
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("a request's body");
    let sent = way.http.request(parts.method, format!("{}{}", way.target, parts.uri));
    let answer = sent.headers(parts.headers).body(body).send().await.expect("the store answers");
    let mut response = Response::builder().status(answer.status());
    *response.headers_mut().expect("headers") = answer.headers().clone();
    response.body(Body::from(answer.bytes().await.expect("an answer's body"))).expect("a response")
}
