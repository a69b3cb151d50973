//! Two functions whose clocks differ.

use serde_json::json;
use shared::jose::jwt::LEEWAY;
use shared::runtime::clock;
use test_support::Stack;
use test_support::faults::{authorized, figure};

use crate::flows::{Flow, Kind};

/// By how much one clock is ahead of the other, in seconds.
const APART: [i64; 4] = [-20, -5, 5, 20];

#[tokio::test]
async fn clock_differences_within_the_leeway_are_accepted() {
    let stack = Stack::start().await;
    let (signer, verifier) =
        (Flow::start(&stack, Kind::ClientCredentials, 1).await, Flow::start(&stack, Kind::Bearer, 2).await);
    let now = clock::now() + 60;
    let allowed = async |ahead: i64| {
        let token = signer.ask(now.checked_add_signed(ahead).unwrap()).await.text("access_token");
        let event = authorized(json!({"authorization": format!("Bearer {token}")}));
        verifier.send(event, now).await.status == 200
    };
    for ahead in APART {
        assert!(allowed(ahead).await, "{ahead}");
    }
    let leeway = i64::try_from(LEEWAY).unwrap();
    assert!(allowed(leeway).await);
    assert!(!allowed(leeway + 1).await, "a token from the future");

    // Two functions refresh a token family in turn, and a response is lost at each step.
    let (mut one, mut other) =
        (Flow::start(&stack, Kind::Refresh, 3).await, Flow::start(&stack, Kind::Refresh, 4).await);
    let mut refreshes = 0;
    for ahead in APART {
        for _ in 0..5 {
            other.token = one.ask(now.checked_add_signed(ahead).unwrap()).await.text("refresh_token");
            one.token = other.ask(now).await.text("refresh_token");
            assert_eq!(
                one.token,
                other.ask(now.checked_add_signed(ahead).unwrap()).await.text("refresh_token")
            );
            refreshes += 3;
        }
    }
    figure(
        "clocks apart",
        format!("tokens accepted up to {LEEWAY} s ahead, {refreshes} refreshes between clocks 20 s apart"),
    );
}
