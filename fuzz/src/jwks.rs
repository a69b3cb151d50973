//! Key sets: those that clients register, and those that other issuers publish, which are fetched.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use shared::grants::client_assertion::inline_keys;
use shared::token::jwt::UnverifiedJwt;
use shared::token::key::{PRIVATE_MEMBERS, PublicKey, thumbprint};
use shared::token::remote_keys::{IssuerError, RemoteKeys};
use shared::wire::members::Members;
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
    let jwt = || UnverifiedJwt::parse(&token, 1024).expect("a well-formed token");
    let Ok(set) = serde_json::from_slice::<Value>(data) else {
        // No JSON, or it nests too deep for this reading.
        let _ = (std::str::from_utf8(data).map(inline_keys), fetched(data, jwt()));
        return;
    };
    // Serde takes an array for an object, by the order of its members.
    let keys = set.get("keys").or_else(|| set.get(0));
    let given = keys.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let usable = given.iter().filter(|jwk| is_usable(jwk)).count();

    let ours = FORGE.with(|forge| forge.jwk["x"].clone());
    let is_ours = |jwk: &Value| jwk["x"] == ours && is_usable(jwk);

    if let Some(text) = std::str::from_utf8(data).ok()
        && let Ok(keys) = inline_keys(text)
    {
        assert!(
            usable == given.len() && usable > 0,
            "every key that a client registers is one that we can use"
        );
        if keys.choose(&jwt()).is_some_and(|key| jwt().verify(key).is_ok()) {
            assert!(given.iter().any(is_ours));
        }
    }
    match fetched(data, jwt()) {
        Ok(()) => assert!(given.iter().any(|jwk| jwk["kid"] == "1" && is_ours(jwk)), "nobody gave that key"),
        // None that we can use: the set is as good as none.
        Err(IssuerError::Keys(_)) => {
            let unread = serde_json::from_slice::<Set>(data).is_err() || data.len() > MAX_JWKS;
            let named = |jwk: &Value| jwk["kid"].is_string() && is_usable(jwk);
            assert!(unread || !given.iter().any(named), "keys that we can use were passed over");
        }
        Err(IssuerError::Token(_)) => assert!(usable > 0),
    }
}

/// What a set must be to be read at all.
#[derive(serde::Deserialize)]
struct Set {
    #[serde(rename = "keys")]
    _keys: Vec<Members>,
}

/// Whether it is a key that we can use; then it is public, and has a name of its own.
fn is_usable(jwk: &Value) -> bool {
    let members = serde_json::from_value::<Members>(jwk.clone());
    let usable = members.is_ok_and(|members| PublicKey::from_jwk(&members).is_ok());
    if usable {
        assert!(
            PRIVATE_MEMBERS.iter().all(|name| jwk.get(*name).is_none()),
            "a key that everybody can sign with"
        );
        let name = thumbprint(jwk).and_then(|name| URL_SAFE_NO_PAD.decode(name).ok());
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
