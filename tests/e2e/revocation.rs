//! Revocation and introspection: who may end a token, who may ask about it, and how fast it counts.

use serde_json::{Value, json};
use shared::jose::algorithm::Algorithm;
use shared::jose::jwt::UnverifiedJwt;
use shared::runtime::clock;
use shared::store::api_keys::ApiKeys;
use shared::store::table::Key;
use shared::store::users::Users;
use shared::trust::access_token::Expected;
use shared::trust::cache::TrustCache;
use shared::trust::revocation_limits::{Granted, Revocations};
use shared::trust::snapshot::TokenRejection;
use shared::trust::store::TrustStore;
use test_support::events::event;
use test_support::proxy::Proxy;
use test_support::{PASSWORD, Stack, claims, read};

use crate::authorizer::bearer;
use crate::events::{basic, call, form_event, post_token, status_and_body};

async fn revoke(stack: &Stack, id: &str, secret: &str, token: &str) -> (u16, Value) {
    read(stack.post("/oauth2/revoke").basic_auth(id, Some(secret)).form(&[("token", token)])).await
}

async fn introspect(stack: &Stack, id: &str, secret: &str, token: &str) -> (u16, Value) {
    read(stack.post("/oauth2/introspect").basic_auth(id, Some(secret)).form(&[("token", token)])).await
}

fn inactive() -> (u16, Value) {
    (200, json!({"active": false}))
}

/// A page is a megabyte at most (docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.Pagination.html). What
/// was revoked must be read to its end.
#[tokio::test]
async fn a_partition_of_many_pages_is_read_whole() {
    let stack = Stack::start().await;
    let table = stack.table();
    for number in 0..8 {
        let item = json!({"number": number, "text": "x".repeat(300_000)});
        table.create(Key::new("TRUST", "", format!("PAGE#{number}")), &item, None).await.unwrap();
    }
    let items = table.partition("TRUST").await.unwrap();
    let pages = items.iter().filter(|item| item["sk"].as_s().is_ok_and(|sk| sk.starts_with("PAGE#")));
    assert_eq!(pages.count(), 8);
    assert!(
        items.iter().any(|item| item["sk"].as_s().is_ok_and(|sk| sk == "JWKS")),
        "and what is there besides"
    );
}

#[tokio::test]
async fn a_revoked_token_is_refused_within_the_trust_interval() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "").await;
    let (token, other) = (stack.token("backend", &secret).await, stack.token("backend", &secret).await);
    let deps = authorizer::Deps::from_settings(&stack.settings(&[("TRUST_REFRESH_SECONDS", "15")])).unwrap();
    let now = clock::now();
    assert_eq!(bearer(&deps, &token, now).await["isAuthorized"], true);
    assert_eq!(revoke(&stack, "backend", &secret, &token).await, (200, json!({})));
    assert_eq!(bearer(&deps, &token, now + 14).await["isAuthorized"], true, "until the bundle is read again");
    assert_eq!(bearer(&deps, &token, now + 15).await["isAuthorized"], false);
    assert_eq!(
        bearer(&deps, &other, now + 15).await["isAuthorized"],
        true,
        "the client's other tokens are good"
    );
    assert_eq!(revoke(&stack, "backend", &secret, &token).await.0, 200, "a second time");
}

#[tokio::test]
async fn many_revoked_tokens_cost_one_read_an_interval() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "").await;
    let proxy = Proxy::start(&stack.running.environment["AWS_ENDPOINT_URL_DYNAMODB"]).await;
    let settings = [("AWS_ENDPOINT_URL_DYNAMODB", proxy.url.as_str()), ("TRUST_REFRESH_SECONDS", "15")];
    let deps = authorizer::Deps::from_settings(&stack.settings(&settings)).unwrap();
    let now = clock::now();
    let mut tokens = Vec::new();
    for _ in 0..50 {
        tokens.push(stack.token("backend", &secret).await);
    }
    for token in &tokens {
        assert_eq!(bearer(&deps, token, now).await["isAuthorized"], true);
    }
    assert_eq!(proxy.count(), 1);
    for token in &tokens {
        assert_eq!(revoke(&stack, "backend", &secret, token).await.0, 200);
    }
    for interval in 1..=4 {
        for token in &tokens {
            assert_eq!(bearer(&deps, token, now + 15 * interval).await["isAuthorized"], false);
        }
        assert_eq!(
            proxy.count(),
            1 + interval as usize,
            "one read an interval, whatever the number of tokens"
        );
    }
}

