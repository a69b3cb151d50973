//! Token families: refresh, reuse, expiry and revocation.

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

/// A refresh over HTTP by a user who signed in without a client.
async fn refresh(stack: &Stack, token: &str, more: &[(&str, &str)]) -> (u16, Value) {
    let form = [&[("grant_type", "refresh_token"), ("refresh_token", token)], more].concat();
    read(stack.post("/oauth2/token").form(&form)).await
}

/// A refresh at `now`.
async fn refresh_at(deps: &token::Deps, token: &str, now: u64) -> (u64, Value) {
    post_token(deps, json!({}), &[("grant_type", "refresh_token"), ("refresh_token", token)], now).await
}

pub fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_else(|| panic!("no {name} in {body}")).to_owned()
}

pub fn invalid_grant(answer: &(u64, Value)) -> bool {
    answer.0 == 400 && answer.1["error"] == "invalid_grant"
}

async fn start() -> (Stack, token::Deps, String) {
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
        assert!(seen.insert(token.clone()), "every refresh token is new");
    }
}

#[tokio::test]
async fn client_credentials_yield_no_refresh_token() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "a").await;
    let form = [("grant_type", "client_credentials")];
    let (_, body) = read(stack.post("/oauth2/token").basic_auth("backend", Some(&secret)).form(&form)).await;
    assert_eq!(body.get("refresh_token"), None);
    assert_eq!(claims(&text(&body, "access_token")).get("sid"), None);
}

#[tokio::test]
async fn a_retry_within_the_grace_period_yields_the_same_successor() {
    let (_stack, deps, first) = start().await;
    let now = clock::now();
    let second = text(&refresh_at(&deps, &first, now).await.1, "refresh_token");
    for later in [0, 1, 60] {
        assert_eq!(text(&refresh_at(&deps, &first, now + later).await.1, "refresh_token"), second);
    }
    assert_eq!(refresh_at(&deps, &second, now + 60).await.0, 200, "the token family is active");
}

#[tokio::test]
async fn reused_refresh_token_revokes_the_token_family() {
    let (stack, deps, first) = start().await;
    let now = clock::now();
    let body = refresh_at(&deps, &first, now).await.1;
    let second = text(&body, "refresh_token");
    assert!(invalid_grant(&refresh_at(&deps, &first, now + 61).await));
    assert!(invalid_grant(&refresh_at(&deps, &second, now + 61).await), "the successor is rejected too");
    let authorizer = authorizer::Deps::from_settings(&stack.settings(&[])).unwrap();
    let access_token = text(&body, "access_token");
    let answer = crate::authorizer::bearer(&authorizer, &access_token, now + 61).await;
    assert_eq!(answer["isAuthorized"], false, "its access tokens are revoked");
}

#[tokio::test]
async fn reusing_an_older_refresh_token_revokes_the_token_family_within_the_grace_period() {
    let (_stack, deps, first) = start().await;
    let now = clock::now();
    let second = text(&refresh_at(&deps, &first, now).await.1, "refresh_token");
    let third = text(&refresh_at(&deps, &second, now).await.1, "refresh_token");
    assert!(invalid_grant(&refresh_at(&deps, &first, now).await));
    assert!(invalid_grant(&refresh_at(&deps, &third, now).await));
}

#[tokio::test]
async fn fifty_concurrent_refreshes_yield_one_successor() {
    let (stack, _, first) = start().await;
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
    assert_eq!(refresh(&stack, successors.first().unwrap(), &[]).await.0, 200, "the token family is active");
}

