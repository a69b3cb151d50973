//! An emulator of the Lambda Runtime API
//! (docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html) for one process.
//!
//! It is blocking and without an HTTP library, so that its own cost between two events is small and constant.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// The timeout of a function. Invariant: far above every call under a profiler, so that only a function that hangs
/// exceeds it.
const TIMEOUT: Duration = Duration::from_mins(2);

/// A response and its duration.
pub struct Answered {
    pub body: Vec<u8>,
    pub took: Duration,
}

#[derive(Default)]
struct State {
    events: VecDeque<Vec<u8>>,
    answers: Vec<Answered>,
    sent_at: Option<Instant>,
    first_next: Option<Instant>,
    /// Whether the function waits for an event.
    idle: bool,
    error: Option<String>,
    over: bool,
}

/// A running emulator.
pub struct RuntimeApi {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl RuntimeApi {
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let (address, shared) = (listener.local_addr()?, Arc::new(Shared::default()));
        let api = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if api.state().over {
                    return;
                }
                let api = api.clone();
                // A connection breaks when the function ends, which `answers` notices.
                thread::spawn(move || drop(api.serve(stream)));
            }
        });
        Ok(Self { address, shared })
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Waits until the function requests its first event, and returns that moment.
    pub fn ready(&self, alive: impl FnMut() -> bool) -> anyhow::Result<Instant> {
        self.answers(Vec::new(), alive)?;
        self.shared.state().first_next.context("the function requested no event")
    }

    /// Sends events one after the other, and waits for the last response and the request for another event.
    pub fn answers(
        &self,
        events: Vec<Vec<u8>>,
        mut alive: impl FnMut() -> bool,
    ) -> anyhow::Result<Vec<Answered>> {
        let (deadline, count) = (Instant::now() + TIMEOUT, events.len());
        let mut state = self.shared.state();
        if count > 0 {
            state.idle = false;
            state.events.extend(events);
            self.shared.changed.notify_all();
        }
        loop {
            if let Some(error) = state.error.take() {
                bail!("{error}");
            }
            if state.idle && state.answers.len() == count {
                return Ok(std::mem::take(&mut state.answers));
            }
            if Instant::now() > deadline || !alive() {
                bail!("the function ended or hangs");
            }
            let wait = self.shared.changed.wait_timeout(state, Duration::from_millis(100));
            state = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.shared.state().over = true;
        self.shared.changed.notify_all();
        // Wakes the listener up, which then sees that it is over.
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next event; none when it is over.
    fn next(&self) -> Option<Vec<u8>> {
        let mut state = self.state();
        state.first_next.get_or_insert_with(Instant::now);
        loop {
            if state.over {
                return None;
            }
            if let Some(event) = state.events.pop_front() {
                return Some(event);
            }
            state.idle = true;
            self.changed.notify_all();
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let (mut out, mut reader) = (stream.try_clone()?, BufReader::with_capacity(64 * 1024, stream));
        while let Some((path, body)) = read_request(&mut reader)? {
            let now = Instant::now();
            if path.ends_with("/invocation/next") {
                let Some(event) = self.next() else { return Ok(()) };
                self.state().sent_at = Some(Instant::now());
                respond(&mut out, "200 OK", INVOCATION, &event)?;
                continue;
            }
            let mut state = self.state();
            if path.ends_with("/response") {
                let took = state.sent_at.take().map_or(Duration::ZERO, |sent_at| now - sent_at);
                state.answers.push(Answered { body, took });
            } else {
                state.error = Some(format!("{path}: {}", String::from_utf8_lossy(&body)));
                self.changed.notify_all();
            }
            drop(state);
            respond(&mut out, "202 Accepted", "", br#"{"status":"OK"}"#)?;
        }
        Ok(())
    }
}

/// The headers of an invocation.
const INVOCATION: &str = "Lambda-Runtime-Aws-Request-Id: 00000000-0000-4000-8000-000000000000\r\n\
    Lambda-Runtime-Deadline-Ms: 99999999999999\r\n\
    Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-west-1:123456789012:function:bench\r\n\
    Lambda-Runtime-Trace-Id: Root=1-00000000-000000000000000000000000;Parent=0000000000000000;Sampled=0\r\n";

/// The path and the body of the next request. None when the connection is closed.
fn read_request(reader: &mut BufReader<TcpStream>) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut length, mut chunked) = (0, false);
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
        chunked |= name.eq_ignore_ascii_case("transfer-encoding");
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    while chunked {
        line.clear();
        reader.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
        let start = body.len();
        // Each chunk ends in CR LF.
        body.resize(start + size + 2, 0);
        reader.read_exact(&mut body[start..])?;
        body.truncate(start + size);
        chunked = size > 0;
    }
    Ok(Some((path, body)))
}

fn respond(out: &mut TcpStream, status: &str, headers: &str, body: &[u8]) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    // One write is one packet. A second packet would wake the function twice.
    out.write_all(&[head.as_bytes(), body].concat())
}
