//! Revocation and introspection: their permissions, and how soon a revocation takes effect.

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

/// A page has at most one megabyte (docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.Pagination.html).
#[tokio::test]
async fn a_trust_partition_of_many_pages_is_read_whole() {
    let stack = Stack::start().await;
    let table = stack.table();
    for number in 0..8 {
        let item = json!({"number": number, "text": "x".repeat(300_000)});
        table.create(Key::new("TRUST", "", format!("PAGE#{number}")), &item, None).await.unwrap();
    }
    let items = table.partition("TRUST").await.unwrap();
    let pages = items.iter().filter(|item| item["sk"].as_s().is_ok_and(|sk| sk.starts_with("PAGE#")));
    assert_eq!(pages.count(), 8);
    assert!(items.iter().any(|item| item["sk"].as_s().is_ok_and(|sk| sk == "JWKS")), "the key schedule");
}

#[tokio::test]
async fn a_revoked_token_is_rejected_within_the_trust_interval() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "").await;
    let (token, other) = (stack.token("backend", &secret).await, stack.token("backend", &secret).await);
    let deps = authorizer::Deps::from_settings(&stack.settings(&[("TRUST_REFRESH_SECONDS", "15")])).unwrap();
    let now = clock::now();
    assert_eq!(bearer(&deps, &token, now).await["isAuthorized"], true);
    assert_eq!(revoke(&stack, "backend", &secret, &token).await, (200, json!({})));
    assert_eq!(
        bearer(&deps, &token, now + 14).await["isAuthorized"],
        true,
        "until the trust snapshot is reloaded"
    );
    assert_eq!(bearer(&deps, &token, now + 15).await["isAuthorized"], false);
    assert_eq!(
        bearer(&deps, &other, now + 15).await["isAuthorized"],
        true,
        "other tokens of the client are accepted"
    );
    assert_eq!(revoke(&stack, "backend", &secret, &token).await.0, 200, "a second revocation");
}

#[tokio::test]
async fn many_revoked_tokens_cost_one_read_per_trust_interval() {
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
            "one read per trust interval, whatever the number of tokens"
        );
    }
}

#[tokio::test]
async fn revocations_of_one_user_or_client_are_bounded() {
    let stack = Stack::start().await;
    let (secret, other) = (stack.client("backend", "").await, stack.client("other", "").await);
    let (last, others) = (stack.token("backend", &secret).await, stack.token("other", &other).await);
    let (table, now) = (stack.table(), clock::now());
    let (trust, revocations) = (TrustStore::new(table.clone()), Revocations::new(table.clone()));
    let count = async |partition: &str| table.partition(partition).await.unwrap().len();
    let before = count("TRUST").await;
    let [ada, backend] = [("usr_ada", "web"), ("backend", "backend")]
        .map(|(subject, client_id)| Granted { subject, client_id });
    for number in 0..110 {
        revocations.session(ada, &format!("session-{number}"), now).await.unwrap();
    }
    assert_eq!(count("TRUST").await, before + 101, "a hundred entries, and one for all others");
    for _ in 0..50 {
        revocations.token(backend, "the same", now + 900, now).await.unwrap();
    }
    for number in 0..999 {
        revocations.token(backend, &format!("token-{number}"), now + 900, now).await.unwrap();
    }
    assert_eq!(count("TRUST").await, before + 1101, "a thousand entries of a client");
    assert_eq!(revoke(&stack, "backend", &secret, &last).await.0, 200);
    assert_eq!(count("TRUST").await, before + 1102);
    let deps = authorizer::Deps::from_settings(&stack.settings(&[])).unwrap();
    assert_eq!(bearer(&deps, &last, now).await["isAuthorized"], false);
    assert_eq!(bearer(&deps, &others, now).await["isAuthorized"], true);
    // Revoking the tokens of a blocked client does not unblock it.
    trust.block("backend", now).await.unwrap();
    trust.revoke_earlier("backend", now).await.unwrap();
    assert!(trust.snapshot(now).await.unwrap().is_revoked_for("backend", now + 100));
    // A revocation by reuse detection counts as well.
    let sub = stack.user("ada", "").await;
    let first = stack.refresh_token("ada", PASSWORD).await;
    let refresh = async |token: &str| {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        read(stack.post("/oauth2/token").form(&form)).await.1["refresh_token"].as_str().map(str::to_owned)
    };
    refresh(&refresh(&first).await.unwrap()).await.unwrap();
    assert_eq!(refresh(&first).await, None);
    assert_eq!(count(&format!("ATTEMPT#revocations#{sub}#latchkey")).await, 1);
}

