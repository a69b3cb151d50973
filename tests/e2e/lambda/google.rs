//! Sign-in with Google as a process on Lambda.

use secrecy::ExposeSecret;
use serde_json::json;
use test_support::events::http_event;
use test_support::lambda::{Function, binary};
use test_support::proofs::Holder;
use test_support::{Stack, lambda_contract_tests};

lambda_contract_tests! {
    "google",
    then: exchange_with_a_proof,
    bad_settings: [("GOOGLE_JWKS_URL", "canary")],
}

async fn exchange_with_a_proof(stack: &Stack, mut google: Function) {
    let bearer = format!("Bearer {}", stack.id_token("ada@example.com"));
    let proof = Holder::new().proof("POST", "http://api.example.com/google", None);
    let headers = json!({"authorization": bearer, "dpop": proof});
    let answer = google.call(&http_event("POST", "/google", headers, None)).await;
    assert_eq!(answer["statusCode"], 200, "{answer}");
}

#[tokio::test]
async fn the_log_names_the_setting_for_an_unlisted_authorized_party() {
    let stack = Stack::start().await;
    let mut claims = test_support::claims(&stack.id_token("ada@example.com"));
    claims["azp"] = json!("phone.apps.googleusercontent.com");
    let token = stack.google_key().sign("JWT", &claims).unwrap();
    let mut google = Function::start(binary("google"), &stack, &[]).await;
    let headers = json!({"authorization": format!("Bearer {}", token.expose_secret())});
    let answer = google.call(&http_event("POST", "/google", headers, None)).await;
    assert_eq!(answer["statusCode"], 401, "{answer}");
    let printed = google.printed();
    assert!(printed.contains("azp (GOOGLE_CLIENT_IDS must list"), "{printed}");
    assert!(!answer.to_string().contains("azp"), "{answer}");
}
