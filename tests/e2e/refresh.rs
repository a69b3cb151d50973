//! Sessions: refresh tokens from their birth to their end.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use shared::identity::refresh_token::RefreshToken;
use shared::identity::secrets::{SecretKind, generate};
use shared::passwords::hash::PasswordHash;
use shared::runtime::clock;
use shared::store::clients::{Clients, GrantType};
use shared::store::token_families::{Life, TokenFamilies, TokenStatus};
use shared::store::users::Users;
use test_support::proxy::{Cut, Proxy};
use test_support::{PASSWORD, Stack, claims, read};
use tokio::task::JoinSet;

use crate::events::{basic, call, form_event, post_token, status_and_body};

const DAY: u64 = 86_400;

/// A refresh over HTTP, by somebody who signed in without a client.
async fn refresh(stack: &Stack, token: &str, more: &[(&str, &str)]) -> (u16, Value) {
    let form = [&[("grant_type", "refresh_token"), ("refresh_token", token)], more].concat();
    read(stack.post("/oauth2/token").form(&form)).await
}

/// A refresh at some other time.
async fn refresh_at(deps: &token::Deps, token: &str, now: u64) -> (u64, Value) {
    post_token(deps, json!({}), &[("grant_type", "refresh_token"), ("refresh_token", token)], now).await
}

pub fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_else(|| panic!("no {name} in {body}")).to_owned()
}

pub fn invalid_grant(answer: &(u64, Value)) -> bool {
    answer.0 == 400 && answer.1["error"] == "invalid_grant"
}

async fn ready() -> (Stack, token::Deps, String) {
    let stack = Stack::start().await;
    stack.user("ada", "a b").await;
    let deps = token::Deps::from_settings(&stack.settings(&[])).unwrap();
    let first = stack.refresh_token("ada", PASSWORD).await;
    (stack, deps, first)
}

#[tokio::test]
async fn each_refresh_yields_an_access_token_and_the_next_refresh_token() {
    let stack = Stack::start().await;
    stack.user("ada", "todo:read").await;
    let signed_in =
        read(stack.post("/login").json(&json!({"username": "ada", "password": PASSWORD}))).await.1;
    let mut token = text(&signed_in, "refresh_token");
    let mut seen = BTreeSet::from([token.clone()]);
    for _ in 0..5 {
        let (status, body) = refresh(&stack, &token, &[]).await;
        assert_eq!(
            (status, &body["scope"], &body["token_type"]),
            (200, &json!("todo:read"), &json!("Bearer"))
        );
        let access_token = text(&body, "access_token");
        assert_eq!(read(stack.get("/todo").bearer_auth(&access_token)).await.0, 200);
        let (before, after) = (claims(&text(&signed_in, "access_token")), claims(&access_token));
        for name in ["sub", "client_id", "sid", "preferred_username", "aud", "iss"] {
            assert_eq!(before[name], after[name], "{name}");
        }
        assert_ne!(before["jti"], after["jti"]);
        token = text(&body, "refresh_token");
        assert!(seen.insert(token.clone()), "no refresh token comes twice");
    }
}

#[tokio::test]
async fn machines_get_no_refresh_token() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "a").await;
    let form = [("grant_type", "client_credentials")];
    let (_, body) = read(stack.post("/oauth2/token").basic_auth("backend", Some(&secret)).form(&form)).await;
    assert_eq!((body.get("refresh_token"), claims(&text(&body, "access_token")).get("sid")), (None, None));
}

#[tokio::test]
async fn asking_again_within_the_grace_yields_the_same_successor() {
    let (_stack, deps, first) = ready().await;
    let now = clock::now();
    let second = text(&refresh_at(&deps, &first, now).await.1, "refresh_token");
    for later in [0, 1, 60] {
        assert_eq!(text(&refresh_at(&deps, &first, now + later).await.1, "refresh_token"), second);
    }
    assert_eq!(refresh_at(&deps, &second, now + 60).await.0, 200, "and the chain goes on");
}

