//! The login as a process on Lambda.

use e2e::events::form_event;
use e2e::lambda::{answer_every_recorded_event, refusal};
use e2e::proofs::Holder;
use e2e::{PASSWORD, Stack};
use serde_json::json;
use shared::passwords::hash::PasswordHash;

const BINARY: &str = env!("CARGO_BIN_EXE_login");
const BCRYPT_OF_PASSWORD: &str = "$2b$10$ZeV0k3drzwhUi3gAwRcd.eOwY6QizMxuDSzQkRj2nB.hZr8g1QlBi";

#[tokio::test]
async fn every_recorded_event_comes_to_what_is_expected_within_its_role() {
    let (stack, stores, mut login) = answer_every_recorded_event("login", BINARY, &[]).await;
    // A user with an imported hash, which the sign-in replaces, and with a DPoP proof.
    let hash = PasswordHash::import(BCRYPT_OF_PASSWORD).unwrap();
    stack.user_with("ada", "a", hash).await;
    let proof = Holder::new().proof("POST", "http://api.example.com/token", None);
    let fields = [("username", "ada"), ("password", PASSWORD)];
    let answer = login.call(&form_event("/token", json!({"dpop": proof}), &fields)).await;
    assert_eq!(answer["statusCode"], 200, "{answer}");
    stores.role.assert_just_enough();
}

#[tokio::test]
async fn a_bad_setting_stops_it_and_is_named() {
    let stack = Stack::start().await;
    for name in ["ACCESS_TOKEN_TTL_SECONDS", "PROXY_SECRET"] {
        let text = refusal(BINARY, &stack, &[(name, "canary")]).await;
        assert!(text.contains(name) && !text.contains("canary"), "{text}");
    }
}