#[tokio::test]
async fn blocked_users_and_api_keys_are_rejected_within_the_trust_interval() {
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
    assert_eq!(by_key(now).await, true);
    assert_eq!(bearer(&deps, &token, now).await["isAuthorized"], true);
    let key_id = ApiKeys::new(stack.table()).list().await.unwrap();
    let key_id = &key_id.iter().find(|key| key.owner == "tests").unwrap().id;
    let trust = TrustStore::new(stack.table());
    trust.block(&sub, now).await.unwrap();
    trust.block(key_id, now).await.unwrap();
    let before = proxy.count();
    assert_eq!(by_key(now + 15).await, false);
    assert_eq!(bearer(&deps, &token, now + 15).await["isAuthorized"], false);
    assert_eq!(proxy.count() - before, 1, "the API key is not reloaded");
    assert_eq!(by_key(now + 3601).await, false, "it stays blocked when it is reloaded");
}

#[tokio::test]
async fn a_client_can_revoke_only_its_tokens() {
    let stack = Stack::start().await;
    let (secret, other) = (stack.client("backend", "").await, stack.client("other", "").await);
    stack.user("ada", "").await;
    let token = stack.token("backend", &secret).await;
    let refresh_token = stack.refresh_token("ada", PASSWORD).await;
    for token in [&token, &refresh_token] {
        let (status, body) = revoke(&stack, "other", &other, token).await;
        assert_eq!((status, &body["error"]), (400, &json!("unauthorized_client")));
    }
    assert_eq!(introspect(&stack, "backend", &secret, &token).await.1["active"], true, "not revoked");
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str())];
    assert_eq!(read(stack.post("/oauth2/token").form(&form)).await.0, 200, "not revoked");
}