/// The function is cancelled at a store request, before or after the store applies it, and the client retries.
#[tokio::test]
async fn a_retry_succeeds_after_a_crash_at_any_step() {
    const STEPS: usize = 3;
    let (stack, healthy, mut token) = start().await;
    let proxy = Proxy::start(&stack.running.environment["AWS_ENDPOINT_URL_DYNAMODB"]).await;
    let settings = stack.settings(&[("AWS_ENDPOINT_URL_DYNAMODB", &proxy.url)]);
    let doomed = token::Deps::from_settings(&settings).unwrap();
    let now = clock::now();
    doomed.warm_up(now).await;
    let before = proxy.count();
    token = text(&refresh_at(&doomed, &token, now).await.1, "refresh_token");
    assert_eq!(proxy.count() - before, STEPS, "reads of the token family and the user, and one write");
    for round in 0..1000 {
        proxy.cut(Cut { after: round % STEPS, applied: round / STEPS % 2 == 1 });
        tokio::select! {
            answer = refresh_at(&doomed, &token, now) => panic!("round {round} was not cut off: {answer:?}"),
            () = proxy.was_cut() => {}
        }
        let (status, body) = refresh_at(&healthy, &token, now + 1).await;
        assert_eq!(status, 200, "round {round}: {body}");
        let next = text(&body, "refresh_token");
        let again = refresh_at(&healthy, &token, now + 1).await.1;
        assert_eq!(text(&again, "refresh_token"), next, "round {round}: one current token");
        token = next;
    }
}

#[tokio::test]
async fn a_refresh_narrows_the_scope_and_never_widens_it() {
    let (stack, deps, first) = start().await;
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
    assert_eq!(full["scope"], "a b", "a narrower refresh does not narrow the token family (RFC 6749 §6)");
    // A token family keeps the scope of its sign-in.
    let form = [("username", "ada"), ("password", PASSWORD), ("scope", "b")];
    let small = text(&read(stack.post("/token").form(&form)).await.1, "refresh_token");
    assert_eq!(ask(&small, "a").await.1["error"], "invalid_scope");
    assert_eq!(ask(&small, "").await.1["scope"], "b");
}

