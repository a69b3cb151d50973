//! A server of the local stack, on 127.0.0.1 only.

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

/// The time for requests in progress when the stack stops. API Gateway's limit of 30 s would be too long after Ctrl-C,
/// if a client keeps a connection half open.
const DRAIN: Duration = Duration::from_secs(5);

/// A running server. Dropping it stops it without waiting for requests in progress.
pub struct Server {
    url: String,
    stop: oneshot::Sender<()>,
    task: JoinHandle<anyhow::Result<()>>,
}

/// Listens on a port of 127.0.0.1. 0 is any free one.
///
/// # Errors
/// A port that is in use or not permitted.
pub async fn listen(port: u16) -> anyhow::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", port)).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            anyhow::anyhow!("port {port} is already in use. Choose another one with --port")
        }
        _ => anyhow::Error::from(error).context(format!("can't listen on port {port}")),
    })
}

/// Listens on the port of an earlier run's URL, so that a shell's environment stays valid. If it is in use, on any free
/// one.
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

/// The URL of a listener.
///
/// # Errors
/// A listener that is closed.
pub fn url(listener: &TcpListener) -> io::Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}

/// Resolves when the server has to stop.
async fn stopped(signal: oneshot::Receiver<()>) {
    // An error is a dropped sender, which stops the server too.
    signal.await.unwrap_or_default();
}

impl Server {
    /// Serves a router behind a guard.
    ///
    /// # Errors
    /// A listener that is closed.
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

    /// Stops accepting requests, and waits until those in progress are complete or [`DRAIN`] is over.
    ///
    /// # Errors
    /// A server that failed while it ran.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        // A failed send is a server that has stopped already. Its task has the error.
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
