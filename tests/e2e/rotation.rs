//! Signing keys: rotation under load, interruption, revocation and outages.

use std::collections::{BTreeSet, VecDeque};

use futures_util::future::join_all;
use serde_json::{Value, json};
use shared::jose::algorithm::Algorithm;
use shared::jose::jwt::UnverifiedJwt;
use shared::jose::key::PublicKey;
use shared::jose::strict_object::StrictObject;
use shared::runtime::clock;
use shared::runtime::settings::Settings;
use shared::signing::rotation::{DEFAULT_LEAD, MAX_KEY_CACHE_AGE, RotationError};
use shared::signing::signing_secret::StoredKey;
use shared::trust::key_schedule::FALLBACK_WINDOW;
use shared::trust::published_keys::PublishedKey;
use shared::trust::store::TrustStore;
use test_support::Stack;
use test_support::events::event;
use test_support::proxy::{Cut, Proxy};

use crate::authorizer::bearer;
use crate::events::{basic, post_token};

const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];
const GRANT: [(&str, &str); 1] = [("grant_type", "client_credentials")];

/// Runs one step of a rotation. Its arguments are the function, its stack, and what Secrets Manager sends.
async fn try_step(
    deps: &rotation::Deps,
    stack: &Stack,
    step: &str,
    token: &str,
    now: u64,
) -> Result<(), rotation::Failure> {
    let secret_id = &stack.running.environment["SIGNING_SECRET_ID"];
    let event = json!({"Step": step, "SecretId": secret_id, "ClientRequestToken": token});
    rotation::handle(deps, serde_json::from_value(event).unwrap(), now).await
}

async fn step(deps: &rotation::Deps, stack: &Stack, step: &str, token: &str, now: u64) {
    try_step(deps, stack, step, token, now).await.unwrap();
}

async fn issue(deps: &token::Deps, secret: &str, now: u64) -> Result<String, u64> {
    let (status, body) = post_token(deps, basic("backend", secret), &GRANT, now).await;
    body["access_token"].as_str().map(str::to_owned).ok_or(status)
}

fn key_id(token: &str) -> String {
    UnverifiedJwt::parse(token, usize::MAX).unwrap().key_id().unwrap().to_owned()
}

/// A verifier that caches our JWKS for as long as any cache may: API Gateway's JWT authorizer behind an HTTP cache.
#[derive(Default)]
struct SlowVerifier {
    keys: Vec<Value>,
    loaded_at: Option<u64>,
}

impl SlowVerifier {
    async fn accepts(&mut self, trust: &TrustStore, token: &str, now: u64) -> bool {
        if self.loaded_at.is_none_or(|loaded_at| now >= loaded_at + MAX_KEY_CACHE_AGE) {
            (self.keys, self.loaded_at) = (trust.jwks(now).await.unwrap(), Some(now));
        }
        let wanted = key_id(token);
        let jwk = self.keys.iter().find(|jwk| jwk["kid"] == wanted.as_str());
        let key =
            jwk.map(|jwk| PublicKey::from_jwk(&serde_json::from_value::<StrictObject>(jwk.clone()).unwrap()));
        let jwt = UnverifiedJwt::parse(token, usize::MAX).unwrap();
        key.is_some_and(|key| jwt.verify(&key.unwrap()).is_ok())
    }
}