#[tokio::test]
async fn revoking_an_invalid_token_succeeds() {
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
async fn signing_out_revokes_the_token_family_and_its_access_tokens() {
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
async fn revoking_an_older_refresh_token_revokes_the_token_family() {
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
async fn revocation_and_introspection_require_client_authentication() {
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
        "a public client does not authenticate"
    );
}

#[tokio::test]
async fn introspection_describes_a_clients_tokens_to_it_alone() {
    let stack = Stack::start().await;
    let (secret, other) = (stack.client("backend", "a").await, stack.client("other", "a").await);
    let server = stack.client("server", "latchkey:introspect").await;
    let token = stack.token("backend", &secret).await;
    let (status, found) = introspect(&stack, "backend", &secret, &token).await;
    let expected = claims(&token);
    assert_eq!((status, &found["active"], &found["token_type"]), (200, &json!(true), &json!("Bearer")));
    for name in ["iss", "sub", "aud", "client_id", "scope", "exp", "iat", "jti"] {
        assert_eq!(found[name], expected[name], "{name}");
    }
    assert_eq!(introspect(&stack, "server", &server, &token).await.1, found, "a resource server");
    assert_eq!(introspect(&stack, "other", &other, &token).await, inactive(), "another client");
    for unknown in ["x", &token[..token.len() - 3], "lk_rt_x"] {
        assert_eq!(introspect(&stack, "backend", &secret, unknown).await, inactive());
    }
}

#[tokio::test]
async fn introspection_reports_expired_and_revoked_tokens_as_inactive() {
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
        let (_, found) =
            status_and_body(&call(&event, |request| introspect::handle(&deps, request, now)).await);
        assert!(found["active"] == true || found == json!({"active": false}), "{found}");
        found["active"] == true
    };
    assert!(active(access, now).await);
    assert!(active(refresh, now).await);
    assert!(!active(refresh, now + 8 * 86_400).await, "idle for 8 days");
    let deps_token = token::Deps::from_settings(&stack.settings(&[])).unwrap();
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    let next =
        post_token(&deps_token, json!({}), &form, now).await.1["refresh_token"].as_str().unwrap().to_owned();
    assert!(!active(refresh, now).await, "rotated");
    assert!(active(&next, now).await);
    Users::new(stack.table()).set_disabled("ada", true).await.unwrap();
    assert!(!active(&next, now).await, "its user is disabled");
    assert!(!active(access, now + 931).await, "expired");
    let sub = claims(access)["sub"].as_str().unwrap().to_owned();
    TrustStore::new(stack.table()).block(&sub, now).await.unwrap();
    assert!(!active(access, now).await, "its user is blocked");
    let other = stack.token("server", &secret).await;
    assert!(active(&other, now).await);
    let key_id = stack.key_schedule().await.iter().last().unwrap().key.kid.clone();
    stack.rotation().revoke(&key_id, Algorithm::Es256, now).await.unwrap();
    assert!(!active(&other, now).await, "its key is revoked");
}

#[tokio::test]
async fn a_token_with_an_unknown_key_is_revoked_or_unavailable() {
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
async fn revocation_of_a_token_from_the_future_is_unavailable() {
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
    assert_eq!(status(now - 60).await, 503, "the key is not published by this clock");
    assert_eq!(status(now + 60).await, 200);
}

#[tokio::test]
async fn tokens_of_an_unblocked_client_are_active_at_once() {
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
    let introspection = form_event("/oauth2/introspect", basic("backend", &secret), &[("token", &token)]);
    let is_active = async || {
        let answer = call(&introspection, |request| introspect::handle(&introspect, request, now)).await;
        status_and_body(&answer).1["active"].clone()
    };
    assert_eq!(is_active().await, true);
    let event = form_event("/oauth2/revoke", basic("backend", &secret), &[("token", &token)]);
    assert_eq!(call(&event, |request| revoke::handle(&revoke, request, now)).await["statusCode"], 200);
    assert_eq!(is_active().await, false);
    let authorizer = authorizer::Deps::from_settings(&settings).unwrap();
    assert_eq!(bearer(&authorizer, &token, now).await["isAuthorized"], false);
}

#[tokio::test]
async fn revoking_an_expired_refresh_token_revokes_its_token_family() {
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
async fn a_token_issued_on_another_domain_of_ours_can_be_revoked() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "").await;
    let token = stack.token("backend", &secret).await;
    // The request's domain is api.example.com, which is then the issuer.
    let revoke = revoke::Deps::from_settings(&stack.settings(&[("ISSUER", "")])).unwrap();
    let event = form_event("/oauth2/revoke", basic("backend", &secret), &[("token", &token)]);
    let answer = call(&event, |request| revoke::handle(&revoke, request, clock::now())).await;
    assert_eq!(answer["statusCode"], 200);
    let authorizer = authorizer::Deps::from_settings(&stack.settings(&[])).unwrap();
    assert_eq!(bearer(&authorizer, &token, clock::now()).await["isAuthorized"], false);
}

#[tokio::test]
async fn a_revocation_without_the_store_is_unavailable() {
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

/// Revokes so many tokens of a user and a client that one entry revokes all of them.
async fn revoke_in_bulk(stack: &Stack, of: Granted<'_>, now: u64) {
    let revocations = Revocations::new(stack.table());
    for number in 0..=100 {
        revocations.token(of, &format!("{}-{number}", of.client_id), now + 900, now).await.unwrap();
    }
}

#[tokio::test]
async fn bulk_revocation_by_a_client_spares_tokens_of_others() {
    let stack = Stack::start().await;
    let sub = stack.user("ada", "").await;
    let token = stack.sign_in("ada", PASSWORD).await["access_token"].as_str().unwrap().to_owned();
    let now = clock::now();
    revoke_in_bulk(&stack, Granted { subject: &sub, client_id: "useless" }, now).await;
    let deps = authorizer::Deps::from_settings(&stack.settings(&[])).unwrap();
    assert_eq!(
        bearer(&deps, &token, now).await["isAuthorized"],
        true,
        "first-party sign-in is another client"
    );
    revoke_in_bulk(&stack, Granted { subject: &sub, client_id: "latchkey" }, now).await;
    let deps = authorizer::Deps::from_settings(&stack.settings(&[])).unwrap();
    assert_eq!(
        bearer(&deps, &token, now).await["isAuthorized"],
        false,
        "the entry of its subject and client"
    );
    let secret = stack.client("server", "latchkey:introspect").await;
    assert_eq!(introspect(&stack, "server", &secret, &token).await, inactive());
}

#[tokio::test]
async fn introspection_reads_no_more_when_many_tokens_are_revoked() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "").await;
    let token = stack.token("backend", &secret).await;
    let proxy = Proxy::start(&stack.running.environment["AWS_ENDPOINT_URL_DYNAMODB"]).await;
    let deps = introspect::Deps::from_settings(&stack.settings(&[("AWS_ENDPOINT_URL_DYNAMODB", &proxy.url)]))
        .unwrap();
    let now = clock::now();
    let event = form_event("/oauth2/introspect", basic("backend", &secret), &[("token", &token)]);
    // The first call of a trust interval reloads what is stale.
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
    assert_eq!(bytes(now + 15).await, cold);
    assert_eq!(bytes(now + 16).await, warm);
}