#[tokio::test]
async fn a_refresh_keeps_the_audience() {
    let (stack, _, _) = start().await;
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
async fn a_token_family_expires_when_idle_and_at_its_maximum_age() {
    let (stack, _, first) = start().await;
    let settings = [("REFRESH_TOKEN_TTL_SECONDS", "864000"), ("REFRESH_TOKEN_IDLE_SECONDS", "86400")];
    let deps = token::Deps::from_settings(&stack.settings(&settings)).unwrap();
    let now = clock::now();
    // The local stack's limits at sign-in were 7 days idle and 30 days in all. The shorter current ones apply.
    assert!(invalid_grant(&refresh_at(&deps, &first, now + DAY + 1).await));
    let mut token = text(&refresh_at(&deps, &first, now).await.1, "refresh_token");
    assert!(invalid_grant(&refresh_at(&deps, &token, now + DAY).await), "idle for a day");
    for day in 1..=10 {
        let answer = refresh_at(&deps, &token, now + day * DAY - 10 * day).await;
        assert_eq!(answer.0, 200, "day {day}: {}", answer.1);
        token = text(&answer.1, "refresh_token");
    }
    assert!(
        invalid_grant(&refresh_at(&deps, &token, now + 10 * DAY + 5).await),
        "past its maximum age although used every day"
    );
}

#[tokio::test]
async fn changing_or_disabling_a_user_revokes_the_token_families() {
    let (stack, deps, _) = start().await;
    let now = clock::now();
    let users = Users::new(stack.table());
    let hash = PasswordHash::new("ada", &PASSWORD.into()).unwrap();

    let token = stack.refresh_token("ada", PASSWORD).await;
    let read = users.get("ada").await.unwrap().unwrap().password_hash.unwrap();
    users.replace_hash("ada", &read, &hash).await.unwrap();
    users.replace_hash("ada", &read, &hash).await.expect("a retry succeeds");
    let late = PasswordHash::new("ada", &PASSWORD.into()).unwrap();
    assert!(users.replace_hash("ada", &read, &late).await.is_err(), "the hash was replaced meanwhile");
    assert_eq!(
        refresh_at(&deps, &token, now).await.0,
        200,
        "a new hash of the same password revokes nothing"
    );

    let token = stack.refresh_token("ada", PASSWORD).await;
    users.set_password("ada", &hash).await.unwrap();
    assert!(invalid_grant(&refresh_at(&deps, &token, now).await), "the password was changed");

    let token = stack.refresh_token("ada", PASSWORD).await;
    users.set_disabled("ada", true).await.unwrap();
    assert!(invalid_grant(&refresh_at(&deps, &token, now).await), "disabled");
    users.set_disabled("ada", false).await.unwrap();
    assert!(invalid_grant(&refresh_at(&deps, &token, now).await), "it stays revoked");

    let token = stack.refresh_token("ada", PASSWORD).await;
    users.delete("ada").await.unwrap();
    assert!(invalid_grant(&refresh_at(&deps, &token, now).await), "deleted");
    stack.user("ada", "a b").await;
    assert!(invalid_grant(&refresh_at(&deps, &token, now).await), "another user with that name");
}

#[tokio::test]
async fn a_scope_that_the_user_lost_is_not_refreshed() {
    let (stack, deps, first) = start().await;
    stack
        .table()
        .set(shared::store::table::Key::new("USER#", "ada", "PROFILE"), &json!({"scopes": ["b"]}))
        .await
        .unwrap();
    assert_eq!(refresh_at(&deps, &first, clock::now()).await.1["scope"], "b");
}

/// Exchanges an ID token of Google as this client and returns the refresh token.
async fn sign_in_by(stack: &Stack, deps: &token::Deps, client_id: &str, secret: &str) -> String {
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
    let (stack, _, first_party) = start().await;
    let google = format!("{}=app", stack.running.environment["GOOGLE_CLIENT_IDS"]);
    let deps = token::Deps::from_settings(&stack.settings(&[("GOOGLE_CLIENT_IDS", &google)])).unwrap();
    let grants = [GrantType::ClientCredentials, GrantType::RefreshToken, GrantType::TokenExchange];
    let app = stack.client_with("app", "a", |client| client.grants = grants.into()).await;
    let other = stack.client_with("other", "a", |client| client.grants = grants.into()).await;
    let machine = stack.client("machine", "a").await;
    let token = sign_in_by(&stack, &deps, "app", &app).await;
    let now = clock::now();
    let ask = async |headers: Value, token: &str, more: &[(&str, &str)]| {
        let form = [&[("grant_type", "refresh_token"), ("refresh_token", token)], more].concat();
        post_token(&deps, headers, &form, now).await
    };
    assert!(invalid_grant(&ask(basic("other", &other), &token, &[]).await), "another client");
    assert!(invalid_grant(&ask(json!({}), &token, &[]).await), "without client authentication");
    assert!(invalid_grant(&ask(json!({}), &token, &[("client_id", "latchkey")]).await));
    assert_eq!(ask(json!({}), &token, &[("client_id", "app")]).await.1["error"], "invalid_client");
    assert_eq!(ask(basic("app", &other), &token, &[]).await.1["error"], "invalid_client");
    assert!(
        invalid_grant(&ask(basic("app", &app), &first_party, &[]).await),
        "a refresh token of first-party sign-in"
    );
    assert!(invalid_grant(&ask(basic("machine", &machine), &token, &[]).await));
    assert_eq!(ask(basic("app", &app), &token, &[]).await.0, 200, "rejected requests did not revoke it");
    assert_eq!(ask(json!({}), &first_party, &[]).await.0, 200);
    let clients = Clients::new(stack.table());
    clients.set_disabled("app", true).await.unwrap();
    assert_eq!(ask(basic("app", &app), &token, &[]).await.1["error"], "invalid_client", "a disabled client");
    clients.set_disabled("app", false).await.unwrap();
    let key = shared::store::table::Key::new("CLIENT#", "app", "PROFILE");
    stack.table().set(key, &json!({"grants": ["client_credentials"]})).await.unwrap();
    assert_eq!(
        ask(basic("app", &app), &token, &[]).await.1["error"],
        "unauthorized_client",
        "the client lost the grant"
    );
}

#[tokio::test]
async fn a_token_family_of_an_untrusted_issuer_is_rejected() {
    let stack = Stack::start().await;
    let token = text(
        &read(stack.post("/google").bearer_auth(stack.id_token("ada@example.com"))).await.1,
        "refresh_token",
    );
    assert_eq!(refresh(&stack, &token, &[]).await.0, 200);
    let google = token::Deps::from_settings(&stack.settings(&[("GOOGLE_CLIENT_IDS", "")])).unwrap();
    assert!(invalid_grant(&refresh_at(&google, &token, clock::now()).await));
}

/// simple-oauth2 and curl send it for a client without a secret.
#[tokio::test]
async fn an_empty_basic_password_means_a_public_client() {
    let (stack, _, token) = start().await;
    stack.client("backend", "a").await;
    let post = async |path: &str, id: &str, secret: &str, form: &[(&str, &str)]| {
        read(stack.post(path).basic_auth(id, Some(secret)).form(form)).await
    };
    let grant = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
    for (id, secret) in [("latchkey", "x"), ("latchkey", " "), ("backend", ""), ("missing", ""), ("", "")] {
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
    assert_eq!(introspection.0, 401, "a public client does not authenticate");
    let grant = [("grant_type", "client_credentials")];
    assert_eq!(post("/oauth2/token", "latchkey", "", &grant).await.0, 401);
    assert_eq!(post("/oauth2/revoke", "latchkey", "", &[("token", &next)]).await.0, 200);
    let (status, body) = refresh(&stack, &next, &[]).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_grant")));
}

#[tokio::test]
async fn unknown_refresh_tokens_are_rejected() {
    let (stack, deps, first) = start().await;
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
async fn a_refresh_without_the_store_is_unavailable() {
    let (stack, _, first) = start().await;
    let settings = stack.settings(&[("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")]);
    let deps = token::Deps::from_settings(&settings).unwrap();
    let (status, body) = refresh_at(&deps, &first, clock::now()).await;
    assert_eq!((status, &body["error"]), (503, &json!("temporarily_unavailable")));
}

#[tokio::test]
async fn refresh_tokens_can_be_disabled() {
    let stack = Stack::start().await;
    stack.user("ada", "a").await;
    let deps = login::Deps::from_settings(&stack.settings(&[("REFRESH_TOKEN_TTL_SECONDS", "0")])).unwrap();
    let event =
        crate::events::form_event("/token", json!({}), &[("username", "ada"), ("password", PASSWORD)]);
    let answer = crate::events::call(&event, |request| login::handle(&deps, request, clock::now())).await;
    let (status, body) = crate::events::status_and_body(&answer);
    assert_eq!(status, 200);
    assert_eq!(body.get("refresh_token"), None);
}

/// What may happen to a token family.
#[derive(Clone, Copy, Debug)]
enum Action {
    /// Seconds pass.
    Pause(u64),
    /// A token is used, counted back from the newest.
    Use(usize),
    /// The newest token is used twice concurrently.
    UseTwice,
    /// A token is forged from a known one.
    TestSigner,
    /// The user signs out with a token, counted back from the newest.
    Revoke(usize),
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let pauses = [1, 59, 60, 61, 6 * DAY, 8 * DAY];
    let one = prop_oneof![
        2 => proptest::sample::select(pauses.to_vec()).prop_map(Action::Pause),
        6 => prop_oneof![6 => Just(0), 3 => Just(1), 1 => 2_usize..4].prop_map(Action::Use),
        2 => Just(Action::UseTwice),
        1 => Just(Action::TestSigner),
        1 => (0_usize..3).prop_map(Action::Revoke),
    ];
    proptest::collection::vec(one, 1..16)
}

/// The expected state of a token family: its tokens so far and its expiry.
struct Model {
    tokens: Vec<String>,
    rotated_at: u64,
    idle_end: u64,
    ends_at: u64,
    ended: bool,
}

impl Model {
    fn is_active(&self, now: u64) -> bool {
        !self.ended && now < self.idle_end && now < self.ends_at
    }

    /// Compares the response to the use of a token with what is expected.
    fn check(&mut self, token: &str, (status, body): (u64, Value), now: u64) {
        let place = self.tokens.iter().rposition(|known| known == token);
        let is_newest = place == Some(self.tokens.len() - 1);
        let is_retry =
            place.is_some_and(|place| place + 2 == self.tokens.len()) && now <= self.rotated_at + 60;
        if !self.is_active(now) || !(is_newest || is_retry) {
            assert_eq!((status, &body["error"]), (400, &json!("invalid_grant")));
            // Reuse of an older token or use of a forged one revokes the token family.
            self.ended |= self.is_active(now);
            return;
        }
        assert_eq!(status, 200, "{body}");
        let next = text(&body, "refresh_token");
        if is_retry {
            assert_eq!(Some(&next), self.tokens.last(), "a retry yields the same successor");
            return;
        }
        assert!(!self.tokens.contains(&next), "every token is new");
        self.tokens.push(next);
        (self.rotated_at, self.idle_end) = (now, self.ends_at.min(now + 7 * DAY));
    }
}

/// After any sequence of actions a token family has at most one current token, which is the newest. Reuse revokes the
/// token family, and it stays revoked.
#[test]
fn a_token_family_agrees_with_its_model() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (stack, deps, _) = runtime.block_on(start());
    let revoking = revoke::Deps::from_settings(&stack.settings(&[])).unwrap();
    let families = TokenFamilies::new(stack.table());
    let life = Life::from_settings(&stack.settings(&[])).unwrap();
    let case = async |actions: Vec<Action>| {
        let mut now = clock::now();
        let first = stack.refresh_token("ada", PASSWORD).await;
        let family = RefreshToken::parse(first.as_str().into()).unwrap().family().to_owned();
        // From the store, because the sign-in may have been a second later.
        let created = families.get(&family).await.unwrap().unwrap();
        let (ends_at, idle_end) = (created.ends_at, created.expires_at);
        let mut model = Model { tokens: vec![first], rotated_at: now, idle_end, ends_at, ended: false };
        for action in actions {
            let token = |back: usize| model.tokens.iter().rev().nth(back).unwrap_or(&model.tokens[0]).clone();
            match action {
                Action::Pause(seconds) => now += seconds,
                Action::Use(back) => {
                    let token = token(back);
                    let answer = refresh_at(&deps, &token, now).await;
                    model.check(&token, answer, now);
                }
                Action::UseTwice => {
                    let token = token(0);
                    let (one, other) =
                        tokio::join!(refresh_at(&deps, &token, now), refresh_at(&deps, &token, now));
                    model.check(&token, one, now);
                    model.check(&token, other, now);
                }
                Action::TestSigner => {
                    let seen = RefreshToken::parse(token(0).into()).unwrap();
                    let forged = seen.successor("forged").expose_secret().to_owned();
                    let answer = refresh_at(&deps, &forged, now).await;
                    model.check(&forged, answer, now);
                }
                Action::Revoke(back) => {
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
            let current: Vec<&String> = model.tokens.iter().filter(is_current).collect();
            let newest = model.tokens.last().filter(|_| model.is_active(now));
            assert_eq!(current, Vec::from_iter(newest), "only the newest token is current");
        }
    };
    let mut runner = TestRunner::new(Config { cases: 64, failure_persistence: None, ..Config::default() });
    runner
        .run(&actions(), |actions| {
            runtime.block_on(case(actions));
            Ok(())
        })
        .unwrap();
}
