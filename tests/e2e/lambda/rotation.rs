//! The rotation as a process on Lambda.

use serde_json::{Value, json};
use shared::runtime::clock;
use shared::signing::rotation::MAX_KEY_CACHE_AGE;
use test_support::lambda::{Function, binary};
use test_support::{Stack, lambda_contract_tests};

const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

lambda_contract_tests! {
    "rotation",
    bad_settings: [("TABLE_NAME", ""), ("SIGNING_SECRET_ID", ""), ("SIGNING_ALGORITHM", "HS256")],
}

fn event(stack: &Stack, step: &str, token: &str) -> Value {
    let secret_id = &stack.running.environment["SIGNING_SECRET_ID"];
    json!({"Step": step, "SecretId": secret_id, "ClientRequestToken": token})
}

#[tokio::test]
async fn a_rotation_killed_after_any_step_converges_when_repeated() {
    let stack = Stack::start().await;
    for (round, steps) in (0..=STEPS.len()).enumerate() {
        let token = format!("a-rotation-that-is-killed-in-round-{round}");
        let algorithm = [("SIGNING_ALGORITHM", ["RS256", "ES256", "EdDSA"][round % 3])];
        let before = stack.key_schedule().await.iter().count();
        let mut killed = Function::start(binary("rotation"), &stack, &algorithm).await;
        for step in &STEPS[..steps] {
            killed.call(&event(&stack, step, &token)).await;
            assert!(stack.rotation().signs(clock::now()).await.unwrap(), "{step}");
        }
        drop(killed);
        let mut whole = Function::start(binary("rotation"), &stack, &algorithm).await;
        for step in STEPS.iter().chain(&STEPS) {
            whole.call(&event(&stack, step, &token)).await;
            assert!(stack.rotation().signs(clock::now()).await.unwrap(), "{step}");
        }
        let current = stack.secret().current().await.unwrap().unwrap();
        assert_eq!(current.id, token);
        let schedule = stack.key_schedule().await;
        let new = schedule.iter().last().unwrap();
        assert_eq!(schedule.iter().count(), before + 1, "one new key, however many attempts");
        assert_eq!(new.key.algorithm().unwrap().name(), algorithm[0].1);
        assert!(
            new.signs_from.unwrap() - new.published_at > MAX_KEY_CACHE_AGE,
            "published for longer than any cache keeps the JWKS"
        );
        assert_eq!(new.key.kid, current.document.keys.last().unwrap().key_id());
    }
}

#[tokio::test]
async fn a_step_out_of_order_and_another_secret_are_rejected() {
    let stack = Stack::start().await;
    let before = stack.key_schedule().await;
    let mut rotation = Function::start(binary("rotation"), &stack, &[]).await;
    for step in &STEPS[1..] {
        let error = rotation.failure(&event(&stack, step, "no-version-was-created-with-this-id")).await;
        assert!(error.to_string().contains("start the rotation with createSecret"), "{error}");
    }
    let mut other = event(&stack, "createSecret", "a-rotation-of-a-secret-of-others");
    other["SecretId"] = json!("other");
    assert!(rotation.failure(&other).await.to_string().contains("another secret"));
    rotation.failure(&json!({"Step": "deleteSecret"})).await;
    assert!(stack.key_schedule().await == before);
}
