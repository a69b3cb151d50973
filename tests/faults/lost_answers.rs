//! A twentieth of all requests to the store fails with 500, and of another twentieth the answer is lost
//! though the store has done as it was told.

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

/// Asks as a client does that is told to try again; the answer, and how often it was told so.
async fn insist(flow: &Flow, now: u64) -> (Answer, usize) {
    for refused in 0..10 {
        let answer = flow.ask(now).await;
        if answer.status != 503 {
            return (answer, refused);
        }
    }
    panic!("{:?}: ten times 503", flow.kind);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_is_lost_and_none_is_forked() {
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
            assert_eq!(flow.ask(now).await.status, 200, "and the chain goes on");
            assert!(flow.proxy.faults() > 0, "no fault was met");
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

/// What must not be granted, in whatever state the store is.
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
    all.push(("a refresh token that was used before", used, refresh(&first)));

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
async fn nothing_is_granted_that_should_not_be() {
    let stack = Stack::start().await;
    let times = short_or_long(12, 400);
    let mut tasks = JoinSet::new();
    for (number, (name, flow, event)) in forbidden(&stack).await.into_iter().enumerate() {
        tasks.spawn(async move {
            flow.proxy.shares(number as u64, &FAULTS);
            let now = clock::now();
            // Of sign-ins, what refuses them must not be that there were too many.
            let pause = if matches!(flow.kind, Kind::Login) { 900 } else { 1 };
            for round in 0..times {
                // A wrong password takes half a second at least: they are asked for beside each other.
                let both = [(); 4].map(|()| flow.send(event.clone(), now + round as u64 * pause));
                for answer in join_all(both).await {
                    let refused = match answer.status {
                        403 | 500 => flow.kind.is_authorizers(),
                        400 | 401 | 429 | 503 => !flow.kind.is_authorizers(),
                        _ => false,
                    };
                    assert!(refused, "{name}: {answer:?}");
                }
            }
            assert!(flow.proxy.faults() > 0, "{name} met no fault");
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
async fn what_is_said_to_be_revoked_is() {
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
            assert!(refused < times, "it never works");
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
async fn whoever_signs_in_for_the_first_time_becomes_one_user() {
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

/// The table, whose answers get lost.
async fn unreliable(stack: &Stack, seed: u64) -> (Proxy, Table) {
    let proxy = Proxy::start(&stack.running.environment["AWS_ENDPOINT_URL_DYNAMODB"]).await;
    proxy.shares(seed, &FAULTS);
    let table = stack.table_at(&proxy.url);
    (proxy, table)
}

fn tries(items: &[Item], sort_key: &str) -> usize {
    let item = items.iter().find(|item| item["sk"].as_s().unwrap() == sort_key);
    item.map_or(0, |item| item["tries"].as_ss().unwrap().len())
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_at_a_password_are_counted_exactly() {
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
            // Twelve at once, of which the limit lets ten pass.
            let source = format!("10.0.{account}.{source}");
            let turns = join_all((0..12).map(|_| attempts.reserve(&name, &source, hour))).await;
            let failed = turns.iter().filter(|turn| turn.is_err()).count();
            let mut taken: Vec<_> = turns.into_iter().filter_map(reservation).collect();
            assert!(taken.len() <= 10 && taken.len() + failed >= 10, "{name} from {source}: {}", taken.len());
            (reserved, lost) = (reserved + taken.len(), lost + failed);
            if source.ends_with('7') {
                let good = taken.pop().expect("ten of them");
                match attempts.release(good).await {
                    Ok(()) => reserved -= 1,
                    // It may stay: whoever signs in is not kept waiting for it.
                    Err(_) => (reserved, lost) = (reserved - 1, lost + 1),
                }
            }
        }
        let key = format!("ATTEMPT#account#{}", hex_digest(&name));
        let items = stack.table().partition(&key).await.unwrap();
        let found = tries(&items, &format!("WINDOW#{hour}"));
        // What nobody was told of may have been counted, and nothing else.
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

fn reservation(turn: Result<AttemptOutcome, StoreError>) -> Option<Reservation> {
    match turn {
        Ok(AttemptOutcome::Reserved(reservation)) => Some(reservation),
        Ok(AttemptOutcome::Locked | AttemptOutcome::TooMany(_)) | Err(_) => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_a_quota_are_counted_exactly() {
    let stack = Stack::start().await;
    let (proxy, table) = unreliable(&stack, 2).await;
    let quotas = RateLimits::for_tokens(table);
    let quota = Quota { tokens: short_or_long(100, 2000), seconds: 3600 };
    let now = clock::now();
    // None that were not answered: those may have been counted.
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

/// Four writers, 96 tokens a second for ten seconds: as DynamoDB weighs an item
/// (docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html), the counter is never
/// larger than one write unit.
#[tokio::test]
async fn a_token_of_a_quota_costs_one_write_unit() {
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
    let weight: usize = texts.map(str::len).sum();
    assert!(items.len() == 1 && weight <= 1024, "{weight} bytes");
    let more = writers[0].charge(&name, &random_id(""), quota, today + 10).await.unwrap();
    assert_eq!(more, Charge::Exceeded(86_390), "and every token is counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thing_that_is_counted_again_is_counted_once() {
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
    assert_eq!(charge(&other, "b").await, Charge::Allowed, "though there are no more");
    assert_eq!(charge(&one, "c").await, Charge::Exceeded(3600));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_good_once_is_good_once() {
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
        // Who was not answered may have been the first.
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