#[tokio::test]
async fn every_verifier_accepts_every_token_across_a_rotation() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "a").await;
    let trust = TrustStore::new(stack.table());
    // Ahead of the machine's clock, so that every cache uses the simulated time.
    let start = clock::now() + 60;
    let algorithm = [("SIGNING_ALGORITHM", "ES256")];
    let rotating = rotation::Deps::from_settings(&stack.settings(&algorithm)).unwrap();
    let settings = stack.settings(&[("TRUST_REFRESH_SECONDS", "15")]);
    let signers = [(); 3].map(|()| token::Deps::from_settings(&settings).unwrap());
    let verifiers = [(); 3].map(|()| authorizer::Deps::from_settings(&settings).unwrap());
    let mut slow = [SlowVerifier::default(), SlowVerifier::default()];
    // Caches that are filled before, during and after the rotation.
    let begins = [start, start + 32, start + 600];
    let mut moments: Vec<u64> = (0..DEFAULT_LEAD + MAX_KEY_CACHE_AGE + 1200).step_by(60).collect();
    moments.extend(25..45);
    moments.extend((DEFAULT_LEAD - 20..DEFAULT_LEAD + 120).step_by(2));
    moments.sort_unstable();
    moments.dedup();
    let mut signed_by: Vec<String> = Vec::new();
    let (mut count, mut last) = (0, VecDeque::new());
    for moment in moments {
        let now = start + moment;
        if let Some(index @ 0..4) = moment.checked_sub(30) {
            step(&rotating, &stack, STEPS[usize::try_from(index).unwrap()], &"rotation".repeat(5), now).await;
        }
        let schedule = stack.key_schedule().await;
        for (signer, _) in signers.iter().zip(begins).filter(|(_, begin)| *begin <= now) {
            let token = issue(signer, &secret, now).await.expect("a key signs at every moment");
            let kid = key_id(&token);
            let published = schedule
                .iter()
                .find(|scheduled| scheduled.key.kid == kid)
                .map(|scheduled| scheduled.published_at);
            assert!(published.is_some_and(|published| published <= now), "{moment}: not published");
            for (verifier, _) in verifiers.iter().zip(begins).filter(|(_, begin)| *begin <= now) {
                assert_eq!(bearer(verifier, &token, now).await["isAuthorized"], true, "{moment}");
            }
            for slow in &mut slow[..if moment < 300 { 1 } else { 2 }] {
                assert!(slow.accepts(&trust, &token, now).await, "{moment}: a slow cache");
            }
            if !signed_by.contains(&kid) {
                signed_by.push(kid);
            }
            count += 1;
            last.push_back((token, now));
        }
        // Verifies each token again just before it expires.
        while let Some((token, _)) = last.pop_front_if(|(_, issued_at)| *issued_at + 840 <= now) {
            assert_eq!(
                bearer(&verifiers[0], &token, now).await["isAuthorized"],
                true,
                "{moment}: an old token"
            );
            assert!(slow[0].accepts(&trust, &token, now).await, "{moment}: a slow cache, an old token");
        }
    }
    assert!(count > 1_500, "{count}");
    assert_eq!(signed_by.len(), 2, "both keys signed");
    let schedule = stack.key_schedule().await;
    let new = schedule.iter().last().unwrap();
    assert_eq!((new.key.algorithm(), &new.key.kid), (Some(Algorithm::Es256), &signed_by[1]));
    println!("{count} tokens across a rotation, each verified by up to 5 verifiers");
}

/// The simulated seconds of a rotation: its steps, the activation of the new key, and some between.
fn moments() -> impl Iterator<Item = (u64, Option<&'static str>)> {
    let steps = (0..).step_by(5).zip(STEPS.map(Some));
    let between = (30..DEFAULT_LEAD - 20).step_by(1200).map(|moment| (moment, None));
    let handover = (DEFAULT_LEAD - 20..DEFAULT_LEAD + 60).step_by(4).map(|moment| (moment, None));
    steps.chain(between).chain(handover)
}

#[tokio::test]
async fn rotations_under_load_invalidate_no_token() {
    const ROTATIONS: usize = 3;
    let stack = Stack::start().await;
    let secret = stack.client("backend", "a").await;
    let settings = stack.settings(&[("TRUST_REFRESH_SECONDS", "15"), ("SIGNING_ALGORITHM", "ES256")]);
    let rotating = rotation::Deps::from_settings(&settings).unwrap();
    let signers = [(); 4].map(|()| token::Deps::from_settings(&settings).unwrap());
    let verifiers = [(); 4].map(|()| authorizer::Deps::from_settings(&settings).unwrap());
    let mut signed_by = BTreeSet::new();
    let mut count = 0;
    let mut now = clock::now() + 60;
    for round in 0..ROTATIONS {
        let began = now;
        for (moment, name) in moments() {
            now = began + moment;
            let load = signers.iter().map(async |signer| {
                let mut signed_by = Vec::new();
                for _ in 0..3 {
                    let token = issue(signer, &secret, now).await.expect("a key signs at every moment");
                    for verifier in &verifiers {
                        assert_eq!(
                            bearer(verifier, &token, now).await["isAuthorized"],
                            true,
                            "{round}, {moment}"
                        );
                    }
                    signed_by.push(key_id(&token));
                }
                signed_by
            });
            let token = format!("a-rotation-under-load-number-{round}");
            let rotate = async {
                if let Some(name) = name {
                    step(&rotating, &stack, name, &token, now).await;
                }
            };
            let (by, ()) = tokio::join!(join_all(load), rotate);
            count += by.iter().flatten().count();
            signed_by.extend(by.into_iter().flatten());
        }
    }
    assert_eq!(signed_by.len(), ROTATIONS + 1, "every key signed");
    println!("{count} tokens in {ROTATIONS} rotations, each accepted by all of 4 verifiers");
}

