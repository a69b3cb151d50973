//! Client assertions in the forms that libraries write, and the response to rejected ones.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::identity::secrets::random_id;
use shared::jose::algorithm::Algorithm;
use shared::runtime::clock;
use shared::store::clients::ClientKeys;
use test_support::proofs::{ASSERTION, Holder, P384, assertion, jwks, key};
use test_support::{Stack, read};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::events::{call, form_event, post_token, status_and_body};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

/// Sends this assertion to `path`.
async fn ask_at(stack: &Stack, path: &str, assertion: &str) -> (u16, Value) {
    let form = [GRANT, ("client_assertion_type", ASSERTION), ("client_assertion", assertion), ("token", "x")];
    read(stack.post(path).form(&form)).await
}

async fn ask(deps: &token::Deps, assertion: &str, now: u64) -> (u64, Value) {
    let form = [GRANT, ("client_assertion_type", ASSERTION), ("client_assertion", assertion)];
    post_token(deps, json!({}), &form, now).await
}

/// A stack with the client `app` and its key.
async fn with_holder() -> (Stack, Holder) {
    let (stack, holder) = (Stack::start().await, Holder::new());
    let keys = ClientKeys::Jwks(json!({"keys": [holder.jwk()]}).to_string());
    stack.client_with("app", "a", |client| client.public_keys = Some(keys)).await;
    (stack, holder)
}