#[tokio::test]
async fn no_caller_fills_the_trust_bundle_by_signing_in_and_out() {
    let stack = Stack::start().await;
    let (secret, other) = (stack.client("backend", "").await, stack.client("other", "").await);
    let (last, theirs) = (stack.token("backend", &secret).await, stack.token("other", &other).await);
    let (table, now) = (stack.table(), clock::now());
    let (trust, revocations) = (TrustStore::new(table.clone()), Revocations::new(table.clone()));
    let kept = async |partition: &str| table.partition(partition).await.unwrap().len();
    let before = kept("TRUST").await;
    let [ada, backend] = [("usr_ada", "web"), ("backend", "backend")]
        .map(|(subject, client_id)| Granted { subject, client_id });
    for number in 0..110 {
        revocations.session(ada, &format!("session-{number}"), now).await.unwrap();
    }
    assert_eq!(kept("TRUST").await, before + 101, "a hundred by themselves, the others by one mark");
    for _ in 0..50 {
        revocations.token(backend, "the same", now + 900, now).await.unwrap();
    }
    for number in 0..999 {
        revocations.token(backend, &format!("token-{number}"), now + 900, now).await.unwrap();
    }
    assert_eq!(kept("TRUST").await, before + 1101, "and of a client a thousand");
    assert_eq!(revoke(&stack, "backend", &secret, &last).await.0, 200);
    assert_eq!(kept("TRUST").await, before + 1102);
    let deps = authorizer::Deps::from_settings(&stack.settings(&[])).unwrap();
    assert_eq!(bearer(&deps, &last, now).await["isAuthorized"], false);
    assert_eq!(bearer(&deps, &theirs, now).await["isAuthorized"], true);
    // A blocked client is not unblocked by it.
    trust.block("backend", now).await.unwrap();
    trust.revoke_earlier("backend", now).await.unwrap();
    assert!(trust.snapshot(now).await.unwrap().is_revoked_for("backend", now + 100));
    // A stolen session that comes to light counts as well.
    let sub = stack.user("ada", "").await;
    let first = stack.refresh_token("ada", PASSWORD).await;
    let refresh = async |token: &str| {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        read(stack.post("/oauth2/token").form(&form)).await.1["refresh_token"].as_str().map(str::to_owned)
    };
    refresh(&refresh(&first).await.unwrap()).await.unwrap();
    assert_eq!(refresh(&first).await, None);
    assert_eq!(kept(&format!("ATTEMPT#revocations#{sub}#latchkey")).await, 1);
}

#[tokio::test]
async fn a_disabled_user_and_a_revoked_api_key_are_refused_within_the_trust_interval_too() {
    let stack = Stack::start().await;
    let sub = stack.user("ada", "").await;
    let token = stack.sign_in("ada", PASSWORD).await["access_token"].as_str().unwrap().to_owned();
    let key = stack.api_key("", None).await;
    let proxy = Proxy::start(&stack.running.environment["AWS_ENDPOINT_URL_DYNAMODB"]).await;
    let deps = authorizer::Deps::from_settings(&stack.settings(&[("AWS_ENDPOINT_URL_DYNAMODB", &proxy.url)]))
        .unwrap();
    let now = clock::now();
    let by_key = async |now| {
        let event = event("authorizer/http_v2_api_key.json", &[("DEMO_API_KEY", &key)]);
        let answer = authorizer::handle(&deps, serde_json::from_value(event).unwrap(), now).await.unwrap();
        serde_json::to_value(answer).unwrap()["isAuthorized"].clone()
    };
    assert_eq!(
        (by_key(now).await, bearer(&deps, &token, now).await["isAuthorized"].clone()),
        (json!(true), json!(true))
    );
    let key_id = ApiKeys::new(stack.table()).list().await.unwrap();
    let key_id = &key_id.iter().find(|key| key.owner == "tests").unwrap().id;
    let trust = TrustStore::new(stack.table());
    trust.block(&sub, now).await.unwrap();
    trust.block(key_id, now).await.unwrap();
    let before = proxy.count();
    assert_eq!(by_key(now + 15).await, false);
    assert_eq!(bearer(&deps, &token, now + 15).await["isAuthorized"], false);
    assert_eq!(proxy.count() - before, 1, "the key is not read again");
    assert_eq!(by_key(now + 3601).await, false, "nor forgotten when it is");
}