#[tokio::test]
async fn a_rotation_interrupted_at_any_request_converges_when_repeated() {
    let stack = Stack::start().await;
    let stores = ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SECRETS_MANAGER"];
    let mut proxies = Vec::new();
    for store in stores {
        proxies.push(Proxy::start(&stack.running.environment[store]).await);
    }
    let through: Vec<_> =
        stores.iter().zip(&proxies).map(|(store, proxy)| (*store, proxy.url.as_str())).collect();
    let es256 = ("SIGNING_ALGORITHM", "ES256");
    let settings = |more: &[(&str, &str)]| -> Settings { stack.settings(&[&[es256], more].concat()) };
    let doomed = rotation::Deps::from_settings(&settings(&through)).unwrap();
    let healthy = rotation::Deps::from_settings(&settings(&[])).unwrap();
    let now = clock::now();
    let all = async |deps: &rotation::Deps, token: &str| {
        for name in STEPS {
            step(deps, &stack, name, token, now).await;
            assert!(stack.rotation().signs(now).await.unwrap(), "{name}");
        }
    };
    let requests = async |token: &str| {
        let before: Vec<_> = proxies.iter().map(Proxy::count).collect();
        all(&doomed, token).await;
        proxies.iter().zip(before).map(|(proxy, before)| proxy.count() - before).collect::<Vec<_>>()
    };
    let counts = requests("the-first-one-counts-its-requests").await;
    assert!(counts.iter().all(|count| *count > 4), "{counts:?}");
    for (index, (proxy, count)) in proxies.iter().zip(counts).enumerate() {
        for after in 0..count {
            for applied in [false, true] {
                let token = format!("a-rotation-cut-off-{index}-{after}-{applied}-somewhere");
                let before = stack.key_schedule().await.iter().count();
                proxy.cut(Cut { after, applied });
                tokio::select! {
                    () = all(&doomed, &token) => panic!("{token} was not cut off"),
                    () = proxy.was_cut() => {}
                }
                // If the rotation is never repeated, the previous key keeps signing.
                for later in [0, DEFAULT_LEAD, DEFAULT_LEAD + FALLBACK_WINDOW + 1, 400 * 86_400] {
                    assert!(stack.rotation().signs(now + later).await.unwrap(), "{token}: after {later} s");
                }
                all(&healthy, &token).await;
                let current = stack.secret().current().await.unwrap().unwrap();
                assert_eq!(current.id, token);
                let schedule = stack.key_schedule().await;
                assert_eq!(
                    schedule.iter().count(),
                    before + 1,
                    "{token}: one new key, however many attempts"
                );
                let newest = &schedule.iter().last().unwrap().key.kid;
                assert_eq!(newest, current.document.keys.last().unwrap().key_id(), "{token}");
            }
        }
    }
}

#[tokio::test]
async fn concurrent_rotations_lose_no_key() {
    let stack = Stack::start().await;
    let now = clock::now();
    let rotation = stack.rotation();
    for round in 0..10 {
        let rotate = || rotation.rotate(Algorithm::EdDsa, DEFAULT_LEAD, now);
        let (one, other) = tokio::join!(rotate(), rotate());
        for result in [&one, &other] {
            assert!(
                matches!(result, Ok(()) | Err(RotationError::Superseded | RotationError::NotCreated)),
                "{result:?}"
            );
        }
        assert!(one.is_ok() || other.is_ok() || round > 0, "{one:?} {other:?}");
        let held = stack.secret().current().await.unwrap().unwrap().document;
        let schedule = stack.key_schedule().await;
        for later in [0, DEFAULT_LEAD, DEFAULT_LEAD + FALLBACK_WINDOW + 1, 400 * 86_400] {
            assert!(rotation.signs(now + later).await.unwrap(), "after {later} s");
        }
        let newest = schedule.iter().filter(|scheduled| scheduled.signs_from.is_some()).last().unwrap();
        assert!(held.holds(&newest.key.kid), "the newest key is in the secret");
        for key in &held.keys {
            assert!(
                schedule.iter().any(|scheduled| scheduled.key.kid == key.key_id()),
                "every key of the secret is published"
            );
        }
    }
}