#[tokio::test]
async fn a_token_that_is_used_again_ends_the_whole_session() {
    let (stack, deps, first) = ready().await;
    let now = clock::now();
    let body = refresh_at(&deps, &first, now).await.1;
    let second = text(&body, "refresh_token");
    assert!(invalid_grant(&refresh_at(&deps, &first, now + 61).await));
    assert!(
        invalid_grant(&refresh_at(&deps, &second, now + 61).await),
        "the thief's or the owner's: both end"
    );
    let authorizer = authorizer::Deps::from_settings(&stack.settings(&[])).unwrap();
    let access_token = text(&body, "access_token");
    let answer = crate::authorizer::bearer(&authorizer, &access_token, now + 61).await;
    assert_eq!(answer["isAuthorized"], false, "its access tokens too");
}

#[tokio::test]
async fn a_grandparent_ends_the_session_even_within_the_grace() {
    let (_stack, deps, first) = ready().await;
    let now = clock::now();
    let second = text(&refresh_at(&deps, &first, now).await.1, "refresh_token");
    let third = text(&refresh_at(&deps, &second, now).await.1, "refresh_token");
    assert!(invalid_grant(&refresh_at(&deps, &first, now).await));
    assert!(invalid_grant(&refresh_at(&deps, &third, now).await));
}

#[tokio::test]
async fn fifty_refreshes_at_once_yield_one_successor() {
    let (stack, _, first) = ready().await;
    let stack = Arc::new(stack);
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let (stack, first) = (stack.clone(), first.clone());
        tasks.spawn(async move { refresh(&stack, &first, &[]).await });
    }
    let answers = tasks.join_all().await;
    let successors: BTreeSet<String> = answers
        .iter()
        .map(|(status, body)| {
            assert_eq!(*status, 200, "{body}");
            text(body, "refresh_token")
        })
        .collect();
    assert_eq!(successors.len(), 1);
    assert_eq!(refresh(&stack, successors.first().unwrap(), &[]).await.0, 200, "and the chain goes on");
}

/// The function dies at some step, before or after the store has done it; its client asks again.
#[tokio::test]
async fn after_a_crash_at_any_step_the_clients_retry_succeeds() {
    const STEPS: usize = 3;
    let (stack, healthy, mut token) = ready().await;
    let proxy = Proxy::start(&stack.running.environment["AWS_ENDPOINT_URL_DYNAMODB"]).await;
    let settings = stack.settings(&[("AWS_ENDPOINT_URL_DYNAMODB", &proxy.url)]);
    let doomed = token::Deps::from_settings(&settings).unwrap();
    let now = clock::now();
    doomed.warm_up(now).await;
    let before = proxy.count();
    token = text(&refresh_at(&doomed, &token, now).await.1, "refresh_token");
    assert_eq!(proxy.count() - before, STEPS, "one read of the session, one of the user, one write");
    for round in 0..1000 {
        proxy.cut(Cut { after: round % STEPS, applied: round / STEPS % 2 == 1 });
        tokio::select! {
            answer = refresh_at(&doomed, &token, now) => panic!("round {round} was not cut: {answer:?}"),
            () = proxy.was_cut() => {}
        }
        let (status, body) = refresh_at(&healthy, &token, now + 1).await;
        assert_eq!(status, 200, "round {round}: {body}");
        let next = text(&body, "refresh_token");
        let again = refresh_at(&healthy, &token, now + 1).await.1;
        assert_eq!(text(&again, "refresh_token"), next, "round {round}: one live successor");
        token = next;
    }
}

#[tokio::test]
async fn the_scope_can_be_narrowed_and_never_widened() {
    let (stack, deps, first) = ready().await;
    let now = clock::now();
    let ask = async |token: &str, scope: &str| {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)];
        post_token(&deps, json!({}), &form, now).await
    };
    for scope in ["admin", "a admin", "a  b"] {
        assert_eq!(ask(&first, scope).await.1["error"], "invalid_scope", "{scope}");
    }
    let (_, narrow) = ask(&first, "a").await;
    assert_eq!(narrow["scope"], "a");
    let (_, full) = ask(&text(&narrow, "refresh_token"), "").await;
    assert_eq!(full["scope"], "a b", "a narrow refresh does not narrow the session (RFC 6749 §6)");
    // A session of less than the user may have stays at that.
    let form = [("username", "ada"), ("password", PASSWORD), ("scope", "b")];
    let small = text(&read(stack.post("/token").form(&form)).await.1, "refresh_token");
    assert_eq!(ask(&small, "a").await.1["error"], "invalid_scope");
    assert_eq!(ask(&small, "").await.1["scope"], "b");
}