#[tokio::test]
async fn a_client_revokes_its_own_tokens_alone() {
    let stack = Stack::start().await;
    let (secret, other) = (stack.client("backend", "").await, stack.client("other", "").await);
    stack.user("ada", "").await;
    let token = stack.token("backend", &secret).await;
    let session = stack.refresh_token("ada", PASSWORD).await;
    for token in [&token, &session] {
        let (status, body) = revoke(&stack, "other", &other, token).await;
        assert_eq!((status, &body["error"]), (400, &json!("unauthorized_client")));
    }
    assert_eq!(introspect(&stack, "backend", &secret, &token).await.1["active"], true, "still alive");
    let form = [("grant_type", "refresh_token"), ("refresh_token", session.as_str())];
    assert_eq!(read(stack.post("/oauth2/token").form(&form)).await.0, 200, "still alive");
}

#[tokio::test]
async fn what_is_no_good_token_is_as_good_as_revoked() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "").await;
    let token = stack.token("backend", &secret).await;
    for unknown in ["x", &token[..token.len() - 3], &format!("{token}x"), &"x".repeat(20_000), "lk_rt_x"] {
        assert_eq!(revoke(&stack, "backend", &secret, unknown).await, (200, json!({})));
    }
    let form = [("token", token.as_str()), ("token_type_hint", "refresh_token")];
    assert_eq!(
        read(stack.post("/oauth2/revoke").basic_auth("backend", Some(&secret)).form(&form)).await.0,
        200
    );
}

#[tokio::test]
async fn signing_out_ends_the_session_and_its_access_tokens() {
    let stack = Stack::start().await;
    stack.user("ada", "").await;
    let signed_in = stack.sign_in("ada", PASSWORD).await;
    let (access, refresh) =
        (signed_in["access_token"].as_str().unwrap(), signed_in["refresh_token"].as_str().unwrap());
    let form = [("client_id", "latchkey"), ("token", refresh)];
    let answer = stack.post("/oauth2/revoke").form(&form).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["cache-control"]),
        (200, &"no-store".parse().unwrap())
    );
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    assert_eq!(read(stack.post("/oauth2/token").form(&form)).await.1["error"], "invalid_grant");
    let deps = authorizer::Deps::from_settings(&stack.settings(&[])).unwrap();
    assert_eq!(bearer(&deps, access, clock::now()).await["isAuthorized"], false);
}

#[tokio::test]
async fn an_older_refresh_token_ends_the_session_all_the_same() {
    let stack = Stack::start().await;
    stack.user("ada", "").await;
    let first = stack.refresh_token("ada", PASSWORD).await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", first.as_str())];
    let second =
        read(stack.post("/oauth2/token").form(&form)).await.1["refresh_token"].as_str().unwrap().to_owned();
    let form = [("client_id", "latchkey"), ("token", first.as_str())];
    assert_eq!(read(stack.post("/oauth2/revoke").form(&form)).await.0, 200);
    let form = [("grant_type", "refresh_token"), ("refresh_token", second.as_str())];
    assert_eq!(read(stack.post("/oauth2/token").form(&form)).await.1["error"], "invalid_grant");
}

#[tokio::test]
async fn whoever_does_not_say_who_they_are_is_refused() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "").await;
    let other = stack.client("other", "").await;
    let token = stack.token("backend", &secret).await;
    for path in ["/oauth2/revoke", "/oauth2/introspect"] {
        let answer = stack.post(path).form(&[("token", token.as_str())]).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{path}");
        assert!(answer.headers().contains_key("www-authenticate"));
        let wrong = stack.post(path).basic_auth("backend", Some(&other)).form(&[("token", token.as_str())]);
        assert_eq!(read(wrong).await.0, 401, "{path}");
        let (status, body) =
            read(stack.post(path).basic_auth("backend", Some(&secret)).form(&[("x", "y")])).await;
        assert_eq!((status, &body["error"]), (400, &json!("invalid_request")), "{path}");
        let query = format!("{path}?token={token}");
        let in_query =
            stack.post(&query).basic_auth("backend", Some(&secret)).form(&[("token", token.as_str())]);
        assert_eq!(read(in_query).await.0, 400, "{path}");
    }
    let public = [("client_id", "latchkey"), ("token", token.as_str())];
    assert_eq!(
        read(stack.post("/oauth2/introspect").form(&public)).await.0,
        401,
        "a public client can't ask"
    );
}

