//! Google sign-in: accepted and rejected ID tokens, and outages of Google's JWKS endpoint.

use local::google::{CLIENT_ID, GoogleAccount};
use reqwest::header::COOKIE;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use shared::jose::algorithm::Algorithm;
use shared::runtime::clock;
use shared::signing::private_key::PrivateKey;
use shared::store::identities::Identities;
use shared::store::users::Users;
use shared::trust::store::TrustStore;
use test_support::{Stack, claims, read};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::events::{call, http_event};

/// A valid ID token with one claim changed.
fn id_token_with(stack: &Stack, name: &str, value: Value) -> String {
    let mut claims = claims(&stack.id_token("ada@example.com"));
    claims[name] = value;
    stack.google_key().sign("JWT", &claims).expect("an ID token").expose_secret().to_owned()
}

async fn status(stack: &Stack, id_token: &str) -> u16 {
    read(stack.post("/google").bearer_auth(id_token)).await.0
}

#[tokio::test]
async fn an_id_token_that_is_not_for_us_is_rejected() {
    let stack = Stack::start().await;
    assert_eq!(status(&stack, &id_token_with(&stack, "x", json!(1))).await, 200);
    let now = clock::now();
    for (name, value) in [
        ("iss", json!("https://evil.example")),
        ("aud", json!("theirs.apps.googleusercontent.com")),
        ("aud", json!([CLIENT_ID])),
        ("azp", json!("theirs.apps.googleusercontent.com")),
        ("sub", json!("")),
        ("exp", json!(now - 31)),
        ("exp", json!(now + 86_400)),
        ("iat", json!(now + 100)),
    ] {
        let (status, body) =
            read(stack.post("/google").bearer_auth(id_token_with(&stack, name, value.clone()))).await;
        assert_eq!((status, &body["error"]), (401, &json!("invalid_grant")), "{name} {value}");
    }
    let person = GoogleAccount { email: "ada@example.com".to_owned(), hosted_domain: None };
    let ours = stack.google_key();
    let expired = person.id_token(&ours, CLIENT_ID, now - 7200).unwrap();
    assert_eq!(status(&stack, expired.expose_secret()).await, 401);
    let forged = person.id_token(&test_support::proofs::key(Algorithm::Rs256), CLIENT_ID, now).unwrap();
    assert_eq!(status(&stack, forged.expose_secret()).await, 401);
    let secret = stack.client("backend", "").await;
    assert_eq!(status(&stack, &stack.token("backend", &secret).await).await, 401, "our own access token");
}

#[tokio::test]
async fn an_unlisted_authorized_party_is_rejected() {
    let stack = Stack::start().await;
    let token = id_token_with(&stack, "azp", json!("phone"));
    let both = format!("{CLIENT_ID},phone");
    for (client_ids, expected) in [(CLIENT_ID, 401), (&both, 200)] {
        let settings = [
            ("GOOGLE_CLIENT_IDS", client_ids),
            ("GOOGLE_JWKS_URL", &stack.running.environment["GOOGLE_JWKS_URL"]),
        ];
        let deps = google::Deps::from_settings(&stack.settings(&settings)).unwrap();
        assert_eq!(exchange(&deps, &token, clock::now()).await, expected, "{client_ids}");
    }
}

#[tokio::test]
async fn an_id_token_for_a_named_client_is_rejected() {
    let stack = Stack::start().await;
    let token = stack.id_token("ada@example.com");
    let named = format!("{CLIENT_ID}=web");
    let settings = [
        ("GOOGLE_CLIENT_IDS", named.as_str()),
        ("GOOGLE_JWKS_URL", &stack.running.environment["GOOGLE_JWKS_URL"]),
    ];
    let deps = google::Deps::from_settings(&stack.settings(&settings)).unwrap();
    assert_eq!(exchange(&deps, &token, clock::now()).await, 401);
    let subject = claims(&token)["sub"].as_str().unwrap().to_owned();
    let found = Identities::new(stack.table()).find("https://accounts.google.com", &subject).await.unwrap();
    assert_eq!(found, None, "no user is created");
}

#[tokio::test]
async fn an_access_token_of_google_is_rejected() {
    let stack = Stack::start().await;
    let claims = claims(&stack.id_token("ada@example.com"));
    for (typ, expected) in [("JWT", 200), ("at+jwt", 401)] {
        let token = stack.google_key().sign(typ, &claims).unwrap();
        assert_eq!(status(&stack, token.expose_secret()).await, expected, "{typ}");
    }
}

#[tokio::test]
async fn an_overlong_email_is_left_out_of_the_token() {
    let stack = Stack::start().await;
    let token = id_token_with(&stack, "email", json!(format!("{}@example.com", "x".repeat(10_000))));
    let (status, body) = read(stack.post("/google").json(&json!({"id_token": token}))).await;
    let token = body["access_token"].as_str().unwrap();
    assert_eq!((status, claims(token).get("email")), (200, None));
    assert_eq!(read(stack.get("/profile").bearer_auth(token)).await.0, 200);
}