#[tokio::test]
async fn a_revoked_key_is_rejected_within_the_trust_interval_and_another_signs() {
    for pending in [false, true] {
        let stack = Stack::start().await;
        let secret = stack.client("backend", "a").await;
        let settings = stack.settings(&[("TRUST_REFRESH_SECONDS", "15")]);
        let signer = token::Deps::from_settings(&settings).unwrap();
        let verifier = authorizer::Deps::from_settings(&settings).unwrap();
        let now = clock::now();
        if pending {
            stack.rotate(Algorithm::Es256, DEFAULT_LEAD).await;
        }
        let leaked = issue(&signer, &secret, now).await.unwrap();
        assert_eq!(bearer(&verifier, &leaked, now).await["isAuthorized"], true);

        let revoked = key_id(&leaked);
        stack.rotation().revoke(&revoked, Algorithm::Es256, now).await.unwrap();
        assert_eq!(stack.key_schedule().await.iter().count(), 2, "the pending key or a new one replaces it");
        assert_eq!(
            bearer(&verifier, &leaked, now + 14).await["isAuthorized"],
            true,
            "until the trust snapshot is reloaded"
        );
        assert_eq!(bearer(&verifier, &leaked, now + 15).await["isAuthorized"], false);
        let fresh = issue(&signer, &secret, now + 15).await.unwrap();
        assert_ne!(key_id(&fresh), revoked);
        assert_eq!(bearer(&verifier, &fresh, now + 15).await["isAuthorized"], true);
        let jwks = TrustStore::new(stack.table()).jwks(now).await.unwrap();
        assert!(jwks.iter().all(|jwk| jwk["kid"] != revoked.as_str()), "{jwks:?}");

        // No later rotation restores it.
        stack.rotate(Algorithm::Es256, 0).await;
        let held = stack.secret().current().await.unwrap().unwrap().document;
        assert!(!held.holds(&revoked));
        let again = stack.rotation().revoke(&revoked, Algorithm::Es256, now + 20).await;
        assert!(matches!(again, Err(RotationError::UnknownKey)), "{again:?}");
    }
}

#[tokio::test]
async fn an_interrupted_rotation_does_not_restore_a_revoked_key() {
    let stack = Stack::start().await;
    let now = clock::now();
    let deps = rotation::Deps::from_settings(&stack.settings(&[])).unwrap();
    let token = "cut-off-when-its-key-was-published";
    step(&deps, &stack, "createSecret", token, now).await;
    step(&deps, &stack, "setSecret", token, now).await;
    let leaked = stack.key_schedule().await.iter().last().unwrap().key.kid.clone();
    stack.rotation().revoke(&leaked, Algorithm::Es256, now).await.unwrap();
    // Completing the rotation would activate the revoked key, so it is abandoned and another one starts.
    for name in &STEPS[1..] {
        assert!(try_step(&deps, &stack, name, token, now + 1).await.is_err(), "{name}");
    }
    stack.rotation().rotate(Algorithm::Es256, DEFAULT_LEAD, now + 2).await.unwrap();
    let held = stack.secret().current().await.unwrap().unwrap().document;
    let newest = stack.key_schedule().await.iter().last().unwrap().key.clone();
    assert!(!held.holds(&leaked) && held.holds(&newest.kid));
    let schedule = stack.key_schedule().await;
    assert!(
        schedule.iter().any(|scheduled| scheduled.key.kid == leaked && scheduled.revoked),
        "the schedule keeps the revoked key"
    );
}