#[tokio::test]
async fn introspection_grants_no_leeway_to_an_expired_token() {
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
    assert_eq!(active(expires_at - 1).await, true);
    assert_eq!(active(expires_at).await, false);
    let authorizer = authorizer::Deps::from_settings(&stack.settings(&[])).unwrap();
    assert_eq!(bearer(&authorizer, &token, expires_at + 29).await["isAuthorized"], true);
}

#[tokio::test]
async fn a_public_client_cannot_tell_active_from_revoked_tokens() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "").await;
    let active = stack.token("backend", &secret).await;
    let revoked = stack.token("backend", &secret).await;
    assert_eq!(revoke(&stack, "backend", &secret, &revoked).await.0, 200);
    let public = async |token: &str| {
        let form = [("client_id", "latchkey"), ("token", token)];
        read(stack.post("/oauth2/revoke").form(&form)).await
    };
    assert_eq!(public(&active).await, (200, json!({})));
    assert_eq!(public(&revoked).await, (200, json!({})));
    assert_eq!(introspect(&stack, "backend", &secret, &active).await.1["active"], true, "not revoked");
}

#[tokio::test]
async fn the_trust_snapshot_is_bounded_and_omits_expired_entries() {
    let stack = Stack::start().await;
    let (table, now) = (stack.table(), clock::now());
    let (trust, revocations) = (TrustStore::new(table.clone()), Revocations::new(table.clone()));
    let count = Key::new("ATTEMPT#revocations#", "all", format!("WINDOW#{}", now - now % 86_400));
    table.create(count, &json!({"issued": 4999, "expires_at": now + 86_400}), None).await.unwrap();
    let revoke = async |user: &str, token: &str| {
        let granted = Granted { subject: user, client_id: "web" };
        revocations.token(granted, token, now + 900, now).await.unwrap();
    };
    let count = async || table.partition("TRUST").await.unwrap().len();
    let before = count().await;
    revoke("usr_ada", "1").await;
    for token in ["2", "3", "4"] {
        revoke("usr_grace", token).await;
    }
    assert_eq!(
        count().await,
        before + 2,
        "one entry for the last token within the limit, and one for the others"
    );
    let snapshot = TrustCache::new(table.clone(), 15);
    snapshot.snapshot(now).await.unwrap();
    assert_eq!(snapshot.entries(), Some(2));
    trust.revoke_token("expired", now - 31).await.unwrap();
    let snapshot = TrustCache::new(table.clone(), 15);
    snapshot.snapshot(now).await.unwrap();
    assert_eq!(snapshot.entries(), Some(2));
    assert_eq!(count().await, before + 3, "the table still has the expired entry");
}

#[tokio::test]
async fn unblocking_keeps_the_later_revocation_time() {
    let stack = Stack::start().await;
    let (trust, now) = (TrustStore::new(stack.table()), clock::now());
    trust.revoke_earlier("backend", now + 50).await.unwrap();
    trust.block("backend", now).await.unwrap();
    trust.block("backend", now + 1).await.unwrap();
    assert!(trust.unblock("backend", now).await.unwrap());
    let snapshot = trust.snapshot(now).await.unwrap();
    assert!(snapshot.is_revoked_for("backend", now + 49));
    assert!(!snapshot.is_revoked_for("backend", now + 50));
    trust.revoke_earlier("backend", now + 10).await.unwrap();
    assert!(trust.snapshot(now).await.unwrap().is_revoked_for("backend", now + 49));
}