#[tokio::test]
async fn an_id_token_over_sixteen_kib_is_rejected() {
    let stack = Stack::start().await;
    for (length, expected) in [(11_000, 200), (13_000, 401)] {
        let token = id_token_with(&stack, "note", json!("x".repeat(length)));
        assert_eq!(token.len() <= 16 * 1024, expected == 200);
        let (status, _) = read(stack.post("/google").json(&json!({"id_token": token}))).await;
        assert_eq!(status, expected, "{}", token.len());
    }
}

#[tokio::test]
async fn a_federated_identity_is_its_subject_and_never_its_email() {
    let stack = Stack::start().await;
    let subject = async |id_token: String| {
        let (_, body) = read(stack.post("/google").bearer_auth(id_token)).await;
        claims(body["access_token"].as_str().unwrap())
    };
    let first = subject(id_token_with(&stack, "sub", json!("1"))).await;
    let again = subject(id_token_with(&stack, "sub", json!("1"))).await;
    let other = subject(id_token_with(&stack, "sub", json!("2"))).await;
    assert_eq!(first["sub"], again["sub"]);
    assert_ne!(first["sub"], other["sub"]);
    assert_eq!(first["preferred_username"], first["sub"]);
    let local = stack.user("ada@example.com", "admin").await;
    let claims = subject(id_token_with(&stack, "sub", json!("3"))).await;
    assert_ne!(claims["sub"], json!(local));
    assert_eq!(claims.get("scope"), None);
    let unverified = subject(id_token_with(&stack, "email_verified", json!(false))).await;
    assert_eq!(unverified.get("email"), None);
}

#[tokio::test]
async fn concurrent_first_sign_ins_create_one_user() {
    let stack = Stack::start().await;
    let token = stack.id_token("ada@example.com");
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        tasks.spawn(read(stack.post("/google").bearer_auth(&token)));
    }
    let answers = tasks.join_all().await;
    let subjects: std::collections::BTreeSet<String> = answers
        .iter()
        .map(|(status, body)| {
            assert_eq!(*status, 200, "{body}");
            claims(body["access_token"].as_str().unwrap())["sub"].to_string()
        })
        .collect();
    assert_eq!(subjects.len(), 1);
}

#[tokio::test]
async fn a_disabled_or_deleted_user_cannot_sign_in_through_google() {
    let stack = Stack::start().await;
    let token = stack.id_token("ada@example.com");
    let (_, body) = read(stack.post("/google").bearer_auth(&token)).await;
    let sub = claims(body["access_token"].as_str().unwrap())["sub"].as_str().unwrap().to_owned();
    let users = Users::new(stack.table());
    users.set_disabled(&sub, true).await.unwrap();
    assert_eq!(status(&stack, &token).await, 401);
    users.set_disabled(&sub, false).await.unwrap();
    assert_eq!(status(&stack, &token).await, 200);
    users.delete(&sub).await.unwrap();
    assert_eq!(status(&stack, &token).await, 401);
}

#[tokio::test]
async fn googles_form_requires_its_csrf_cookie() {
    let stack = Stack::start().await;
    let token = stack.id_token("ada@example.com");
    let post = async |field: Option<&str>, cookie: Option<&str>| {
        let mut form = vec![("credential", token.as_str())];
        form.extend(field.map(|field| ("g_csrf_token", field)));
        let request = stack.post("/google").form(&form);
        read(cookie.into_iter().fold(request, |request, cookie| request.header(COOKIE, cookie))).await.0
    };
    assert_eq!(post(Some("abc"), Some("g_csrf_token=abc")).await, 200);
    assert_eq!(post(Some("abc"), Some("a=b; g_csrf_token=abc")).await, 200);
    for (field, cookie) in [
        (None, None),
        (Some("abc"), None),
        (None, Some("g_csrf_token=abc")),
        (Some("abc"), Some("g_csrf_token=abd")),
        (Some("abc"), Some("g_csrf_token=abc; g_csrf_token=abc")),
        (Some("abc"), Some("xg_csrf_token=abc")),
        (Some(""), Some("g_csrf_token=")),
    ] {
        assert_eq!(post(field, cookie).await, 400, "{field:?} {cookie:?}");
    }
}

async fn exchange(deps: &google::Deps, token: &str, now: u64) -> u64 {
    let event = http_event("POST", "/google", json!({"authorization": format!("Bearer {token}")}), None);
    let answer = call(&event, |request| google::handle(deps, request, now)).await;
    answer["statusCode"].as_u64().unwrap()
}

/// A function that fetches Google's keys from this server.
async fn deps_with(stack: &Stack, server: &MockServer) -> google::Deps {
    let url = format!("{}/certs", server.uri());
    google::Deps::from_settings(
        &stack.settings(&[("GOOGLE_CLIENT_IDS", CLIENT_ID), ("GOOGLE_JWKS_URL", &url)]),
    )
    .unwrap()
}

