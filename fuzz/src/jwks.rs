//! Key sets that clients register, and key sets that are fetched from other issuers.

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
use crate::signer::SIGNER;

/// Seconds between two fetches, so that no cached key is usable.
const LATER: u64 = 1_000_000;

/// The maximum size of a fetched key set.
const MAX_JWKS: usize = 256 * 1024;

/// The target.
pub fn run(data: &[u8]) {
    let token = SIGNER.with(|signer| signer.token(br#"{"alg":"EdDSA","kid":"1"}"#, b"{}"));
    let jwt = || UnverifiedJwt::parse_foreign(&token, 1024).expect("a well-formed token");
    let Ok(set) = serde_json::from_slice::<Value>(data) else {
        // The input is not JSON, nests deeper than `Value` allows or begins with a byte order mark.
        let _ = (KeySet::read(data), fetched(data, jwt()));
        return;
    };
    // Serde accepts an array for a struct and reads its members by order.
    let keys = set.get("keys").or_else(|| set.get(0));
    let given = keys.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    // This independent reading ignores duplicate members.
    let distinct = serde_json::from_slice::<Distinct>(data).is_ok() && data.len() <= MAX_JWKS;
    let usable = given.iter().filter(|jwk| is_usable(jwk)).count();

    assert!(!distinct || KeySet::read(data).is_empty() == (usable == 0), "a key set holds its usable keys");
    let ours = SIGNER.with(|signer| signer.jwk["x"].as_str().expect("a key").to_owned());
    let is_ours =
        |jwk: &Value| jwk["x"].as_str().is_some_and(|x| x.trim_end_matches('=') == ours) && is_usable(jwk);
    match fetched(data, jwt()) {
        Ok(()) => assert!(
            !distinct || given.iter().any(is_ours),
            "the token verified with a key that is not in the set"
        ),
        Err(IssuerError::NoUsableKey(_)) => {
            assert!(!distinct || usable == 0, "usable keys were skipped")
        }
        Err(IssuerError::Token(_)) => assert!(!distinct || usable > 0),
        Err(IssuerError::Keys(_)) => assert!(data.len() > MAX_JWKS, "a response is not an outage"),
    }
}

/// Whether a key is usable. A usable key has no private members and has a thumbprint.
fn is_usable(jwk: &Value) -> bool {
    let Ok(mut members) = serde_json::from_value::<StrictObject>(jwk.clone()) else { return false };
    members.drop_nulls();
    let usable = PublicKey::from_published_jwk(&members).is_ok();
    if usable {
        assert!(
            PRIVATE_MEMBERS.iter().all(|name| members.get(name).is_none()),
            "a usable key has private members"
        );
        let thumbprint = thumbprint(&members.into_object());
        let digest = thumbprint.and_then(|thumbprint| URL_SAFE_NO_PAD.decode(thumbprint).ok());
        assert_eq!(digest.map(|digest| digest.len()), Some(32));
    }
    usable
}

/// An issuer that serves a key set, and the client that fetches it.
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

/// Fetches the key set and verifies a token with it.
fn fetched(document: &[u8], jwt: UnverifiedJwt<'_>) -> Result<(), IssuerError> {
    ISSUER.with_borrow_mut(|issuer| {
        *issuer.document.lock().unwrap_or_else(PoisonError::into_inner) = document.to_vec();
        issuer.now += LATER;
        issuer.runtime.block_on(issuer.keys.verify(jwt, issuer.now)).map(drop)
    })
}
