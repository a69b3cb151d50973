//! A server of the local stack: on 127.0.0.1 alone, stoppable.

use std::io;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::http::Uri;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::guard::Guard;

/// How long requests under way may take to end when the stack stops. API Gateway's own limit is 30 s,
/// but whoever presses Ctrl-C doesn't wait that long for a client that keeps a connection half open.
const DRAIN: Duration = Duration::from_secs(5);

/// A running server. Dropped, it stops without waiting for the requests under way.
pub struct Server {
    url: String,
    stop: oneshot::Sender<()>,
    task: JoinHandle<anyhow::Result<()>>,
}

/// Takes a port of this machine; 0 takes any free one.
///
/// # Errors
/// A port that is taken or not ours to take.
pub async fn listen(port: u16) -> anyhow::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", port)).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            anyhow::anyhow!("port {port} is already in use: choose another one with --port")
        }
        _ => anyhow::Error::from(error).context(format!("can't listen on port {port}")),
    })
}

/// Takes the port of an earlier run's URL if it is still free, so that a shell that knows it needn't be
/// told anew; else any.
///
/// # Errors
/// No free port.
pub async fn listen_again(url: Option<&String>) -> anyhow::Result<TcpListener> {
    let port = url.and_then(|url| url.parse::<Uri>().ok()?.port_u16()).unwrap_or(0);
    match listen(port).await {
        Ok(listener) => Ok(listener),
        Err(_) => listen(0).await,
    }
}

/// The address that a listener is reached at.
///
/// # Errors
/// A listener that the system has taken away.
pub fn url(listener: &TcpListener) -> io::Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}

/// Resolves when a server is to stop.
async fn stopped(signal: oneshot::Receiver<()>) {
    // An error is a sender that is gone, and that is a reason to stop as well.
    signal.await.unwrap_or_default();
}

impl Server {
    /// Serves a router to those whom the guard admits.
    ///
    /// # Errors
    /// A listener that the system has taken away.
    pub fn start(listener: TcpListener, guard: Guard, router: Router) -> anyhow::Result<Self> {
        let url = url(&listener)?;
        let (stop, signal) = oneshot::channel();
        let router = guard.before(router);
        let task = tokio::spawn(async move {
            axum::serve(listener, router).with_graceful_shutdown(stopped(signal)).await?;
            Ok(())
        });
        Ok(Self { url, stop, task })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops accepting, lets the requests under way end, and returns when they have or when they have
    /// had their time.
    ///
    /// # Errors
    /// A server that failed while it ran.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        // A failed send is a server that has ended already; its task says why.
        self.stop.send(()).unwrap_or_default();
        match timeout(DRAIN, &mut self.task).await {
            Ok(ended) => ended.context("a server of the local stack panicked")?,
            Err(_) => {
                self.task.abort();
                Ok(())
            }
        }
    }
}