#[tokio::test]
async fn the_resource_stays_the_same() {
    let (stack, _, _) = ready().await;
    let deps = token::Deps::from_settings(&stack.settings(&[("AUDIENCE", "latchkey,other")])).unwrap();
    let now = clock::now();
    let first = stack.refresh_token("ada", PASSWORD).await;
    let ask = async |token: &str, target: &[(&str, &str)]| {
        let form = [&[("grant_type", "refresh_token"), ("refresh_token", token)], target].concat();
        post_token(&deps, json!({}), &form, now).await
    };
    for target in [
        &[("resource", "other")][..],
        &[("audience", "other")],
        &[("resource", "latchkey"), ("resource", "other")],
        &[("resource", "latchkey"), ("audience", "other")],
    ] {
        assert_eq!(ask(&first, target).await.1["error"], "invalid_target", "{target:?}");
    }
    let mut token = first;
    for target in [
        &[("resource", "latchkey")][..],
        &[("audience", "latchkey")],
        &[("resource", "latchkey"), ("resource", "latchkey")],
    ] {
        let (status, body) = ask(&token, target).await;
        assert_eq!((status, &claims(&text(&body, "access_token"))["aud"]), (200, &json!("latchkey")));
        token = text(&body, "refresh_token");
    }
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle_and_when_its_time_is_over() {
    let (stack, _, first) = ready().await;
    let settings = [("REFRESH_TOKEN_TTL_SECONDS", "864000"), ("REFRESH_TOKEN_IDLE_SECONDS", "86400")];
    let deps = token::Deps::from_settings(&stack.settings(&settings)).unwrap();
    let now = clock::now();
    // The local stack's own settings made it: a week without use, thirty days at most. Today's shorter ones count.
    assert!(invalid_grant(&refresh_at(&deps, &first, now + DAY + 1).await));
    let mut token = text(&refresh_at(&deps, &first, now).await.1, "refresh_token");
    assert!(invalid_grant(&refresh_at(&deps, &token, now + DAY).await), "a day without use");
    for day in 1..=10 {
        let answer = refresh_at(&deps, &token, now + day * DAY - 10 * day).await;
        assert_eq!(answer.0, 200, "day {day}: {}", answer.1);
        token = text(&answer.1, "refresh_token");
    }
    assert!(
        invalid_grant(&refresh_at(&deps, &token, now + 10 * DAY + 5).await),
        "used every day, over all the same"
    );
}

#[tokio::test]
async fn a_session_dies_with_its_users_password_and_with_the_user() {
    let (stack, deps, _) = ready().await;
    let now = clock::now();
    let users = Users::new(stack.table());
    let hash = PasswordHash::of("ada", &PASSWORD.into()).unwrap();

    let token = stack.refresh_token("ada", PASSWORD).await;
    let read = users.get("ada").await.unwrap().unwrap().password_hash.unwrap();
    users.renew_hash("ada", &read, &hash).await.unwrap();
    users.renew_hash("ada", &read, &hash).await.expect("a retry of what was applied");
    let late = PasswordHash::of("ada", &PASSWORD.into()).unwrap();
    assert!(users.renew_hash("ada", &read, &late).await.is_err(), "another hash is there by now");
    assert_eq!(
        refresh_at(&deps, &token, now).await.0,
        200,
        "a new hash of the same password changes nothing"
    );

    let token = stack.refresh_token("ada", PASSWORD).await;
    users.set_password("ada", &hash).await.unwrap();
    assert!(invalid_grant(&refresh_at(&deps, &token, now).await), "another password");

    let token = stack.refresh_token("ada", PASSWORD).await;
    users.set_disabled("ada", true).await.unwrap();
    assert!(invalid_grant(&refresh_at(&deps, &token, now).await), "disabled");
    users.set_disabled("ada", false).await.unwrap();
    assert!(invalid_grant(&refresh_at(&deps, &token, now).await), "it stays dead");

    let token = stack.refresh_token("ada", PASSWORD).await;
    users.delete("ada").await.unwrap();
    assert!(invalid_grant(&refresh_at(&deps, &token, now).await), "deleted");
    stack.user("ada", "a b").await;
    assert!(invalid_grant(&refresh_at(&deps, &token, now).await), "another user of that name");
}

#[tokio::test]
async fn a_user_who_lost_a_scope_loses_it_in_the_session_too() {
    let (stack, deps, first) = ready().await;
    stack
        .table()
        .set(shared::store::table::Key::new("USER#", "ada", "PROFILE"), &json!({"scopes": ["b"]}))
        .await
        .unwrap();
    assert_eq!(refresh_at(&deps, &first, clock::now()).await.1["scope"], "b");
}

/// Google's word, exchanged by a client that authenticates itself: a session of that client's.
async fn session_of(stack: &Stack, deps: &token::Deps, client_id: &str, secret: &str) -> String {
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
        ("subject_token", &stack.id_token("ada@example.com")),
    ];
    let (status, body) = post_token(deps, basic(client_id, secret), &form, clock::now()).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(claims(&text(&body, "access_token"))["client_id"], client_id);
    text(&body, "refresh_token")
}

