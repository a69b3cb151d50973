//! A proxy in front of a store that counts what goes through it, and can cut a request off.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::Response;
use reqwest::Client as Http;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// A running proxy. Dropped, it stops.
pub struct Proxy {
    pub url: String,
    state: Arc<ProxyState>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct ProxyState {
    count: AtomicUsize,
    cut: Mutex<Option<Cut>>,
    refuses: AtomicBool,
    was_cut: Notify,
}

/// Where a request is cut off: nobody ever answers it.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// How many requests go through before it.
    pub after: usize,
    /// Whether the store still gets it.
    pub applied: bool,
}

#[derive(Clone)]
struct Way {
    target: String,
    http: Http,
    state: Arc<ProxyState>,
}

impl Proxy {
    /// A proxy in front of `target`, a URL without a path.
    pub async fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(ProxyState::default());
        let http = Http::builder().no_proxy().build().expect("an HTTP client");
        let way = Way { target: target.to_owned(), http, state: state.clone() };
        let router = Router::new().fallback(pass).with_state(way);
        let task = tokio::spawn(async { axum::serve(listener, router).await.expect("the proxy runs") });
        Self { url, state, task }
    }

    /// How many requests went through.
    pub fn count(&self) -> usize {
        self.state.count.load(Ordering::SeqCst)
    }

    /// Cuts one of the requests to come.
    pub fn cut(&self, cut: Cut) {
        *self.state.cut.lock().expect("no test panicked here") = Some(cut);
    }

    /// Answers every request to come with an error of the store's.
    pub fn refuse(&self) {
        self.state.refuses.store(true, Ordering::SeqCst);
    }

    /// Waits until it was cut.
    pub async fn was_cut(&self) {
        self.state.was_cut.notified().await;
    }

    /// Lets everything through again.
    pub fn heal(&self) {
        *self.state.cut.lock().expect("no test panicked here") = None;
        self.state.refuses.store(false, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ProxyState {
    /// What happens to the next request.
    fn next(&self) -> Option<Cut> {
        self.count.fetch_add(1, Ordering::SeqCst);
        let mut cut = self.cut.lock().expect("no test panicked here");
        match cut.as_mut()? {
            Cut { after: 0, .. } => cut.take(),
            Cut { after, .. } => {
                *after -= 1;
                None
            }
        }
    }

    async fn hang(&self) -> ! {
        self.was_cut.notify_one();
        std::future::pending().await
    }
}

async fn pass(State(way): State<Way>, request: Request) -> Response<Body> {
    if way.state.refuses.load(Ordering::SeqCst) {
        return Response::builder().status(500).body(Body::empty()).expect("a response");
    }
    let cut = way.state.next();
    if cut.is_some_and(|cut| !cut.applied) {
        way.state.hang().await;
    }
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("a request's body");
    let sent = way.http.request(parts.method, format!("{}{}", way.target, parts.uri));
    let answer = sent.headers(parts.headers).body(body).send().await.expect("the store answers");
    let mut response = Response::builder().status(answer.status());
    *response.headers_mut().expect("headers") = answer.headers().clone();
    let body = answer.bytes().await.expect("an answer's body");
    if cut.is_some() {
        way.state.hang().await;
    }
    response.body(Body::from(body)).expect("a response")
}