#[tokio::test]
async fn introspection_tells_a_client_about_its_own_tokens() {
    let stack = Stack::start().await;
    let (secret, other) = (stack.client("backend", "a").await, stack.client("other", "a").await);
    let server = stack.client("server", "latchkey:introspect").await;
    let token = stack.token("backend", &secret).await;
    let (status, told) = introspect(&stack, "backend", &secret, &token).await;
    let says = claims(&token);
    assert_eq!((status, &told["active"], &told["token_type"]), (200, &json!(true), &json!("Bearer")));
    for name in ["iss", "sub", "aud", "client_id", "scope", "exp", "iat", "jti"] {
        assert_eq!(told[name], says[name], "{name}");
    }
    assert_eq!(introspect(&stack, "server", &server, &token).await.1, told, "a resource server may know");
    assert_eq!(introspect(&stack, "other", &other, &token).await, inactive(), "not theirs");
    for unknown in ["x", &token[..token.len() - 3], "lk_rt_x"] {
        assert_eq!(introspect(&stack, "backend", &secret, unknown).await, inactive());
    }
}

#[tokio::test]
async fn introspection_knows_what_has_ended() {
    let stack = Stack::start().await;
    let secret = stack.client("server", "latchkey:introspect").await;
    stack.user("ada", "a").await;
    let signed_in = stack.sign_in("ada", PASSWORD).await;
    let (access, refresh) =
        (signed_in["access_token"].as_str().unwrap(), signed_in["refresh_token"].as_str().unwrap());
    let deps = introspect::Deps::from_settings(&stack.settings(&[])).unwrap();
    let now = clock::now();
    let active = async |token: &str, now| {
        let event = form_event("/oauth2/introspect", basic("server", &secret), &[("token", token)]);
        let (_, told) =
            status_and_body(&call(&event, |request| introspect::handle(&deps, request, now)).await);
        assert!(told["active"] == true || told == json!({"active": false}), "{told}");
        told["active"] == true
    };
    assert!(active(access, now).await && active(refresh, now).await);
    assert!(!active(refresh, now + 8 * 86_400).await, "idle for too long");
    let deps_token = token::Deps::from_settings(&stack.settings(&[])).unwrap();
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    let next =
        post_token(&deps_token, json!({}), &form, now).await.1["refresh_token"].as_str().unwrap().to_owned();
    assert!(!active(refresh, now).await && active(&next, now).await, "followed by another");
    Users::new(stack.table()).set_disabled("ada", true).await.unwrap();
    assert!(!active(&next, now).await, "its user was disabled");
    assert!(!active(access, now + 931).await, "expired");
    let sub = claims(access)["sub"].as_str().unwrap().to_owned();
    TrustStore::new(stack.table()).block(&sub, now).await.unwrap();
    assert!(!active(access, now).await, "its user was blocked, just now");
    let other = stack.token("server", &secret).await;
    assert!(active(&other, now).await);
    let key_id = stack.timeline().await.iter().last().unwrap().key.kid.clone();
    stack.rotation().revoke(&key_id, Algorithm::Es256, now).await.unwrap();
    assert!(!active(&other, now).await, "its key was revoked, just now");
}

