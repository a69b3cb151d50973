//! A proxy in front of a store that counts requests and injects faults.
//!
//! Which request fails depends on its number alone, so a test that sends one request after the other meets the same
//! faults in every run.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use reqwest::Client as Http;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, broadcast};
use tokio::task::{AbortHandle, JoinHandle};

use crate::role::Role;

/// A fault of a request.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The store throttles the request.
    Throttle,
    /// The store responds with a server error.
    Fail,
    /// The store applies the request, and the connection is reset before the response arrives.
    Reset,
    /// No response ever comes.
    Hang {
        /// Whether the store applies the request.
        applied: bool,
    },
}

/// How open connections end.
#[derive(Clone, Copy, Debug)]
pub enum Ending {
    /// The store's side closes them.
    Closed,
    /// The store's side resets them.
    Reset,
    /// The store's side drops them without a word, so that whatever is sent is lost.
    Forgotten,
}

impl Ending {
    /// Every ending.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Reset, Self::Forgotten];
}

/// Where a request is cut off. It never gets a response.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// How many requests pass before it.
    pub after: usize,
    /// Whether the store still applies it.
    pub applied: bool,
}

/// A running proxy. Dropping it stops it and its connections.
pub struct Proxy {
    pub url: String,
    upstream: Arc<Upstream>,
    task: JoinHandle<()>,
}

/// What the proxy's connections share.
struct Upstream {
    target: String,
    http: Http,
    role: Option<Arc<Role>>,
    count: AtomicUsize,
    faults: AtomicUsize,
    bytes: AtomicUsize,
    script: Mutex<Script>,
    was_cut: Notify,
    endings: broadcast::Sender<Ending>,
}

/// Which requests fail, and how.
#[derive(Default)]
struct Script {
    seed: u64,
    /// Percentages of all requests.
    shares: Vec<(u64, Fault)>,
    /// One request, after so many others.
    once: Option<(usize, Fault)>,
    /// Every request, after so many others.
    from: Option<(usize, Fault)>,
}

/// Stops a task when it is dropped.
struct Stop(AbortHandle);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Proxy {
    /// A proxy in front of `target`, a URL without a path.
    pub async fn start(target: &str) -> Self {
        Self::with(target, None).await
    }

    /// The same, which denies what the role does not allow.
    pub async fn enforcing(target: &str, role: Arc<Role>) -> Self {
        Self::with(target, Some(role)).await
    }

    async fn with(target: &str, role: Option<Arc<Role>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let upstream = Arc::new(Upstream {
            target: target.to_owned(),
            http: Http::builder().no_proxy().build().expect("an HTTP client"),
            role,
            count: AtomicUsize::default(),
            faults: AtomicUsize::default(),
            bytes: AtomicUsize::default(),
            script: Mutex::default(),
            was_cut: Notify::default(),
            endings: broadcast::channel(16).0,
        });
        let task = tokio::spawn(listen(listener, upstream.clone()));
        Self { url, upstream, task }
    }

    /// The number of requests.
    pub fn count(&self) -> usize {
        self.upstream.count.load(Ordering::SeqCst)
    }

    /// The number of bytes in the store's response bodies.
    pub fn bytes(&self) -> usize {
        self.upstream.bytes.load(Ordering::SeqCst)
    }

    /// The number of requests that failed.
    pub fn faults(&self) -> usize {
        self.upstream.faults.load(Ordering::SeqCst)
    }

    /// Cuts off one of the next requests.
    pub fn cut(&self, cut: Cut) {
        self.script().once = Some((cut.after, Fault::Hang { applied: cut.applied }));
    }

    /// Waits until the request is cut off.
    pub async fn was_cut(&self) {
        self.upstream.was_cut.notified().await;
    }

    /// Fails every further request with a server error.
    pub fn refuse(&self) {
        self.break_after(0, Fault::Fail);
    }

    /// Lets so many requests pass and fails every one after them.
    pub fn break_after(&self, requests: usize, fault: Fault) {
        self.script().from = Some((requests, fault));
    }

    /// Fails so many percent of the next requests. `seed` decides which.
    pub fn shares(&self, seed: u64, shares: &[(u64, Fault)]) {
        let mut script = self.script();
        (script.seed, script.shares) = (seed, shares.to_vec());
    }

    /// Lets every request pass again.
    pub fn heal(&self) {
        *self.script() = Script::default();
    }

