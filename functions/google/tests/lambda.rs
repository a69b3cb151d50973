//! The Google exchange as a process on Lambda.

use e2e::Stack;
use e2e::events::http_event;
use e2e::lambda::{Function, answer_every_recorded_event, refusal};
use e2e::proofs::Holder;
use secrecy::ExposeSecret;
use serde_json::json;

const BINARY: &str = env!("CARGO_BIN_EXE_google");

#[tokio::test]
async fn every_recorded_event_comes_to_what_is_expected_within_its_role() {
    let (stack, stores, mut google) = answer_every_recorded_event("google", BINARY, &[]).await;
    let bearer = format!("Bearer {}", stack.id_token("ada@example.com"));
    let proof = Holder::new().proof("POST", "http://api.example.com/google", None);
    let headers = json!({"authorization": bearer, "dpop": proof});
    let answer = google.call(&http_event("POST", "/google", headers, None)).await;
    assert_eq!(answer["statusCode"], 200, "{answer}");
    stores.role.assert_just_enough();
}

#[tokio::test]
async fn the_log_says_which_client_id_is_missing_for_an_app_on_a_phone() {
    let stack = Stack::start().await;
    let mut claims = e2e::claims(&stack.id_token("ada@example.com"));
    claims["azp"] = json!("phone.apps.googleusercontent.com");
    let token = stack.google_key().sign("JWT", &claims).unwrap();
    let mut google = Function::start(BINARY, &stack, &[]).await;
    let headers = json!({"authorization": format!("Bearer {}", token.expose_secret())});
    let answer = google.call(&http_event("POST", "/google", headers, None)).await;
    assert_eq!(answer["statusCode"], 401, "{answer}");
    let printed = google.printed();
    assert!(printed.contains("azp (GOOGLE_CLIENT_IDS must list"), "{printed}");
    assert!(!answer.to_string().contains("azp"), "{answer}");
}

#[tokio::test]
async fn a_bad_setting_stops_it_and_is_named() {
    let stack = Stack::start().await;
    let text = refusal(BINARY, &stack, &[("GOOGLE_JWKS_URL", "canary")]).await;
    assert!(text.contains("GOOGLE_JWKS_URL") && !text.contains("canary"), "{text}");
}