#[tokio::test]
async fn a_superseded_rotation_does_not_block_the_next() {
    let stack = Stack::start().await;
    let now = clock::now();
    let deps = rotation::Deps::from_settings(&stack.settings(&[])).unwrap();
    let token = "superseded-by-a-faster-rotation-1";
    step(&deps, &stack, "createSecret", token, now).await;
    // A rotation by hand that ignores the pending label.
    let other = stack.secret().version(token).await.unwrap().unwrap().document;
    let mut document = stack.secret().current().await.unwrap().unwrap().document;
    document.keys.push(other.keys.last().unwrap().clone());
    document.keys.push(StoredKey::generate(Algorithm::Es256).unwrap());
    let faster = "written-by-hand-and-taken-into-use";
    let current = stack.secret().current().await.unwrap().unwrap().id;
    let trust = TrustStore::new(stack.table());
    step(&deps, &stack, "setSecret", token, now).await;
    let jwk = document.keys.last().unwrap().parse().unwrap().public_jwk().to_string();
    let kid = document.keys.last().unwrap().key_id().to_owned();
    trust
        .update_keys(|keys| keys.publish(PublishedKey { kid: kid.clone(), jwk: jwk.clone() }, now))
        .await
        .unwrap();
    stack.secret().put_pending(faster, &document).await.unwrap();
    stack.secret().make_current(faster, Some(&current)).await.unwrap();
    assert!(try_step(&deps, &stack, "finishSecret", token, now).await.is_err());
    assert!(stack.secret().pending().await.unwrap().is_none(), "no pending label blocks the next rotation");
    step(&deps, &stack, "createSecret", "the-next-rotation-of-the-schedule", now).await;
}

#[tokio::test]
async fn a_key_is_revoked_though_no_replacement_can_be_stored() {
    let stack = Stack::start().await;
    let now = clock::now();
    let kid = stack.key_schedule().await.iter().last().unwrap().key.kid.clone();
    let down = stack.secret_at("http://127.0.0.1:9");
    let rotation = shared::signing::rotation::Rotation::new(down, TrustStore::new(stack.table()));
    assert!(matches!(rotation.revoke(&kid, Algorithm::Es256, now).await, Err(RotationError::Secret(_))));
    assert!(!stack.key_schedule().await.iter().any(|scheduled| scheduled.is_trusted(now)));
    stack.rotate(Algorithm::Es256, DEFAULT_LEAD).await;
    assert!(
        stack.rotation().signs(clock::now()).await.unwrap(),
        "without another trusted key the new one signs at once"
    );
}

#[tokio::test]
async fn the_previous_key_signs_through_an_hour_of_secrets_manager_outage() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "a").await;
    let proxy = Proxy::start(&stack.running.environment["AWS_ENDPOINT_URL_SECRETS_MANAGER"]).await;
    let settings = stack.settings(&[("AWS_ENDPOINT_URL_SECRETS_MANAGER", &proxy.url)]);
    let signer = token::Deps::from_settings(&settings).unwrap();
    let verifier = authorizer::Deps::from_settings(&settings).unwrap();
    let now = clock::now();
    let before = key_id(&issue(&signer, &secret, now).await.unwrap());
    stack.rotate(Algorithm::Es256, DEFAULT_LEAD).await;
    // The function cached the secret just before the new key was added.
    proxy.refuse();
    let stale = now + FALLBACK_WINDOW - 1;
    let token = issue(&signer, &secret, stale).await.unwrap();
    assert_eq!(key_id(&token), before);
    assert_eq!(bearer(&verifier, &token, stale).await["isAuthorized"], true);
    assert_eq!(
        issue(&signer, &secret, now + FALLBACK_WINDOW).await,
        Err(503),
        "after an hour nothing is signed"
    );
    let cold = token::Deps::from_settings(&settings).unwrap();
    assert_eq!(issue(&cold, &secret, now).await, Err(503));
    proxy.heal();
    let activated = now + DEFAULT_LEAD + 5;
    let token = issue(&signer, &secret, activated).await.unwrap();
    assert_ne!(key_id(&token), before);
    assert_eq!(bearer(&verifier, &token, activated).await["isAuthorized"], true);
}

#[tokio::test]
async fn the_jwks_is_unavailable_before_the_first_key() {
    let stack = Stack::start().await;
    stack.table().delete(shared::store::table::Key::new("TRUST", "", "JWKS")).await.unwrap();
    let deps = discovery::Deps::from_settings(&stack.settings(&[])).unwrap();
    let answer = crate::events::call(&event("discovery/jwks.json", &[]), |request| {
        discovery::handle(&deps, request, clock::now())
    })
    .await;
    assert_eq!(answer["statusCode"], 503, "caches would keep an empty set for an hour");
}
