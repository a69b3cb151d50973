//! Key sets: those that clients register, and those that other issuers publish, which are fetched.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use shared::clients::remote_keys::{IssuerError, RemoteKeys};
use shared::jose::jwt::UnverifiedJwt;
use shared::jose::key::{PRIVATE_MEMBERS, PublicKey, thumbprint};
use shared::jose::key_set::KeySet;
use shared::jose::strict_object::{Distinct, StrictObject};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::NOW;
use crate::forge::FORGE;

/// How much later each fetch is, in seconds: nothing of the one before may be used any more.
const LATER: u64 = 1_000_000;

/// The longest set that is fetched.
const MAX_JWKS: usize = 256 * 1024;

/// The target.
pub fn run(data: &[u8]) {
    let token = FORGE.with(|forge| forge.token(br#"{"alg":"EdDSA","kid":"1"}"#, b"{}"));
    let jwt = || UnverifiedJwt::parse_foreign(&token, 1024).expect("a well-formed token");
    let Ok(set) = serde_json::from_slice::<Value>(data) else {
        // No JSON, or it nests too deep for this reading, or it begins with a byte order mark.
        let _ = (KeySet::read(data), fetched(data, jwt()));
        return;
    };
    // Serde takes an array for an object, by the order of its members.
    let keys = set.get("keys").or_else(|| set.get(0));
    let given = keys.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    // What it says of a member that is there twice, this reading doesn't know.
    let distinct = serde_json::from_slice::<Distinct>(data).is_ok() && data.len() <= MAX_JWKS;
    let usable = given.iter().filter(|jwk| is_usable(jwk)).count();

    assert!(
        !distinct || KeySet::read(data).is_empty() == (usable == 0),
        "a set holds the keys that we can use"
    );
    let ours = FORGE.with(|forge| forge.jwk["x"].as_str().expect("a key").to_owned());
    let is_ours =
        |jwk: &Value| jwk["x"].as_str().is_some_and(|x| x.trim_end_matches('=') == ours) && is_usable(jwk);
    match fetched(data, jwt()) {
        Ok(()) => assert!(!distinct || given.iter().any(is_ours), "nobody gave that key"),
        Err(IssuerError::NoUsableKey(_)) => {
            assert!(!distinct || usable == 0, "keys that we can use were skipped")
        }
        Err(IssuerError::Token(_)) => assert!(!distinct || usable > 0),
        Err(IssuerError::Keys(_)) => assert!(data.len() > MAX_JWKS, "an answer is no outage"),
    }
}

/// Whether it is a key that we can use; then it is public, and has a name of its own.
fn is_usable(jwk: &Value) -> bool {
    let Ok(mut members) = serde_json::from_value::<StrictObject>(jwk.clone()) else { return false };
    members.drop_nulls();
    let usable = PublicKey::from_published_jwk(&members).is_ok();
    if usable {
        assert!(
            PRIVATE_MEMBERS.iter().all(|name| members.get(name).is_none()),
            "a key that everybody can sign with"
        );
        let name = thumbprint(&members.into_object()).and_then(|name| URL_SAFE_NO_PAD.decode(name).ok());
        assert_eq!(name.map(|name| name.len()), Some(32));
    }
    usable
}

/// Another issuer's key set, and the way to it.
struct Issuer {
    runtime: Runtime,
    document: Arc<Mutex<Vec<u8>>>,
    keys: RemoteKeys,
    now: u64,
}

thread_local! {
    static ISSUER: RefCell<Issuer> = RefCell::new(Issuer::start());
}

impl Issuer {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let document = Arc::new(Mutex::new(Vec::new()));
        let served = Arc::clone(&document);
        let answer = async move || served.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let url = format!("http://{}/keys", listener.local_addr().expect("an address"));
        runtime.spawn(async { axum::serve(listener, Router::new().fallback(answer)).await });
        Self { runtime, document, keys: RemoteKeys::new(url.parse().expect("a URL")), now: NOW }
    }
}

/// Whether the token is good by the keys that are fetched.
fn fetched(document: &[u8], jwt: UnverifiedJwt<'_>) -> Result<(), IssuerError> {
    ISSUER.with_borrow_mut(|issuer| {
        *issuer.document.lock().unwrap_or_else(PoisonError::into_inner) = document.to_vec();
        issuer.now += LATER;
        issuer.runtime.block_on(issuer.keys.verify(jwt, issuer.now)).map(drop)
    })
}
