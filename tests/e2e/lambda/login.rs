//! The login as a process on Lambda.

use serde_json::json;
use shared::passwords::hash::PasswordHash;
use test_support::events::form_event;
use test_support::lambda::Function;
use test_support::proofs::Holder;
use test_support::{PASSWORD, Stack, lambda_contract_tests};

const BCRYPT_OF_PASSWORD: &str = "$2b$10$ZeV0k3drzwhUi3gAwRcd.eOwY6QizMxuDSzQkRj2nB.hZr8g1QlBi";

lambda_contract_tests! {
    "login",
    then: sign_in_by_an_imported_hash_with_a_proof,
    bad_settings: [("ACCESS_TOKEN_TTL_SECONDS", "canary"), ("PROXY_SECRET", "canary")],
}

/// A user with an imported hash, which the sign-in replaces, and with a DPoP proof.
async fn sign_in_by_an_imported_hash_with_a_proof(stack: &Stack, mut login: Function) {
    let hash = PasswordHash::import(BCRYPT_OF_PASSWORD).unwrap();
    stack.user_with("ada", "a", hash).await;
    let proof = Holder::new().proof("POST", "http://api.example.com/token", None);
    let fields = [("username", "ada"), ("password", PASSWORD)];
    let answer = login.call(&form_event("/token", json!({"dpop": proof}), &fields)).await;
    assert_eq!(answer["statusCode"], 200, "{answer}");
}
