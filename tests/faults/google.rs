//! Slow or endless responses of Google's JWKS endpoint.
//!
//! `e2e/google.rs` tests errors, redirects and new keys. These tests take real time because they test timeouts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use local::google::CLIENT_ID;
use serde_json::json;
use shared::runtime::clock;
use test_support::Stack;
use test_support::events::{call, http_event, status_and_body};
use test_support::faults::figure;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// A stand-in for Google's JWKS endpoint, and the number of bytes that were read from it.
#[derive(Clone, Default)]
struct Keys {
    jwks: String,
    behaviour: Arc<std::sync::Mutex<Behaviour>>,
    written: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, Default, Debug)]
enum Behaviour {
    #[default]
    Good,
    /// No response.
    Silent,
    /// A byte every 50 ms.
    Dripping,
    /// A body of ten megabytes.
    Endless,
}

const TEN_MEGABYTES: usize = 10_000_000;
/// The most bytes of two fetches: each stops after 256 KiB, and the sockets buffer some.
const MAX_BYTES: usize = 2_000_000;

impl Keys {
    async fn start(stack: &Stack) -> (Self, String) {
        // With a small buffer the bytes written are nearly the bytes read.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(4096).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(16).unwrap();
        let url = format!("http://{}/certs", listener.local_addr().unwrap());
        let jwks = json!({"keys": [stack.google_key().public_jwk()]}).to_string();
        let keys = Self { jwks, ..Self::default() };
        tokio::spawn(keys.clone().listen(listener));
        (keys, url)
    }

    fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
        self.written.store(0, Ordering::SeqCst);
    }

    async fn listen(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(self.clone().answer(stream));
        }
    }

    /// Ignores write errors, because the client is expected to hang up.
    async fn answer(self, mut stream: TcpStream) {
        let _ = stream.read(&mut [0; 4096]).await;
        let behaviour = *self.behaviour.lock().unwrap();
        let length = if matches!(behaviour, Behaviour::Good) { self.jwks.len() } else { TEN_MEGABYTES };
        let head = format!(
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\ncache-control: max-age=600\r\n\r\n"
        );
        let (chunk, pause): (&[u8], _) = match behaviour {
            Behaviour::Silent => return std::future::pending().await,
            Behaviour::Good => (self.jwks.as_bytes(), Duration::ZERO),
            Behaviour::Dripping => (b" ", Duration::from_millis(50)),
            Behaviour::Endless => (&[b' '; 10_000], Duration::ZERO),
        };
        let _ = stream.write_all(head.as_bytes()).await;
        for _ in 0..length / chunk.len() {
            if stream.write_all(chunk).await.is_err() {
                return;
            }
            self.written.fetch_add(chunk.len(), Ordering::SeqCst);
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_or_endless_google_keys_time_out() {
    let stack = Stack::start().await;
    tokio::join!(
        times_out(&stack, Behaviour::Silent),
        times_out(&stack, Behaviour::Dripping),
        times_out(&stack, Behaviour::Endless),
    );
}

async fn times_out(stack: &Stack, behaviour: Behaviour) {
    let (keys, url) = Keys::start(stack).await;
    let settings = stack.settings(&[("GOOGLE_CLIENT_IDS", CLIENT_ID), ("GOOGLE_JWKS_URL", &url)]);
    let (warm, cold) =
        (google::Deps::from_settings(&settings).unwrap(), google::Deps::from_settings(&settings).unwrap());
    let token = stack.id_token("ada@example.com");
    let now = clock::now();
    let ask = async |deps: &google::Deps, now: u64| {
        let event = http_event("POST", "/google", json!({"authorization": format!("Bearer {token}")}), None);
        let started = Instant::now();
        let answer = call(&event, |request| google::handle(deps, request, now)).await;
        (status_and_body(&answer).0, started.elapsed())
    };
    assert_eq!(ask(&warm, now).await.0, 200);
    keys.behave(behaviour);
    let (warm, cold) = tokio::join!(ask(&warm, now + 700), ask(&cold, now + 700));
    let written = keys.written.load(Ordering::SeqCst);
    figure(
        "Google's keys",
        format!(
            "{behaviour:?}: warm {} in {:.1?}, cold {} in {:.1?}, {written} bytes taken",
            warm.0, warm.1, cold.0, cold.1
        ),
    );
    assert_eq!(warm.0, 200, "{behaviour:?}");
    assert_eq!(cold.0, 503, "{behaviour:?}");
    assert!(warm.1.max(cold.1) < Duration::from_secs(5), "{behaviour:?}");
    assert!(written < MAX_BYTES, "{behaviour:?}: {written} bytes");
}