#[tokio::test]
async fn a_refresh_token_is_bound_to_its_client() {
    let (stack, _, first_partys) = ready().await;
    let google = format!("{}=app", stack.running.environment["GOOGLE_CLIENT_IDS"]);
    let deps = token::Deps::from_settings(&stack.settings(&[("GOOGLE_CLIENT_IDS", &google)])).unwrap();
    let grants = [GrantType::ClientCredentials, GrantType::RefreshToken, GrantType::TokenExchange];
    let app = stack.client_with("app", "a", |client| client.grants = grants.into()).await;
    let other = stack.client_with("other", "a", |client| client.grants = grants.into()).await;
    let machine = stack.client("machine", "a").await;
    let token = session_of(&stack, &deps, "app", &app).await;
    let now = clock::now();
    let ask = async |headers: Value, token: &str, more: &[(&str, &str)]| {
        let form = [&[("grant_type", "refresh_token"), ("refresh_token", token)], more].concat();
        post_token(&deps, headers, &form, now).await
    };
    assert!(invalid_grant(&ask(basic("other", &other), &token, &[]).await), "another client's");
    assert!(invalid_grant(&ask(json!({}), &token, &[]).await), "without the client's authentication");
    assert!(invalid_grant(&ask(json!({}), &token, &[("client_id", "latchkey")]).await));
    assert_eq!(ask(json!({}), &token, &[("client_id", "app")]).await.1["error"], "invalid_client");
    assert_eq!(ask(basic("app", &other), &token, &[]).await.1["error"], "invalid_client");
    assert!(
        invalid_grant(&ask(basic("app", &app), &first_partys, &[]).await),
        "somebody's who needs no client"
    );
    assert!(invalid_grant(&ask(basic("machine", &machine), &token, &[]).await));
    assert_eq!(ask(basic("app", &app), &token, &[]).await.0, 200, "none of this did it any harm");
    assert_eq!(ask(json!({}), &first_partys, &[]).await.0, 200);
    let clients = Clients::new(stack.table());
    clients.set_disabled("app", true).await.unwrap();
    assert_eq!(
        ask(basic("app", &app), &token, &[]).await.1["error"],
        "invalid_client",
        "as if it were unknown"
    );
    clients.set_disabled("app", false).await.unwrap();
    let key = shared::store::table::Key::new("CLIENT#", "app", "PROFILE");
    stack.table().set(key, &json!({"grants": ["client_credentials"]})).await.unwrap();
    assert_eq!(
        ask(basic("app", &app), &token, &[]).await.1["error"],
        "unauthorized_client",
        "no longer allowed"
    );
}

#[tokio::test]
async fn a_session_ends_with_the_trust_in_its_issuer() {
    let stack = Stack::start().await;
    let token = text(
        &read(stack.post("/google").bearer_auth(stack.id_token("ada@example.com"))).await.1,
        "refresh_token",
    );
    assert_eq!(refresh(&stack, &token, &[]).await.0, 200);
    let google = token::Deps::from_settings(&stack.settings(&[("GOOGLE_CLIENT_IDS", "")])).unwrap();
    assert!(invalid_grant(&refresh_at(&google, &token, clock::now()).await));
}