#[tokio::test]
async fn a_token_of_a_key_that_is_not_known_yet_is_not_said_to_be_revoked() {
    let stack = Stack::start().await;
    stack.user("ada", "").await;
    let proxy = Proxy::start(&stack.running.environment["AWS_ENDPOINT_URL_DYNAMODB"]).await;
    let settings = stack.settings(&[("AWS_ENDPOINT_URL_DYNAMODB", &proxy.url)]);
    let revoke = revoke::Deps::from_settings(&settings).unwrap();
    let now = clock::now();
    revoke.warm_up(now).await;
    stack.rotate(Algorithm::Es256, 0).await;
    let login = login::Deps::from_settings(&stack.settings(&[])).unwrap();
    let event = form_event("/token", json!({}), &[("username", "ada"), ("password", PASSWORD)]);
    let (_, body) =
        status_and_body(&call(&event, |request| login::handle(&login, request, clock::now())).await);
    let token = body["access_token"].as_str().unwrap();
    let event = form_event("/oauth2/revoke", json!({}), &[("client_id", "latchkey"), ("token", token)]);
    let answer = async || call(&event, |request| revoke::handle(&revoke, request, now)).await;
    proxy.refuse();
    assert_eq!(answer().await["statusCode"], 503);
    proxy.heal();
    assert_eq!(answer().await["statusCode"], 200);
    let snapshot = TrustStore::new(stack.table()).snapshot(now).await.unwrap();
    let jwt = UnverifiedJwt::parse(token, usize::MAX).unwrap();
    let expected = Expected { issuer: Some(&stack.running.url), audiences: None };
    assert!(matches!(snapshot.accept(jwt, &expected, now), Err(TokenRejection::Revoked)));
}

#[tokio::test]
async fn a_clock_that_is_behind_says_of_no_live_token_that_it_is_revoked() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "").await;
    let now = clock::now();
    let issuer = token::Deps::from_settings(&stack.settings(&[])).unwrap();
    let form = [("grant_type", "client_credentials")];
    let (_, body) = post_token(&issuer, basic("backend", &secret), &form, now + 60).await;
    let token = body["access_token"].as_str().unwrap();
    let revoke = revoke::Deps::from_settings(&stack.settings(&[])).unwrap();
    let event = form_event("/oauth2/revoke", basic("backend", &secret), &[("token", token)]);
    let status = async |now| {
        let answer = call(&event, |request| revoke::handle(&revoke, request, now)).await;
        answer["statusCode"].clone()
    };
    assert_eq!(status(now).await, 503, "the token is from the future");
    assert_eq!(status(now - 60).await, 503, "the key is, too");
    assert_eq!(status(now + 60).await, 200);
}

#[tokio::test]
async fn a_token_of_an_unblocked_client_is_live_at_once() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "").await;
    let (trust, now) = (TrustStore::new(stack.table()), clock::now());
    let settings = stack.settings(&[("TRUST_REFRESH_SECONDS", "300")]);
    let revoke = revoke::Deps::from_settings(&settings).unwrap();
    let introspect = introspect::Deps::from_settings(&settings).unwrap();
    trust.block("backend", now).await.unwrap();
    revoke.warm_up(now).await;
    introspect.warm_up(now).await;
    trust.unblock("backend", now - 1).await.unwrap();
    let token = stack.token("backend", &secret).await;
    let asked = form_event("/oauth2/introspect", basic("backend", &secret), &[("token", &token)]);
    let told = async || {
        let answer = call(&asked, |request| introspect::handle(&introspect, request, now)).await;
        status_and_body(&answer).1["active"].clone()
    };
    assert_eq!(told().await, true);
    let event = form_event("/oauth2/revoke", basic("backend", &secret), &[("token", &token)]);
    assert_eq!(call(&event, |request| revoke::handle(&revoke, request, now)).await["statusCode"], 200);
    assert_eq!(told().await, false);
    let authorizer = authorizer::Deps::from_settings(&settings).unwrap();
    assert_eq!(bearer(&authorizer, &token, now).await["isAuthorized"], false);
}

#[tokio::test]
async fn a_session_that_is_over_by_one_clock_is_ended_by_all() {
    let stack = Stack::start().await;
    stack.user("ada", "").await;
    let session = stack.refresh_token("ada", PASSWORD).await;
    let revoke = revoke::Deps::from_settings(&stack.settings(&[])).unwrap();
    let fields = [("client_id", "latchkey"), ("token", session.as_str())];
    let event = form_event("/oauth2/revoke", json!({}), &fields);
    let ahead = clock::now() + 8 * 86_400;
    assert_eq!(call(&event, |request| revoke::handle(&revoke, request, ahead)).await["statusCode"], 200);
    let form = [("grant_type", "refresh_token"), ("refresh_token", session.as_str())];
    assert_eq!(read(stack.post("/oauth2/token").form(&form)).await.1["error"], "invalid_grant");
}