/// An assertion with the required members, this header and these claims as text.
fn written(stack: &Stack, holder: &Holder, header: &str, claims: &str) -> String {
    let (issuer, id) = (&stack.running.url, random_id(""));
    let claims = format!(r#"{{"iss":"app","sub":"app","aud":"{issuer}","jti":"{id}",{claims}}}"#);
    holder.sign(&format!(r#"{{"alg":"EdDSA",{header}}}"#), &claims)
}

#[tokio::test]
async fn every_audience_of_an_assertion_must_be_ours() {
    let stack = Stack::start().await;
    let key = key(Algorithm::Es256);
    stack.client_with("app", "a", |client| client.public_keys = Some(jwks(&key))).await;
    let issuer = stack.running.url.clone();
    let (token, authorize) = (stack.url("/oauth2/token"), stack.url("/oauth2/authorize"));
    let other = "https://other.example";
    for (path, audience, status) in [
        ("/oauth2/token", json!([issuer, token]), 200),
        ("/oauth2/token", json!([token, issuer]), 200),
        ("/oauth2/token", json!(authorize), 401),
        ("/oauth2/token", json!([issuer, authorize]), 401),
        ("/oauth2/authorize", json!(authorize), 200),
        ("/oauth2/authorize", json!([issuer, token, authorize]), 200),
        ("/oauth2/authorize", json!(token), 200),
        ("/oauth2/introspect", json!([issuer, token]), 200),
        ("/oauth2/introspect", json!(authorize), 401),
        ("/oauth2/revoke", json!(token), 200),
        ("/oauth2/revoke", json!(stack.url("/oauth2/revoke")), 401),
        ("/oauth2/token", json!([issuer, other]), 401),
        ("/oauth2/token", json!([other, token]), 401),
        ("/oauth2/token", json!([]), 401),
        ("/oauth2/token", json!([issuer, null]), 401),
        ("/oauth2/token", json!(format!("{token}/")), 401),
        ("/oauth2/token", json!(format!("{token}?a")), 401),
    ] {
        let assertion = assertion(&stack, &key, |claims| claims["aud"] = audience.clone());
        let (found, body) = ask_at(&stack, path, &assertion).await;
        assert_eq!(found, status, "{path} {audience} {body}");
    }
}

#[tokio::test]
async fn strict_assertion_audience_accepts_the_issuer_alone() {
    let stack = Stack::start().await;
    let key = key(Algorithm::Es256);
    stack.client_with("app", "a", |client| client.public_keys = Some(jwks(&key))).await;
    let strict = stack.settings(&[("STRICT_ASSERTION_AUDIENCE", "true")]);
    let deps = token::Deps::from_settings(&strict).unwrap();
    let (issuer, token) = (json!(stack.running.url), json!(stack.url("/oauth2/token")));
    for (audience, status) in
        [(issuer.clone(), 200), (json!([issuer]), 200), (token.clone(), 401), (json!([issuer, token]), 401)]
    {
        let assertion = assertion(&stack, &key, |claims| claims["aud"] = audience.clone());
        assert_eq!(ask(&deps, &assertion, clock::now()).await.0, status, "{audience}");
    }
    let bad = stack.settings(&[("STRICT_ASSERTION_AUDIENCE", "yes")]);
    assert!(token::Deps::from_settings(&bad).is_err());
}

#[tokio::test]
async fn fractional_times_are_truncated_before_every_check() {
    let (stack, holder) = with_holder().await;
    let deps = token::Deps::from_settings(&stack.settings(&[])).unwrap();
    let now = clock::now();
    for (claims, status) in [
        (format!(r#""iat":{now}.123,"exp":{}.5,"nbf":{now}.0"#, now + 60), 200),
        (format!(r#""exp":{}.999"#, now + 3600), 200),
        (format!(r#""iat":null,"exp":{},"nbf":null"#, now + 60), 200),
        (format!(r#""exp":{}.0"#, now + 3601), 401),
        (format!(r#""exp":{}.9"#, now - 30), 401),
        (format!(r#""iat":{}.0,"exp":{}"#, now + 31, now + 60), 401),
        (format!(r#""exp":{}.0e0"#, now + 60), 401),
        (r#""exp":1e18"#.to_owned(), 401),
        (format!(r#""exp":"{}.5""#, now + 60), 401),
        (format!(r#""exp":{},"exp":{}.5"#, now + 60, now + 60), 401),
    ] {
        let (found, body) = ask(&deps, &written(&stack, &holder, r#""typ":"JWT""#, &claims), now).await;
        assert_eq!(found, status, "{claims} {body}");
    }
    // The replay store keeps it through its last second, whatever the fraction.
    let assertion = written(&stack, &holder, r#""typ":"JWT""#, &format!(r#""exp":{}.9"#, now + 60));
    assert_eq!(ask(&deps, &assertion, now).await.0, 200);
    for later in [0, 60, 89, 90, 3600] {
        assert_eq!(ask(&deps, &assertion, now + later).await.0, 401, "{later}");
    }
}

#[tokio::test]
async fn the_type_of_an_assertion_ignores_case_and_the_prefix_of_media_types() {
    let (stack, holder) = with_holder().await;
    let exp = format!(r#""exp":{}"#, clock::now() + 60);
    for (typ, status) in [
        (r#""jwt""#, 200),
        (r#""application/jwt""#, 200),
        (r#""Application/Client-Authentication+JWT""#, 200),
        ("null", 200),
        (r#""at+jwt""#, 401),
        (r#""application/at+jwt""#, 401),
        (r#""dpop+jwt""#, 401),
        (r#""jwt;x=y""#, 401),
    ] {
        let assertion = written(&stack, &holder, &format!(r#""kid":null,"typ":{typ}"#), &exp);
        assert_eq!(ask_at(&stack, "/oauth2/token", &assertion).await.0, status, "{typ}");
    }
}

/// The metadata lists the algorithms that are accepted.
#[tokio::test]
async fn an_assertion_signed_with_es384_is_accepted() {
    let (stack, key) = (Stack::start().await, P384::new());
    let keys = ClientKeys::Jwks(json!({"keys": [key.jwk("1")]}).to_string());
    stack.client_with("app", "a", |client| client.public_keys = Some(keys)).await;
    let now = clock::now();
    let claims = json!({"iss": "app", "sub": "app", "aud": stack.running.url, "exp": now + 60, "jti": "1"});
    let (status, body) = ask_at(&stack, "/oauth2/token", &key.sign("1", &claims)).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(ask_at(&stack, "/oauth2/token", &P384::new().sign("1", &claims)).await.0, 401);
    let (_, metadata) = read(stack.get("/.well-known/oauth-authorization-server")).await;
    for place in ["token", "revocation", "introspection"] {
        let name = format!("{place}_endpoint_auth_signing_alg_values_supported");
        assert_eq!(metadata[&name], json!(["RS256", "ES256", "ES384", "EdDSA", "Ed25519"]), "{name}");
    }
}

/// A server that sends every request this response.
async fn serving(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

#[tokio::test]
async fn rejected_assertions_get_one_response_and_cost_one_fetch() {
    let stack = Stack::start().await;
    let (own, others) = (key(Algorithm::Es256), key(Algorithm::Es256));
    let published = json!({"keys": [others.public_jwk()]});
    let slow =
        serving(ResponseTemplate::new(200).set_body_json(&published).set_delay(Duration::from_secs(2))).await;
    let broken = serving(ResponseTemplate::new(500)).await;
    let empty = serving(ResponseTemplate::new(200).set_body_json(json!({"keys": []}))).await;
    let garbage = serving(ResponseTemplate::new(200).set_body_string("<html>")).await;
    let silent = serving(ResponseTemplate::new(200).set_delay(Duration::from_mins(1))).await;
    for (id, url) in [
        ("dead", "http://127.0.0.1:9/jwks".to_owned()),
        ("slow", slow.uri()),
        ("broken", broken.uri()),
        ("empty", empty.uri()),
        ("garbage", garbage.uri()),
        ("silent", silent.uri()),
    ] {
        stack.client_with(id, "a", |client| client.public_keys = Some(ClientKeys::Url(url))).await;
    }
    stack.client_with("inline", "a", |client| client.public_keys = Some(jwks(&others))).await;
    stack.client("without-keys", "a").await;
    let deps = token::Deps::from_settings(&stack.settings(&[])).unwrap();
    let mut answers = Vec::new();
    let clients =
        ["unknown", "inline", "without-keys", "dead", "slow", "broken", "empty", "garbage", "silent"];
    for id in clients {
        let assertion = assertion(&stack, &own, |claims| {
            (claims["iss"], claims["sub"]) = (json!(id), json!(id));
        });
        let form = [GRANT, ("client_assertion_type", ASSERTION), ("client_assertion", assertion.as_str())];
        let event = form_event("/oauth2/token", json!({}), &form);
        let started = Instant::now();
        let answer = call(&event, |request| token::handle(&deps, request, clock::now())).await;
        assert!(started.elapsed() < Duration::from_millis(3500), "{id}: {:?}", started.elapsed());
        assert_eq!(status_and_body(&answer).0, 401, "{id}");
        answers.push(answer);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    for server in [&slow, &broken, &empty, &garbage, &silent] {
        assert_eq!(server.received_requests().await.unwrap().len(), 1, "one fetch");
    }
    let good = assertion(&stack, &others, |claims| {
        (claims["iss"], claims["sub"]) = (json!("slow"), json!("slow"));
    });
    assert_eq!(ask(&deps, &good, clock::now()).await.0, 200, "its keys are cached");
    let without_store = stack.settings(&[("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")]);
    let deps = token::Deps::from_settings(&without_store).unwrap();
    assert_eq!(
        ask(&deps, &good, clock::now()).await.0,
        503,
        "without the store the client is not known to be invalid"
    );
}

/// On Lambda, localhost serves the Runtime API.
#[tokio::test]
async fn loopback_jwks_urls_are_accepted_on_the_local_stack_alone() {
    let stack = Stack::start().await;
    let key = key(Algorithm::Es256);
    let server = serving(ResponseTemplate::new(200).set_body_json(json!({"keys": [key.public_jwk()]}))).await;
    let local = server.uri().replace("127.0.0.1", "localhost");
    for (id, url) in [("app", server.uri()), ("other", local.clone())] {
        stack.client_with(id, "a", |client| client.public_keys = Some(ClientKeys::Url(url))).await;
    }
    const ISSUER: &str = "https://auth.example.com";
    let on_lambda = stack.settings(&[("ISSUER", ISSUER), ("GOOGLE_JWKS_URL", "https://keys.example")]);
    let on_lambda = token::Deps::from_settings(&on_lambda).unwrap();
    let here = token::Deps::from_settings(&stack.settings(&[])).unwrap();
    for id in ["app", "other"] {
        for (deps, issuer, status) in [(&on_lambda, ISSUER, 401), (&here, stack.running.url.as_str(), 200)] {
            let assertion = assertion(&stack, &key, |claims| {
                (claims["iss"], claims["sub"], claims["aud"]) = (json!(id), json!(id), json!(issuer));
            });
            assert_eq!(ask(deps, &assertion, clock::now()).await.0, status, "{id} {issuer}");
        }
    }
    assert_eq!(server.received_requests().await.unwrap().len(), 2, "none on Lambda");
    let trusted = |url: &str| {
        json!([{"issuer": "https://ci.example", "jwks_url": url, "audiences": ["us"], "rules": [{}]}])
            .to_string()
    };
    for url in [server.uri(), local] {
        for issuer in [ISSUER, ""] {
            let google = stack.settings(&[("ISSUER", issuer), ("GOOGLE_JWKS_URL", &url)]);
            assert!(google::Deps::from_settings(&google).is_err(), "{issuer} {url}");
            let more = [
                ("ISSUER", issuer),
                ("GOOGLE_JWKS_URL", "https://keys.example"),
                ("TRUSTED_ISSUERS", &trusted(&url)),
            ];
            assert!(token::Deps::from_settings(&stack.settings(&more)).is_err(), "{issuer} {url}");
        }
        assert!(token::Deps::from_settings(&stack.settings(&[("TRUSTED_ISSUERS", &trusted(&url))])).is_ok());
    }
}