/// As simple-oauth2 and curl send it, which know no client without a secret.
#[tokio::test]
async fn an_empty_basic_password_of_a_public_client_is_no_password() {
    let (stack, _, token) = ready().await;
    stack.client("backend", "a").await;
    let post = async |path: &str, id: &str, secret: &str, form: &[(&str, &str)]| {
        read(stack.post(path).basic_auth(id, Some(secret)).form(form)).await
    };
    let grant = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
    for (id, secret) in [("latchkey", "x"), ("latchkey", " "), ("backend", ""), ("nobody", ""), ("", "")] {
        let (status, body) = post("/oauth2/token", id, secret, &grant).await;
        assert_eq!((status, &body["error"]), (401, &json!("invalid_client")), "{id}:{secret}");
    }
    for more in [("client_id", "backend"), ("client_secret", "x")] {
        let form = [grant.as_slice(), &[more]].concat();
        let (status, body) = post("/oauth2/token", "latchkey", "", &form).await;
        assert_eq!((status, &body["error"]), (400, &json!("invalid_request")), "{more:?}");
    }
    let (status, body) = post("/oauth2/token", "latchkey", "", &grant).await;
    assert_eq!(status, 200, "{body}");
    let next = text(&body, "refresh_token");
    let introspection = post("/oauth2/introspect", "latchkey", "", &[("token", &next)]).await;
    assert_eq!(introspection.0, 401, "it has shown nothing");
    let grant = [("grant_type", "client_credentials")];
    assert_eq!(post("/oauth2/token", "latchkey", "", &grant).await.0, 401);
    assert_eq!(post("/oauth2/revoke", "latchkey", "", &[("token", &next)]).await.0, 200);
    let (status, body) = refresh(&stack, &next, &[]).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_grant")));
}

#[tokio::test]
async fn what_is_no_refresh_token_of_ours_is_refused() {
    let (stack, deps, first) = ready().await;
    let now = clock::now();
    let access_token = text(&stack.sign_in("ada", PASSWORD).await, "access_token");
    let (unknown, _) = generate(SecretKind::RefreshToken);
    let unknown = unknown.expose_secret();
    for token in ["x", &first[..first.len() - 1], &access_token, unknown, &"x".repeat(9_000)] {
        assert!(invalid_grant(&refresh_at(&deps, token, now).await));
    }
    assert_eq!(
        post_token(&deps, json!({}), &[("grant_type", "refresh_token")], now).await.1["error"],
        "invalid_request"
    );
}

#[tokio::test]
async fn without_the_store_nothing_is_refreshed() {
    let (stack, _, first) = ready().await;
    let settings = stack.settings(&[("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")]);
    let deps = token::Deps::from_settings(&settings).unwrap();
    let (status, body) = refresh_at(&deps, &first, clock::now()).await;
    assert_eq!((status, &body["error"]), (503, &json!("temporarily_unavailable")));
}

#[tokio::test]
async fn sessions_can_be_switched_off() {
    let stack = Stack::start().await;
    stack.user("ada", "a").await;
    let deps = login::Deps::from_settings(&stack.settings(&[("REFRESH_TOKEN_TTL_SECONDS", "0")])).unwrap();
    let event =
        crate::events::form_event("/token", json!({}), &[("username", "ada"), ("password", PASSWORD)]);
    let answer = crate::events::call(&event, |request| login::handle(&deps, request, clock::now())).await;
    let (status, body) = crate::events::status_and_body(&answer);
    assert_eq!((status, body.get("refresh_token")), (200, None));
}

/// What may happen to a session.
#[derive(Clone, Copy, Debug)]
enum Happens {
    /// So many seconds pass.
    Pause(u64),
    /// The token is used that is so many before the newest.
    Use(usize),
    /// The newest is used twice at once.
    UseTwice,
    /// Somebody makes a token up who has seen one.
    TestSigner,
    /// Its owner signs out, with whichever token is at hand.
    Revoke(usize),
}

fn whatever_happens() -> impl Strategy<Value = Vec<Happens>> {
    let pauses = [1, 59, 60, 61, 6 * DAY, 8 * DAY];
    let one = prop_oneof![
        2 => proptest::sample::select(pauses.to_vec()).prop_map(Happens::Pause),
        6 => prop_oneof![6 => Just(0), 3 => Just(1), 1 => 2_usize..4].prop_map(Happens::Use),
        2 => Just(Happens::UseTwice),
        1 => Just(Happens::TestSigner),
        1 => (0_usize..3).prop_map(Happens::Revoke),
    ];
    proptest::collection::vec(one, 1..16)
}

/// A session as it should be: every token so far, and until when it lives.
struct Model {
    tokens: Vec<String>,
    rotated_at: u64,
    idle_end: u64,
    ends_at: u64,
    ended: bool,
}