#[tokio::test]
async fn a_token_that_was_issued_on_another_of_our_domains_is_revoked() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "").await;
    let token = stack.token("backend", &secret).await;
    // Asked on api.example.com, which is then the issuer.
    let revoke = revoke::Deps::from_settings(&stack.settings(&[("ISSUER", "")])).unwrap();
    let event = form_event("/oauth2/revoke", basic("backend", &secret), &[("token", &token)]);
    let answer = call(&event, |request| revoke::handle(&revoke, request, clock::now())).await;
    assert_eq!(answer["statusCode"], 200);
    let authorizer = authorizer::Deps::from_settings(&stack.settings(&[])).unwrap();
    assert_eq!(bearer(&authorizer, &token, clock::now()).await["isAuthorized"], false);
}

#[tokio::test]
async fn without_the_store_nothing_is_said_to_be_revoked() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "").await;
    stack.user("ada", "").await;
    let (token, session) =
        (stack.token("backend", &secret).await, stack.refresh_token("ada", PASSWORD).await);
    let dead = stack.settings(&[("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")]);
    let revoke = revoke::Deps::from_settings(&dead).unwrap();
    let introspect = introspect::Deps::from_settings(&dead).unwrap();
    for (headers, form) in [
        (basic("backend", &secret), vec![("token", token.as_str())]),
        (json!({}), vec![("client_id", "latchkey"), ("token", token.as_str())]),
        (json!({}), vec![("client_id", "latchkey"), ("token", session.as_str())]),
    ] {
        let event = form_event("/oauth2/revoke", headers, &form);
        let answer = call(&event, |request| revoke::handle(&revoke, request, clock::now())).await;
        assert_eq!(answer["statusCode"], 503);
    }
    let event = form_event("/oauth2/introspect", basic("backend", &secret), &[("token", &token)]);
    let answer = call(&event, |request| introspect::handle(&introspect, request, clock::now())).await;
    assert_eq!(answer["statusCode"], 503);
}

/// Revokes so many tokens of a user and a client that one mark revokes all of them.
async fn revoke_too_many(stack: &Stack, of: Granted<'_>, now: u64) {
    let revocations = Revocations::new(stack.table());
    for number in 0..=100 {
        revocations.token(of, &format!("{}-{number}", of.client_id), now + 900, now).await.unwrap();
    }
}

#[tokio::test]
async fn a_client_that_revokes_in_bulk_ends_no_token_of_another() {
    let stack = Stack::start().await;
    let sub = stack.user("ada", "").await;
    let token = stack.sign_in("ada", PASSWORD).await["access_token"].as_str().unwrap().to_owned();
    let now = clock::now();
    revoke_too_many(&stack, Granted { subject: &sub, client_id: "useless" }, now).await;
    let deps = authorizer::Deps::from_settings(&stack.settings(&[])).unwrap();
    assert_eq!(
        bearer(&deps, &token, now).await["isAuthorized"],
        true,
        "first-party sign-in is a client of its own"
    );
    revoke_too_many(&stack, Granted { subject: &sub, client_id: "latchkey" }, now).await;
    let deps = authorizer::Deps::from_settings(&stack.settings(&[])).unwrap();
    assert_eq!(
        bearer(&deps, &token, now).await["isAuthorized"],
        false,
        "by the mark of its subject and client"
    );
    let secret = stack.client("server", "latchkey:introspect").await;
    assert_eq!(introspect(&stack, "server", &secret, &token).await, inactive());
}

#[tokio::test]
async fn introspection_reads_as_much_however_many_tokens_were_revoked() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "").await;
    let token = stack.token("backend", &secret).await;
    let proxy = Proxy::start(&stack.running.environment["AWS_ENDPOINT_URL_DYNAMODB"]).await;
    let deps = introspect::Deps::from_settings(&stack.settings(&[("AWS_ENDPOINT_URL_DYNAMODB", &proxy.url)]))
        .unwrap();
    let now = clock::now();
    let event = form_event("/oauth2/introspect", basic("backend", &secret), &[("token", &token)]);
    // At once a trust interval: what is loaded by then is loaded again.
    let bytes = async |now| {
        let before = proxy.bytes();
        let answer = call(&event, |request| introspect::handle(&deps, request, now)).await;
        assert_eq!(status_and_body(&answer).1["active"], true);
        proxy.bytes() - before
    };
    let (cold, warm) = (bytes(now).await, bytes(now + 1).await);
    let trust = TrustStore::new(stack.table());
    for number in 0..200 {
        trust.revoke_token(&format!("token-{number}"), now + 900).await.unwrap();
    }
    assert_eq!((bytes(now + 15).await, bytes(now + 16).await), (cold, warm));
}