async fn serve(server: &MockServer, answer: ResponseTemplate) {
    server.reset().await;
    Mock::given(any()).respond_with(answer).mount(server).await;
}

fn jwks(keys: &[&PrivateKey]) -> ResponseTemplate {
    let keys: Vec<_> = keys.iter().map(|key| key.public_jwk()).collect();
    ResponseTemplate::new(200)
        .set_body_json(json!({"keys": keys}))
        .insert_header("cache-control", "max-age=600")
}

#[tokio::test]
async fn cached_keys_serve_while_google_is_broken() {
    let stack = Stack::start().await;
    let server = MockServer::start().await;
    let (deps, key) = (deps_with(&stack, &server).await, stack.google_key());
    let token = stack.id_token("ada@example.com");
    let now = clock::now();
    serve(&server, jwks(&[&key])).await;
    assert_eq!(exchange(&deps, &token, now).await, 200);
    assert_eq!(exchange(&deps, &token, now + 599).await, 200);
    assert_eq!(server.received_requests().await.unwrap().len(), 1, "the keys are cached for `max-age`");
    for (round, broken) in [
        ResponseTemplate::new(500),
        ResponseTemplate::new(302).insert_header("location", server.uri()),
        ResponseTemplate::new(200).set_body_string("garbage"),
        ResponseTemplate::new(200).set_body_json(json!({"keys": []})),
        ResponseTemplate::new(200).set_body_bytes(vec![b' '; 10_000_000]),
    ]
    .into_iter()
    .enumerate()
    {
        serve(&server, broken).await;
        let later = now + 700 + 100 * round as u64;
        assert_eq!(exchange(&deps, &token, later).await, 200, "{round}");
        assert_eq!(
            server.received_requests().await.unwrap().len(),
            1,
            "{round}: one bounded fetch, no redirect followed"
        );
    }
}

#[tokio::test]
async fn only_rs256_is_accepted_from_google() {
    let stack = Stack::start().await;
    let server = MockServer::start().await;
    let (deps, rsa) = (deps_with(&stack, &server).await, stack.google_key());
    let others = [Algorithm::Es256, Algorithm::EdDsa].map(test_support::proofs::key);
    let keys: Vec<_> = [&rsa].into_iter().chain(&others).collect();
    serve(&server, jwks(&keys)).await;
    let person = GoogleAccount { email: "ada@example.com".to_owned(), hosted_domain: None };
    let now = clock::now();
    for (number, key) in keys.into_iter().enumerate() {
        let token = person.id_token(key, CLIENT_ID, now).unwrap();
        let expected = if number == 0 { 200 } else { 401 };
        assert_eq!(exchange(&deps, token.expose_secret(), now).await, expected, "key {number}");
    }
}

#[tokio::test]
async fn a_sign_in_without_googles_keys_is_unavailable() {
    let stack = Stack::start().await;
    let server = MockServer::start().await;
    serve(&server, ResponseTemplate::new(500)).await;
    let deps = deps_with(&stack, &server).await;
    assert_eq!(exchange(&deps, &stack.id_token("ada@example.com"), clock::now()).await, 503);
}

#[tokio::test]
async fn a_rotated_key_is_found_and_unknown_keys_cost_one_fetch() {
    let stack = Stack::start().await;
    let server = MockServer::start().await;
    let (deps, key) = (deps_with(&stack, &server).await, stack.google_key());
    let (old, unknown) =
        (test_support::proofs::key(Algorithm::Rs256), test_support::proofs::key(Algorithm::Rs256));
    let now = clock::now();
    serve(&server, jwks(&[&old])).await;
    let person = GoogleAccount { email: "ada@example.com".to_owned(), hosted_domain: None };
    let by = |key: &PrivateKey| person.id_token(key, CLIENT_ID, now).unwrap().expose_secret().to_owned();
    assert_eq!(exchange(&deps, &by(&old), now).await, 200);
    serve(&server, jwks(&[&old, &key])).await;
    assert_eq!(exchange(&deps, &by(&key), now).await, 200);
    for _ in 0..20 {
        assert_eq!(exchange(&deps, &by(&unknown), now).await, 401);
    }
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_blocked_subject_is_denied_by_the_authorizer() {
    let stack = Stack::start().await;
    let (_, body) = read(stack.post("/google").bearer_auth(stack.id_token("ada@example.com"))).await;
    let token = body["access_token"].as_str().unwrap();
    let sub = claims(token)["sub"].as_str().unwrap().to_owned();
    TrustStore::new(stack.table()).block(&sub, clock::now()).await.unwrap();
    let deps = authorizer::Deps::from_settings(&stack.settings(&[])).unwrap();
    assert_eq!(crate::authorizer::bearer(&deps, token, clock::now()).await["isAuthorized"], false);
}