impl Model {
    fn lives(&self, now: u64) -> bool {
        !self.ended && now < self.idle_end && now < self.ends_at
    }

    /// Holds an answer to the use of a token against what it should be.
    fn answered(&mut self, token: &str, (status, body): (u64, Value), now: u64) {
        let place = self.tokens.iter().rposition(|known| known == token);
        let is_newest = place == Some(self.tokens.len() - 1);
        let is_retry =
            place.is_some_and(|place| place + 2 == self.tokens.len()) && now <= self.rotated_at + 60;
        if !self.lives(now) || !(is_newest || is_retry) {
            assert_eq!((status, &body["error"]), (400, &json!("invalid_grant")));
            // Whoever uses a token of old, or one that never was, ends the session for all.
            self.ended |= self.lives(now);
            return;
        }
        assert_eq!(status, 200, "{body}");
        let next = text(&body, "refresh_token");
        if is_retry {
            assert_eq!(Some(&next), self.tokens.last(), "asked again, the same successor");
            return;
        }
        assert!(!self.tokens.contains(&next), "no token comes twice");
        self.tokens.push(next);
        (self.rotated_at, self.idle_end) = (now, self.ends_at.min(now + 7 * DAY));
    }
}

/// Whatever happens and in whatever order: a session has one live token at most, which is the newest; a token
/// that is used again ends it all; and what has ended stays so.
#[test]
fn a_session_is_as_its_model_whatever_happens() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (stack, deps, _) = runtime.block_on(ready());
    let revoking = revoke::Deps::from_settings(&stack.settings(&[])).unwrap();
    let families = TokenFamilies::new(stack.table());
    let life = Life::from_settings(&stack.settings(&[])).unwrap();
    let case = async |events: Vec<Happens>| {
        let mut now = clock::now();
        let first = stack.refresh_token("ada", PASSWORD).await;
        let family = RefreshToken::parse(first.as_str().into()).unwrap().family().to_owned();
        // As the store has it: the sign-in may have been a second later.
        let born = families.get(&family).await.unwrap().unwrap();
        let (ends_at, idle_end) = (born.ends_at, born.expires_at);
        let mut model = Model { tokens: vec![first], rotated_at: now, idle_end, ends_at, ended: false };
        for event in events {
            let token = |back: usize| model.tokens.iter().rev().nth(back).unwrap_or(&model.tokens[0]).clone();
            match event {
                Happens::Pause(seconds) => now += seconds,
                Happens::Use(back) => {
                    let token = token(back);
                    let answer = refresh_at(&deps, &token, now).await;
                    model.answered(&token, answer, now);
                }
                Happens::UseTwice => {
                    let token = token(0);
                    let (one, other) =
                        tokio::join!(refresh_at(&deps, &token, now), refresh_at(&deps, &token, now));
                    model.answered(&token, one, now);
                    model.answered(&token, other, now);
                }
                Happens::TestSigner => {
                    let seen = RefreshToken::parse(token(0).into()).unwrap();
                    let forged = seen.successor("forged").expose_secret().to_owned();
                    let answer = refresh_at(&deps, &forged, now).await;
                    model.answered(&forged, answer, now);
                }
                Happens::Revoke(back) => {
                    let form = [("client_id", "latchkey"), ("token", &token(back))];
                    let event = form_event("/oauth2/revoke", json!({}), &form);
                    let answer = call(&event, |request| revoke::handle(&revoking, request, now)).await;
                    assert_eq!(status_and_body(&answer).0, 200);
                    model.ended = true;
                }
            }
            let family = families.get(&family).await.unwrap().unwrap();
            let is_current = |token: &&String| {
                let token = RefreshToken::parse(token.as_str().into()).unwrap();
                family.token_status(&token, life, now) == TokenStatus::Current
            };
            let live: Vec<&String> = model.tokens.iter().filter(is_current).collect();
            let newest = model.tokens.last().filter(|_| model.lives(now));
            assert_eq!(live, Vec::from_iter(newest), "one live token at most: the newest");
        }
    };
    let mut runner = TestRunner::new(Config { cases: 64, failure_persistence: None, ..Config::default() });
    runner
        .run(&whatever_happens(), |events| {
            runtime.block_on(case(events));
            Ok(())
        })
        .unwrap();
}
