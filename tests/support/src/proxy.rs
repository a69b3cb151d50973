//! A proxy in front of a store that counts what goes through it, and goes wrong as it is told to.
//!
//! Which request goes wrong follows from how many came before it and from nothing else, so a test that
//! asks one after the other meets the same faults every time.

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

/// What can go wrong with a request.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The store refuses it because there are too many.
    Throttle,
    /// The store answers with an error of its own.
    Fail,
    /// The store has done as it was told, and the connection is reset before its answer comes.
    Reset,
    /// Nobody ever answers.
    Hang {
        /// Whether the store has done as it was told.
        applied: bool,
    },
}

/// How the connections that are open come to an end.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// The other side closes them.
    Closed,
    /// The other side resets them.
    Reset,
    /// The other side forgets them and says nothing: whatever is sent is lost.
    Forgotten,
}

impl End {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Reset, Self::Forgotten];
}

/// Where a request is cut off: nobody ever answers it.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// How many requests go through before it.
    pub after: usize,
    /// Whether the store still gets it.
    pub applied: bool,
}

/// A running proxy. Dropped, it stops, and so do its connections.
pub struct Proxy {
    pub url: String,
    way: Arc<Way>,
    task: JoinHandle<()>,
}

struct Way {
    target: String,
    http: Http,
    role: Option<Arc<Role>>,
    count: AtomicUsize,
    faults: AtomicUsize,
    bytes: AtomicUsize,
    plan: Mutex<Plan>,
    was_cut: Notify,
    ends: broadcast::Sender<End>,
}

/// What is to go wrong.
#[derive(Default)]
struct Plan {
    seed: u64,
    shares: Vec<(u64, Fault)>,
    /// One request, after so many.
    once: Option<(usize, Fault)>,
    /// Every request, after so many.
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

    /// The same, which lets through what a role may ask for, and nothing else.
    pub async fn judging(target: &str, role: Arc<Role>) -> Self {
        Self::with(target, Some(role)).await
    }

    async fn with(target: &str, role: Option<Arc<Role>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let way = Arc::new(Way {
            target: target.to_owned(),
            http: Http::builder().no_proxy().build().expect("an HTTP client"),
            role,
            count: AtomicUsize::default(),
            faults: AtomicUsize::default(),
            bytes: AtomicUsize::default(),
            plan: Mutex::default(),
            was_cut: Notify::default(),
            ends: broadcast::channel(16).0,
        });
        let task = tokio::spawn(listen(listener, way.clone()));
        Self { url, way, task }
    }

    /// How many requests came.
    pub fn count(&self) -> usize {
        self.way.count.load(Ordering::SeqCst)
    }

    /// How many bytes the store answered with, headers left out.
    pub fn bytes(&self) -> usize {
        self.way.bytes.load(Ordering::SeqCst)
    }

    /// How many of them went wrong.
    pub fn faults(&self) -> usize {
        self.way.faults.load(Ordering::SeqCst)
    }

    /// Cuts one of the requests to come.
    pub fn cut(&self, cut: Cut) {
        self.plan().once = Some((cut.after, Fault::Hang { applied: cut.applied }));
    }

    /// Waits until it was cut.
    pub async fn was_cut(&self) {
        self.way.was_cut.notified().await;
    }

    /// Answers every request to come with an error of the store's.
    pub fn refuse(&self) {
        self.break_after(0, Fault::Fail);
    }

    /// So many more requests go through; every one after them goes wrong.
    pub fn break_after(&self, requests: usize, fault: Fault) {
        self.plan().from = Some((requests, fault));
    }

    /// So many in a hundred requests to come go wrong, and which ones follows from `seed`.
    pub fn shares(&self, seed: u64, shares: &[(u64, Fault)]) {
        let mut plan = self.plan();
        (plan.seed, plan.shares) = (seed, shares.to_vec());
    }

    /// Lets everything through again.
    pub fn heal(&self) {
        *self.plan() = Plan::default();
    }

    /// Ends the connections that are open. Those to come are as good as ever.
    pub fn end_connections(&self, end: End) {
        // Without a connection there is nobody to tell.
        let _ = self.way.ends.send(end);
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.way.plan.lock().expect("no test panicked here")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Plan {
    /// What happens to the next request, the `count`-th.
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

/// The output of SplitMix64 (prng.di.unimi.it/splitmix64.c): neighbours have nothing in common, so that
/// the same share of the retries goes wrong as of the first tries.
fn scattered(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

async fn listen(listener: TcpListener, way: Arc<Way>) {
    let mut connections = Vec::new();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let ends = way.ends.subscribe();
        connections.push(Stop(tokio::spawn(serve(stream, way.clone(), ends)).abort_handle()));
    }
}

async fn serve(stream: TcpStream, way: Arc<Way>, mut ends: broadcast::Receiver<End>) {
    let stream = stream.into_std().expect("a socket");
    // The same socket once more, to say how it is closed: hyper keeps the other to itself.
    let twin = TcpStream::from_std(stream.try_clone().expect("a socket")).expect("a socket");
    let stream = TcpStream::from_std(stream).expect("a socket");
    let service = service_fn(|request| pass(&way, request));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // An error is the proxy's own, a reset, or a client that is gone.
        outcome = &mut connection => if outcome.is_err() { twin.set_zero_linger().expect("a socket") },
        end = ends.recv() => match end {
            Ok(End::Forgotten) => std::future::pending().await,
            Ok(End::Reset) => twin.set_zero_linger().expect("a socket"),
            Ok(End::Closed) | Err(_) => {}
        }
    }
}

/// The connection is to be reset.
#[derive(Debug)]
struct ResetConnection;

impl std::fmt::Display for ResetConnection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("reset")
    }
}

impl std::error::Error for ResetConnection {}

async fn pass(way: &Way, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, ResetConnection> {
    let count = way.count.fetch_add(1, Ordering::SeqCst);
    let fault = way.plan.lock().expect("no test panicked here").next(count);
    way.faults.fetch_add(usize::from(fault.is_some()), Ordering::SeqCst);
    match fault {
        None => Ok(way.forward(request).await),
        Some(Fault::Throttle) => Ok(throttled(&request)),
        Some(Fault::Fail) => Ok(error(500, "com.amazonaws.dynamodb.v20120810#InternalServerError")),
        Some(Fault::Reset) => {
            way.forward(request).await;
            Err(ResetConnection)
        }
        Some(Fault::Hang { applied }) => {
            if applied {
                way.forward(request).await;
            }
            way.was_cut.notify_one();
            std::future::pending::<Infallible>().await;
            unreachable!("nothing comes after that")
        }
    }
}

impl Way {
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

/// As AWS says it (docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html): a
/// transaction is cancelled, with the reason for each of its items.
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

/// What a request asks the store to do.
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
