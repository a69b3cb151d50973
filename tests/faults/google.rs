//! Google's keys, slow or without end. That cached keys serve through 500s, garbage, a redirect and 10 MB,
//! and that a new key is found, is in `e2e/google.rs`. Real time passes where the time-out is the matter.

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

/// What stands in for Google: how it answers, and how much of that was taken.
#[derive(Clone, Default)]
struct Keys {
    good: String,
    way: Arc<std::sync::Mutex<Way>>,
    written: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, Default, Debug)]
enum Way {
    #[default]
    Good,
    /// No answer at all.
    Silent,
    /// A byte now and then.
    Dripping,
    /// Ten megabytes.
    Endless,
}

const TEN_MEGABYTES: usize = 10_000_000;
/// Of two fetches: each is given up after 256 KiB, and the sockets hold something.
const MOST_TAKEN: usize = 2_000_000;

impl Keys {
    async fn start(stack: &Stack) -> (Self, String) {
        // A small buffer, so that what was written was taken.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(4096).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(16).unwrap();
        let url = format!("http://{}/certs", listener.local_addr().unwrap());
        let good = json!({"keys": [stack.google_key().public_jwk()]}).to_string();
        let keys = Self { good, ..Self::default() };
        tokio::spawn(keys.clone().listen(listener));
        (keys, url)
    }

    fn behave(&self, way: Way) {
        *self.way.lock().unwrap() = way;
        self.written.store(0, Ordering::SeqCst);
    }

    async fn listen(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(self.clone().answer(stream));
        }
    }

    /// The other side hangs up in the middle: that is what is tested.
    async fn answer(self, mut stream: TcpStream) {
        let _ = stream.read(&mut [0; 4096]).await;
        let way = *self.way.lock().unwrap();
        let length = if matches!(way, Way::Good) { self.good.len() } else { TEN_MEGABYTES };
        let head = format!(
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\ncache-control: max-age=600\r\n\r\n"
        );
        let (chunk, pause): (&[u8], _) = match way {
            Way::Silent => return std::future::pending().await,
            Way::Good => (self.good.as_bytes(), Duration::ZERO),
            Way::Dripping => (b" ", Duration::from_millis(50)),
            Way::Endless => (&[b' '; 10_000], Duration::ZERO),
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
async fn slow_or_endless_keys_are_not_waited_for() {
    let stack = Stack::start().await;
    tokio::join!(
        not_waited_for(&stack, Way::Silent),
        not_waited_for(&stack, Way::Dripping),
        not_waited_for(&stack, Way::Endless),
    );
}

async fn not_waited_for(stack: &Stack, way: Way) {
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
    keys.behave(way);
    let (warm, cold) = tokio::join!(ask(&warm, now + 700), ask(&cold, now + 700));
    let written = keys.written.load(Ordering::SeqCst);
    figure(
        "Google's keys",
        format!(
            "{way:?}: warm {} in {:.1?}, cold {} in {:.1?}, {written} bytes taken",
            warm.0, warm.1, cold.0, cold.1
        ),
    );
    assert_eq!((warm.0, cold.0), (200, 503), "{way:?}");
    assert!(warm.1.max(cold.1) < Duration::from_secs(5), "{way:?}");
    assert!(written < MOST_TAKEN, "{way:?}: both together");
}