    /// Ends the open connections. New ones work.
    pub fn end_connections(&self, ending: Ending) {
        // Without a connection there is no receiver.
        let _ = self.upstream.endings.send(ending);
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.upstream.script.lock().expect("no test panicked here")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Script {
    /// The fault of the next request, which is number `count`.
    fn next(&mut self, count: usize) -> Option<Fault> {
        match &mut self.from {
            Some((0, fault)) => return Some(*fault),
            Some((after, _)) => *after -= 1,
            None => {}
        }
        match &mut self.once {
            Some((0, fault)) => {
                let fault = *fault;
                self.once = None;
                return Some(fault);
            }
            Some((after, _)) => *after -= 1,
            None => {}
        }
        let mut roll = scattered(self.seed << 32 | count as u64) % 100;
        for (share, fault) in &self.shares {
            match roll.checked_sub(*share) {
                None => return Some(*fault),
                Some(rest) => roll = rest,
            }
        }
        None
    }
}

/// The output of SplitMix64 (prng.di.unimi.it/splitmix64.c). Neighbouring numbers give unrelated values, so that
/// retries fail as often as first attempts.
fn scattered(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

async fn listen(listener: TcpListener, upstream: Arc<Upstream>) {
    let mut connections = Vec::new();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let endings = upstream.endings.subscribe();
        connections.push(Stop(tokio::spawn(serve(stream, upstream.clone(), endings)).abort_handle()));
    }
}

async fn serve(stream: TcpStream, upstream: Arc<Upstream>, mut endings: broadcast::Receiver<Ending>) {
    let stream = stream.into_std().expect("a socket");
    // A second handle of the socket decides how it is closed, because hyper owns the first.
    let twin = TcpStream::from_std(stream.try_clone().expect("a socket")).expect("a socket");
    let stream = TcpStream::from_std(stream).expect("a socket");
    let service = service_fn(|request| pass(&upstream, request));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // The error is the proxy's `ResetConnection` or a client that hung up.
        outcome = &mut connection => if outcome.is_err() { twin.set_zero_linger().expect("a socket") },
        ending = endings.recv() => match ending {
            Ok(Ending::Forgotten) => std::future::pending().await,
            Ok(Ending::Reset) => twin.set_zero_linger().expect("a socket"),
            Ok(Ending::Closed) | Err(_) => {}
        }
    }
}

/// Makes hyper drop the connection, which is then reset.
#[derive(Debug)]
struct ResetConnection;

impl std::fmt::Display for ResetConnection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("reset")
    }
}

impl std::error::Error for ResetConnection {}

async fn pass(
    upstream: &Upstream,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, ResetConnection> {
    let count = upstream.count.fetch_add(1, Ordering::SeqCst);
    let fault = upstream.script.lock().expect("no test panicked here").next(count);
    upstream.faults.fetch_add(usize::from(fault.is_some()), Ordering::SeqCst);
    match fault {
        None => Ok(upstream.forward(request).await),
        Some(Fault::Throttle) => Ok(throttled(&request)),
        Some(Fault::Fail) => Ok(error(500, "com.amazonaws.dynamodb.v20120810#InternalServerError")),
        Some(Fault::Reset) => {
            upstream.forward(request).await;
            Err(ResetConnection)
        }
        Some(Fault::Hang { applied }) => {
            if applied {
                upstream.forward(request).await;
            }
            upstream.was_cut.notify_one();
            std::future::pending::<Infallible>().await;
            unreachable!("the future above never completes")
        }
    }
}

impl Upstream {
    async fn forward(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.expect("a request's body").to_bytes();
        if self.role.as_ref().is_some_and(|role| !role.allows(operation(&parts.headers), &body)) {
            return error(400, "com.amazon.coral.service#AccessDeniedException");
        }
        let sent = self.http.request(parts.method, format!("{}{}", self.target, parts.uri));
        let answer = sent.headers(parts.headers).body(body).send().await.expect("the store answers");
        let mut response = Response::builder().status(answer.status());
        *response.headers_mut().expect("headers") = answer.headers().clone();
        let body = answer.bytes().await.expect("an answer's body");
        self.bytes.fetch_add(body.len(), Ordering::SeqCst);
        response.body(Full::new(body)).expect("a response")
    }
}

/// A throttling error in AWS's form (docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html). A
/// transaction is cancelled with a reason for each item.
fn throttled(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    match operation(request.headers()) {
        "DynamoDB_20120810.TransactWriteItems" => answer(
            400,
            r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","Message":"Transaction cancelled, please refer cancellation reasons for specific reasons [ThrottlingError, None]","CancellationReasons":[{"Code":"ThrottlingError","Message":"Throughput exceeds the current capacity of your table or index."},{"Code":"None"}]}"#,
        ),
        operation if operation.starts_with("DynamoDB") => {
            error(400, "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException")
        }
        _ => error(400, "ThrottlingException"),
    }
}

/// The operation that a request names.
fn operation(headers: &HeaderMap) -> &str {
    headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default()
}

fn error(status: u16, kind: &str) -> Response<Full<Bytes>> {
    answer(status, &format!(r#"{{"__type":"{kind}","message":"injected"}}"#))
}

fn answer(status: u16, body: &str) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amzn-requestid", "injected")
        .body(Full::new(Bytes::from(body.to_owned())))
        .expect("a response")
}
