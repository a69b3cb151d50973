//! Five percent of all store requests fail with 500. Of another five percent the store applies the request and the
//! response is lost.

use std::sync::Arc;

use futures_util::future::join_all;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use shared::identity::secrets::{SecretKind, generate, hex_digest, random_id};
use shared::runtime::clock;
use shared::store::attempts::{AttemptOutcome, Attempts, Reservation};
use shared::store::clients::{Clients, Quota};
use shared::store::rate_limits::{Charge, RateLimits};
use shared::store::replay::ReplayStore;
use shared::store::table::{Item, StoreError, Table};
use shared::store::users::Users;
use test_support::events::{basic, form_event};
use test_support::faults::{authorized, figure, refresh, short_or_long};
use test_support::proxy::{Fault, Proxy};
use test_support::{PASSWORD, Stack, claims};
use tokio::task::JoinSet;

use crate::flows::{Answer, Flow, Kind};

const FAULTS: [(u64, Fault); 2] = [(5, Fault::Fail), (5, Fault::Reset)];

/// Repeats a request while the status is 503, and returns the response and the number of 503s.
async fn insist(flow: &Flow, now: u64) -> (Answer, usize) {
    for refused in 0..10 {
        let answer = flow.ask(now).await;
        if answer.status != 503 {
            return (answer, refused);
        }
    }
    panic!("{:?}: 503 ten times", flow.kind);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_family_is_lost_or_forked() {
    let stack = Arc::new(Stack::start().await);
    let steps = short_or_long(60, 1500);
    let mut chains = JoinSet::new();
    for number in 0..4 {
        let stack = stack.clone();
        chains.spawn(async move {
            let mut flow = Flow::start(&stack, Kind::Refresh, number).await;
            let now = clock::now();
            flow.proxy.shares(number as u64, &FAULTS);
            let mut refused = 0;
            for step in 0..steps {
                let (answer, before) = insist(&flow, now).await;
                assert_eq!(answer.status, 200, "step {step}: {answer:?}");
                let (again, after) = insist(&flow, now).await;
                let next = answer.text("refresh_token");
                assert_eq!(again.text("refresh_token"), next, "step {step}: one successor");
                flow.token = next;
                refused += before + after;
            }
            flow.proxy.heal();
            assert_eq!(flow.ask(now).await.status, 200, "the token family is active");
            assert!(flow.proxy.faults() > 0, "no fault was injected");
            (flow.proxy.faults(), refused)
        });
    }
    let (faults, refused) = chains.join_all().await.into_iter().fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    let refreshes = 4 * steps * 2;
    figure(
        "500s and lost answers, refresh",
        format!("{refreshes} refreshes, {faults} faults, {refused} 503s, no session lost, none forked"),
    );
}

/// Requests that must never be granted, with a flow for each.
async fn forbidden(stack: &Stack) -> Vec<(&'static str, Flow, Value)> {
    let now = clock::now();
    let mut all = Vec::new();
    let mut number = 0;
    let mut flow = async |kind| {
        number += 1;
        Flow::start(stack, kind, number).await
    };
    let grant = [("grant_type", "client_credentials")];
    let wrong = form_event(
        "/oauth2/token",
        basic("client-1", generate(SecretKind::ClientSecret).0.expose_secret()),
        &grant,
    );
    all.push(("a wrong secret", flow(Kind::ClientCredentials).await, wrong));

    let secret = stack.client("disabled", "a").await;
    Clients::new(stack.table()).set_disabled("disabled", true).await.unwrap();
    let disabled = form_event("/oauth2/token", basic("disabled", &secret), &grant);
    all.push(("a disabled client", flow(Kind::ClientCredentials).await, disabled));

    stack.user("disabled", "a").await;
    Users::new(stack.table()).set_disabled("disabled", true).await.unwrap();
    let disabled = form_event("/token", json!({}), &[("username", "disabled"), ("password", PASSWORD)]);
    all.push(("a disabled user", flow(Kind::Login).await, disabled));
    let wrong = form_event("/token", json!({}), &[("username", "user-1"), ("password", "wrong password")]);
    all.push(("a wrong password", flow(Kind::Login).await, wrong));

    let mut used = flow(Kind::Refresh).await;
    let first = used.token.clone();
    for _ in 0..2 {
        used.token = used.ask(now).await.text("refresh_token");
    }
    all.push(("a reused refresh token", used, refresh(&first)));

    let (unknown, _) = generate(SecretKind::ApiKey);
    let unknown = authorized(json!({"x-api-key": unknown.expose_secret()}));
    all.push(("an unknown API key", flow(Kind::ApiKey).await, unknown));

    let revoked = flow(Kind::Revoke).await;
    assert_eq!(revoked.ask(now).await.status, 200);
    let revoked = authorized(json!({"authorization": format!("Bearer {}", revoked.token)}));
    all.push(("a revoked token", flow(Kind::Bearer).await, revoked));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn store_faults_grant_nothing_forbidden() {
    let stack = Stack::start().await;
    let times = short_or_long(12, 400);
    let mut tasks = JoinSet::new();
    for (number, (name, flow, event)) in forbidden(&stack).await.into_iter().enumerate() {
        tasks.spawn(async move {
            flow.proxy.shares(number as u64, &FAULTS);
            let now = clock::now();
            // Far enough apart that no attempt limit rejects the sign-ins.
            let pause = if matches!(flow.kind, Kind::Login) { 900 } else { 1 };
            for round in 0..times {
                // Concurrently, because a wrong password takes at least half a second.
                let requests = [(); 4].map(|()| flow.send(event.clone(), now + round as u64 * pause));
                for answer in join_all(requests).await {
                    let refused = match answer.status {
                        403 | 500 => flow.kind.is_authorizers(),
                        400 | 401 | 429 | 503 => !flow.kind.is_authorizers(),
                        _ => false,
                    };
                    assert!(refused, "{name}: {answer:?}");
                }
            }
            assert!(flow.proxy.faults() > 0, "{name}: no fault was injected");
            flow.proxy.faults()
        });
    }
    let kinds = tasks.len();
    let faults: usize = tasks.join_all().await.iter().sum();
    figure(
        "500s and lost answers, wrong grants",
        format!("0 of {} in {kinds} kinds, {faults} faults", 4 * times * kinds),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_revocation_has_taken_effect() {
    let stack = Stack::start().await;
    let times = short_or_long(20, 500);
    let mut flow = Flow::start(&stack, Kind::Revoke, 0).await;
    flow.proxy.shares(0, &FAULTS);
    let secret = stack.client("backend", "").await;
    let now = clock::now();
    let mut refused = 0;
    for _ in 0..times {
        flow.token = stack.refresh_token("user-0", PASSWORD).await;
        let event =
            form_event("/oauth2/revoke", json!({}), &[("client_id", "latchkey"), ("token", &flow.token)]);
        while flow.send(event.clone(), now).await.status != 200 {
            refused += 1;
            assert!(refused < times, "no revocation succeeds");
        }
        let form = [("grant_type", "refresh_token"), ("refresh_token", flow.token.as_str())];
        let (status, body) = test_support::read(stack.post("/oauth2/token").form(&form)).await;
        assert_eq!((status, &body["error"]), (400, &json!("invalid_grant")));
    }
    assert!(!stack.token("backend", &secret).await.is_empty());
    let faults = flow.proxy.faults();
    assert!(faults > 0);
    figure(
        "500s and lost answers, revocation",
        format!("{times} sessions ended, {faults} faults, {refused} 503s, none lives on"),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_federated_sign_in_creates_one_user() {
    let stack = Stack::start().await;
    let times = short_or_long(30, 1000);
    let mut flow = Flow::start(&stack, Kind::Google, 0).await;
    flow.proxy.shares(0, &FAULTS);
    let now = clock::now();
    for round in 0..times {
        flow.token = stack.id_token_of(&format!("{round}@example.com"), now);
        let subject = async || claims(&insist(&flow, now).await.0.text("access_token"))["sub"].clone();
        assert_eq!(subject().await, subject().await);
    }
    let users = Users::new(stack.table()).list().await.unwrap();
    let made = users.iter().filter(|user| user.username.starts_with("usr_")).count();
    assert_eq!(made, times);
    let faults = flow.proxy.faults();
    assert!(faults > 0);
    figure(
        "500s and lost answers, first sign-ins",
        format!("{times} identities, {made} users, {faults} faults"),
    );
}

/// A table with injected faults.
async fn unreliable(stack: &Stack, seed: u64) -> (Proxy, Table) {
    let proxy = Proxy::start(&stack.running.environment["AWS_ENDPOINT_URL_DYNAMODB"]).await;
    proxy.shares(seed, &FAULTS);
    let table = stack.table_at(&proxy.url);
    (proxy, table)
}

fn attempts_in(items: &[Item], sort_key: &str) -> usize {
    let item = items.iter().find(|item| item["sk"].as_s().unwrap() == sort_key);
    item.map_or(0, |item| item["tries"].as_ss().unwrap().len())
}

#[tokio::test(flavor = "multi_thread")]
async fn password_attempts_are_counted_exactly() {
    let stack = Stack::start().await;
    let (proxy, table) = unreliable(&stack, 1).await;
    let attempts = Attempts::new(table);
    let hour = clock::now() / 3600 * 3600;
    let accounts = short_or_long(4, 100);
    let (mut counted, mut unanswered) = (0, 0);
    for account in 0..accounts {
        let name = format!("user-{account}");
        let (mut reserved, mut lost) = (0, 0);
        for source in 0..8 {
            // Twelve concurrent attempts, of which the limit allows ten.
            let source = format!("10.0.{account}.{source}");
            let outcomes = join_all((0..12).map(|_| attempts.reserve(&name, &source, hour))).await;
            let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
            let mut taken: Vec<_> = outcomes.into_iter().filter_map(reservation).collect();
            assert!(taken.len() <= 10 && taken.len() + failed >= 10, "{name} from {source}: {}", taken.len());
            (reserved, lost) = (reserved + taken.len(), lost + failed);
            if source.ends_with('7') {
                let good = taken.pop().expect("ten of them");
                match attempts.release(good).await {
                    Ok(()) => reserved -= 1,
                    // The sign-in succeeds though the release failed, so the attempt may stay.
                    Err(_) => (reserved, lost) = (reserved - 1, lost + 1),
                }
            }
        }
        let key = format!("ATTEMPT#account#{}", hex_digest(&name));
        let items = stack.table().partition(&key).await.unwrap();
        let found = attempts_in(&items, &format!("WINDOW#{hour}"));
        // Unanswered reservations may or may not have been counted.
        assert!((reserved..=reserved + lost).contains(&found), "{name}: {found} for {reserved}, {lost} lost");
        (counted, unanswered) = (counted + found, unanswered + lost);
    }
    let faults = proxy.faults();
    assert!(faults > 0);
    figure(
        "500s and lost answers, tries",
        format!(
            "{counted} counted at {accounts} accounts, 79 each, {unanswered} unanswered, {faults} faults"
        ),
    );
}

fn reservation(outcome: Result<AttemptOutcome, StoreError>) -> Option<Reservation> {
    match outcome {
        Ok(AttemptOutcome::Reserved(reservation)) => Some(reservation),
        Ok(AttemptOutcome::Locked | AttemptOutcome::TooMany(_)) | Err(_) => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn quota_tokens_are_counted_exactly() {
    let stack = Stack::start().await;
    let (proxy, table) = unreliable(&stack, 2).await;
    let quotas = RateLimits::for_tokens(table);
    let quota = Quota { tokens: short_or_long(100, 2000), seconds: 3600 };
    let now = clock::now();
    // Granted tokens and unanswered charges, which may have been counted.
    let charge = async |name: &str| match quotas.charge(name, &random_id(""), quota, now).await {
        Ok(Charge::Allowed) => (1, 0),
        Ok(Charge::Exceeded(_)) => (0, 0),
        Err(_) => (0, 1),
    };
    for at_once in [1, 8] {
        let name = format!("{at_once}-at-once");
        let before = proxy.faults();
        let (mut granted, mut unanswered) = (0, 0);
        for _ in 0..quota.tokens / at_once + 5 {
            for (one, lost) in join_all((0..at_once).map(|_| charge(&name))).await {
                (granted, unanswered) = (granted + one, unanswered + lost);
            }
        }
        let faults = proxy.faults() - before;
        assert!(faults > 0);
        figure(
            "500s and lost answers, quota",
            format!(
                "{granted} of {} granted, {at_once} at once, {unanswered} unanswered, {faults} faults",
                quota.tokens
            ),
        );
        assert!(granted <= quota.tokens && granted + unanswered >= quota.tokens);
    }
}

/// Four writers count 96 tokens a second for ten seconds. By DynamoDB's item size
/// (docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html) the counter never exceeds
/// one write unit.
#[tokio::test]
async fn a_quota_token_costs_one_write_unit() {
    let stack = Stack::start().await;
    let writers: Vec<_> = (0..4).map(|_| RateLimits::for_tokens(stack.table())).collect();
    let name = "c".repeat(128);
    let quota = Quota { tokens: 96 * 10, seconds: 86_400 };
    let today = clock::now() / 86_400 * 86_400;
    for number in 0..quota.tokens {
        let writer = &writers[number as usize % writers.len()];
        let charge = writer.charge(&name, &random_id(""), quota, today + number / 96).await.unwrap();
        assert_eq!(charge, Charge::Allowed);
    }
    let items = stack.table().partition(&format!("ATTEMPT#quota#{name}")).await.unwrap();
    let texts = items[0].iter().flat_map(|(name, value)| {
        let value = value.as_s().or_else(|value| value.as_n()).map(String::as_str);
        let value = value
            .map(|text| vec![text])
            .or_else(|value| value.as_ss().map(|texts| texts.iter().map(String::as_str).collect()));
        [vec![name.as_str()], value.unwrap()].concat()
    });
    let size: usize = texts.map(str::len).sum();
    assert_eq!(items.len(), 1);
    assert!(size <= 1024, "{size} bytes");
    let more = writers[0].charge(&name, &random_id(""), quota, today + 10).await.unwrap();
    assert_eq!(more, Charge::Exceeded(86_390), "every token is counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_charge_is_counted_once() {
    let stack = Stack::start().await;
    let (one, other) =
        (RateLimits::for_revocations(stack.table()), RateLimits::for_revocations(stack.table()));
    let quota = Quota { tokens: 2, seconds: 3600 };
    let now = clock::now() / 3600 * 3600;
    let charge = async |writer: &RateLimits, id| writer.charge("usr_1", id, quota, now).await.unwrap();
    for writer in [&one, &one, &other] {
        assert_eq!(charge(writer, "a").await, Charge::Allowed);
    }
    assert_eq!(charge(&other, "b").await, Charge::Allowed);
    assert_eq!(charge(&other, "b").await, Charge::Allowed, "a repeated charge of a used-up quota");
    assert_eq!(charge(&one, "c").await, Charge::Exceeded(3600));
}

#[tokio::test(flavor = "multi_thread")]
async fn single_use_tokens_are_accepted_once() {
    let stack = Stack::start().await;
    let (proxy, table) = unreliable(&stack, 3).await;
    let seen = ReplayStore::new(table);
    let times = short_or_long(50, 2000);
    let mut unanswered = 0;
    for id in 0..times {
        let id = id.to_string();
        let at_once = join_all((0..4).map(|_| seen.record_first_use("issuer", &id, u64::MAX))).await;
        let lost = at_once.iter().filter(|first| first.is_err()).count();
        let firsts = at_once.iter().filter(|first| matches!(first, Ok(true))).count();
        // An unanswered use may have been the first.
        assert!(firsts <= 1 && firsts + lost >= 1, "{id}: {at_once:?}");
        unanswered += lost;
    }
    let faults = proxy.faults();
    assert!(faults > 0);
    figure(
        "500s and lost answers, good once",
        format!(
            "{times} ids shown four times each, none good twice, {unanswered} unanswered, {faults} faults"
        ),
    );
}