#[tokio::test]
async fn an_expired_token_is_inactive_though_verifiers_still_have_leeway() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "").await;
    let token = stack.token("backend", &secret).await;
    let expires_at = claims(&token)["exp"].as_u64().unwrap();
    let deps = introspect::Deps::from_settings(&stack.settings(&[])).unwrap();
    let event = form_event("/oauth2/introspect", basic("backend", &secret), &[("token", &token)]);
    let active = async |now| {
        let answer = call(&event, |request| introspect::handle(&deps, request, now)).await;
        status_and_body(&answer).1["active"].clone()
    };
    assert_eq!((active(expires_at - 1).await, active(expires_at).await), (json!(true), json!(false)));
    let authorizer = authorizer::Deps::from_settings(&stack.settings(&[])).unwrap();
    assert_eq!(bearer(&authorizer, &token, expires_at + 29).await["isAuthorized"], true);
}

#[tokio::test]
async fn without_credentials_live_and_dead_tokens_of_others_are_one_answer() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "").await;
    let live = stack.token("backend", &secret).await;
    let dead = stack.token("backend", &secret).await;
    assert_eq!(revoke(&stack, "backend", &secret, &dead).await.0, 200);
    let public = async |token: &str| {
        let form = [("client_id", "latchkey"), ("token", token)];
        read(stack.post("/oauth2/revoke").form(&form)).await
    };
    assert_eq!((public(&live).await, public(&dead).await), ((200, json!({})), (200, json!({}))));
    assert_eq!(introspect(&stack, "backend", &secret, &live).await.1["active"], true, "not revoked");
}

#[tokio::test]
async fn the_trust_snapshot_is_bounded_over_all_and_leaves_out_what_has_expired() {
    let stack = Stack::start().await;
    let (table, now) = (stack.table(), clock::now());
    let (trust, revocations) = (TrustStore::new(table.clone()), Revocations::new(table.clone()));
    let count = Key::new("ATTEMPT#revocations#", "all", format!("WINDOW#{}", now - now % 86_400));
    table.create(count, &json!({"issued": 4999, "expires_at": now + 86_400}), None).await.unwrap();
    let revoke = async |user: &str, token: &str| {
        let granted = Granted { subject: user, client_id: "web" };
        revocations.token(granted, token, now + 900, now).await.unwrap();
    };
    let kept = async || table.partition("TRUST").await.unwrap().len();
    let before = kept().await;
    revoke("usr_ada", "1").await;
    for token in ["2", "3", "4"] {
        revoke("usr_grace", token).await;
    }
    assert_eq!(kept().await, before + 2, "the last one that is kept by itself, and one mark");
    let snapshot = TrustCache::new(table.clone(), 15);
    snapshot.snapshot(now).await.unwrap();
    assert_eq!(snapshot.entries(), Some(2));
    trust.revoke_token("expired", now - 31).await.unwrap();
    let snapshot = TrustCache::new(table.clone(), 15);
    snapshot.snapshot(now).await.unwrap();
    assert_eq!((snapshot.entries(), kept().await), (Some(2), before + 3), "not yet dropped from the table");
}

#[tokio::test]
async fn unblocking_moves_no_mark_back() {
    let stack = Stack::start().await;
    let (trust, now) = (TrustStore::new(stack.table()), clock::now());
    trust.revoke_earlier("backend", now + 50).await.unwrap();
    trust.block("backend", now).await.unwrap();
    trust.block("backend", now + 1).await.unwrap();
    assert!(trust.unblock("backend", now).await.unwrap());
    let snapshot = trust.snapshot(now).await.unwrap();
    assert!(snapshot.is_revoked_for("backend", now + 49) && !snapshot.is_revoked_for("backend", now + 50));
    trust.revoke_earlier("backend", now + 10).await.unwrap();
    assert!(trust.snapshot(now).await.unwrap().is_revoked_for("backend", now + 49));
}
