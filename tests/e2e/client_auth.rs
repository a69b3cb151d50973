//! Client authentication by assertion, certificate and several secrets, and token quotas.

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use shared::identity::secrets::{SecretKind, generate};
use shared::jose::algorithm::Algorithm;
use shared::runtime::clock;
use shared::signing::private_key::PrivateKey;
use shared::store::clients::{ClientKeys, ClientSecret, Clients, GrantType, Quota};
use test_support::proofs::{ASSERTION, assertion, jwks, key};
use test_support::{Stack, claims, read};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::authorizer::bearer;
use crate::events::{basic, call, form_event, post_token, status_and_body};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

async fn by_assertion(stack: &Stack, assertion: &str, more: &[(&str, &str)]) -> (u16, Value) {
    let form =
        [&[GRANT, ("client_assertion_type", ASSERTION), ("client_assertion", assertion)], more].concat();
    read(stack.post("/oauth2/token").form(&form)).await
}

#[tokio::test]
async fn a_replayed_assertion_is_rejected() {
    let stack = Stack::start().await;
    for (name, algorithm) in
        [("RS256", Algorithm::Rs256), ("ES256", Algorithm::Es256), ("EdDSA", Algorithm::EdDsa)]
    {
        let key = key(algorithm);
        let id = format!("app-{name}");
        stack.client_with(&id, "a", |client| client.public_keys = Some(jwks(&key))).await;
        let named = |claims: &mut Value| (claims["iss"], claims["sub"]) = (json!(id), json!(id));
        let assertion = assertion(&stack, &key, named);
        let (status, body) = by_assertion(&stack, &assertion, &[]).await;
        assert_eq!((status, &body["scope"]), (200, &json!("a")), "{body}");
        let (status, body) = by_assertion(&stack, &assertion, &[]).await;
        assert_eq!((status, &body["error"]), (401, &json!("invalid_client")), "replayed");
    }
}

#[tokio::test]
async fn fifty_concurrent_uses_of_an_assertion_yield_one_token() {
    let stack = std::sync::Arc::new(Stack::start().await);
    let key = key(Algorithm::Es256);
    stack.client_with("app", "a", |client| client.public_keys = Some(jwks(&key))).await;
    let assertion = assertion(&stack, &key, |_| {});
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (stack, assertion) = (stack.clone(), assertion.clone());
        tasks.spawn(async move { by_assertion(&stack, &assertion, &[]).await.0 });
    }
    let answers = tasks.join_all().await;
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1);
    assert!(answers.iter().all(|status| matches!(status, 200 | 401)));
}

#[tokio::test]
async fn an_assertion_must_be_signed_by_its_client_for_our_issuer() {
    let stack = Stack::start().await;
    let (own, others) = (key(Algorithm::Es256), key(Algorithm::Es256));
    stack.client_with("app", "a", |client| client.public_keys = Some(jwks(&own))).await;
    stack.client_with("other", "a b", |client| client.public_keys = Some(jwks(&others))).await;
    stack.client("secretive", "a").await;
    let endpoint = json!(stack.url("/oauth2/token"));
    assert_eq!(
        by_assertion(&stack, &assertion(&stack, &own, |claims| claims["aud"] = endpoint), &[]).await.0,
        200
    );
    assert_eq!(by_assertion(&stack, &assertion(&stack, &own, |_| {}), &[("client_id", "app")]).await.0, 200);
    let (status, body) =
        by_assertion(&stack, &assertion(&stack, &own, |_| {}), &[("client_id", "other")]).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_request")), "two clients");
    for (why, assertion) in [
        ("another client's key", assertion(&stack, &others, |_| {})),
        ("another issuer", assertion(&stack, &own, |claims| claims["iss"] = json!("other"))),
        ("another subject", assertion(&stack, &own, |claims| claims["sub"] = json!("other"))),
        (
            "a client without keys",
            assertion(&stack, &own, |claims| {
                (claims["iss"], claims["sub"]) = (json!("secretive"), json!("secretive"));
            }),
        ),
        (
            "an unknown client",
            assertion(&stack, &own, |claims| {
                (claims["iss"], claims["sub"]) = (json!("missing"), json!("missing"));
            }),
        ),
        (
            "another audience",
            assertion(&stack, &own, |claims| claims["aud"] = json!("https://other.example")),
        ),
        ("expired", assertion(&stack, &own, |claims| claims["exp"] = json!(clock::now() - 31))),
        (
            "without an expiry of at most an hour",
            assertion(&stack, &own, |claims| claims["exp"] = json!(clock::now() + 90_000)),
        ),
        (
            "without a jti",
            assertion(&stack, &own, |claims| drop(claims.as_object_mut().unwrap().remove("jti"))),
        ),
        ("an access token", stack_token(&stack).await),
        ("garbage", "x".to_owned()),
    ] {
        let (status, body) = by_assertion(&stack, &assertion, &[]).await;
        assert_eq!((status, &body["error"]), (401, &json!("invalid_client")), "{why}");
    }
    Clients::new(stack.table()).set_disabled("app", true).await.unwrap();
    assert_eq!(by_assertion(&stack, &assertion(&stack, &own, |_| {}), &[]).await.0, 401, "disabled");
}

async fn stack_token(stack: &Stack) -> String {
    let secret = stack.client("backend", "").await;
    stack.token("backend", &secret).await
}

#[tokio::test]
async fn multiple_client_authentication_methods_are_rejected() {
    let stack = Stack::start().await;
    let key = key(Algorithm::Es256);
    let secret = stack.client_with("app", "a", |client| client.public_keys = Some(jwks(&key))).await;
    let assertion = assertion(&stack, &key, |_| {});
    let form = [GRANT, ("client_assertion_type", ASSERTION), ("client_assertion", &assertion)];
    let by_basic = stack.post("/oauth2/token").basic_auth("app", Some(&secret)).form(&form);
    assert_eq!(read(by_basic).await.1["error"], "invalid_request");
    let both = [form.as_slice(), &[("client_id", "app"), ("client_secret", &secret)]].concat();
    assert_eq!(read(stack.post("/oauth2/token").form(&both)).await.1["error"], "invalid_request");
    for incomplete in
        [vec![GRANT, ("client_assertion", &assertion)], vec![GRANT, ("client_assertion_type", ASSERTION)]]
    {
        assert_eq!(read(stack.post("/oauth2/token").form(&incomplete)).await.1["error"], "invalid_request");
    }
    assert_eq!(by_assertion(&stack, &assertion, &[]).await.0, 200, "rejected requests did not use it up");
}

#[tokio::test]
async fn client_keys_are_fetched_from_a_jwks_url() {
    let stack = Stack::start().await;
    let (first, second) = (key(Algorithm::Rs256), key(Algorithm::Es256));
    let server = MockServer::start().await;
    let publish = async |keys: Value| {
        server.reset().await;
        Mock::given(method("GET"))
            .respond_with(ResponseTemplate::new(200).set_body_json(keys))
            .mount(&server)
            .await;
    };
    publish(json!({"keys": [first.public_jwk()]})).await;
    let url = format!("{}/jwks", server.uri()).replace("127.0.0.1", "localhost");
    stack.client_with("app", "a", |client| client.public_keys = Some(ClientKeys::Url(url))).await;
    let deps = token::Deps::from_settings(&stack.settings(&[])).unwrap();
    let ask = async |key: &PrivateKey, now: u64| {
        let assertion = assertion(&stack, key, |_| {});
        let form = [GRANT, ("client_assertion_type", ASSERTION), ("client_assertion", assertion.as_str())];
        post_token(&deps, json!({}), &form, now).await.0
    };
    let now = clock::now();
    assert_eq!(ask(&first, now).await, 200);
    assert_eq!(ask(&second, now).await, 401);
    publish(json!({"keys": [first.public_jwk(), second.public_jwk()]})).await;
    assert_eq!(ask(&second, now + 29).await, 401, "an unknown key causes one fetch a minute");
    server.reset().await;
    assert_eq!(ask(&first, now + 29).await, 200, "cached keys serve while the client's server is down");
}

fn certificate(subject: &str) -> Value {
    json!({"clientCert": {
        "clientCertPem": "-----BEGIN CERTIFICATE-----\ndGVzdA==\n-----END CERTIFICATE-----\n", "subjectDN": subject,
        "issuerDN": "CN=CA", "serialNumber": "1", "validity": {"notBefore": "", "notAfter": ""},
    }})
}

#[tokio::test]
async fn a_certificate_authenticates_its_client_and_binds_the_token() {
    let stack = Stack::start().await;
    let subject = "CN=app,O=Example";
    let secret =
        stack.client_with("app", "a", |client| client.certificate_subject = Some(subject.to_owned())).await;
    stack.client("other", "b").await;
    let deps = token::Deps::from_settings(&stack.settings(&[])).unwrap();
    let ask = async |id: &str, subject: Option<&str>, headers: Value| {
        let mut event = form_event("/oauth2/token", headers, &[GRANT, ("client_id", id)]);
        if let Some(subject) = subject {
            event["requestContext"]["authentication"] = certificate(subject);
        }
        status_and_body(&call(&event, |request| token::handle(&deps, request, clock::now())).await)
    };
    let (status, body) = ask("app", Some(subject), json!({})).await;
    assert_eq!((status, &body["token_type"]), (200, &json!("Bearer")), "{body}");
    let token = body["access_token"].as_str().unwrap();
    assert_eq!(claims(token)["cnf"], json!({"x5t#S256": "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg"}));
    for (id, subject) in [
        ("app", Some("CN=app")),
        ("app", Some("CN=APP,O=Example")),
        ("app", None),
        ("other", Some(subject)),
        ("missing", Some(subject)),
        ("latchkey", Some(subject)),
    ] {
        let (status, body) = ask(id, subject, json!({})).await;
        assert_eq!((status, &body["error"]), (401, &json!("invalid_client")), "{id} {subject:?}");
    }
    let (_, body) = ask("app", None, basic("app", &secret)).await;
    assert_eq!(
        claims(body["access_token"].as_str().unwrap()).get("cnf"),
        None,
        "a secret yields an unbound token"
    );

    let authorizer = authorizer::Deps::from_settings(&stack.settings(&[])).unwrap();
    let with = async |place: &str, connection: Value| {
        let mut event = json!({
            "version": "2.0", "type": "REQUEST", "routeArn": "arn", "routeKey": "GET /profile", "rawPath": "/profile",
            "headers": {"authorization": format!("Bearer {token}")},
            "requestContext": {"requestId": "1", "stage": "$default", "http": {"method": "GET", "path": "/profile"}},
        });
        event["requestContext"][place] = connection;
        let answer =
            authorizer::handle(&authorizer, serde_json::from_value(event).unwrap(), clock::now()).await;
        serde_json::to_value(answer.unwrap()).unwrap()["isAuthorized"].clone()
    };
    assert_eq!(with("authentication", certificate(subject)).await, true);
    assert_eq!(with("identity", certificate(subject)).await, true, "the member that REST APIs use");
    assert_eq!(
        bearer(&authorizer, token, clock::now()).await["isAuthorized"],
        false,
        "without the certificate"
    );
    let mut another = certificate(subject);
    another["clientCert"]["clientCertPem"] =
        json!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert_eq!(with("authentication", another).await, false, "with another certificate");
}

#[tokio::test]
async fn two_client_secrets_work_during_their_overlap() {
    let stack = Stack::start().await;
    let old = stack.client("backend", "a").await;
    let clients = Clients::new(stack.table());
    let now = clock::now();
    let before = clients.get("backend").await.unwrap().unwrap().secrets;
    let (new, digest) = generate(SecretKind::ClientSecret);
    let mut after = before.clone();
    after[0].expires_at = Some(now + 100);
    after.push(ClientSecret { digest, created_at: now, expires_at: None });
    clients.replace_secrets("backend", &before, &after).await.unwrap();
    clients.replace_secrets("backend", &before, &after).await.expect("a retry succeeds");
    assert!(
        clients.replace_secrets("backend", &before, &before).await.is_err(),
        "a concurrent change came first"
    );
    let deps = token::Deps::from_settings(&stack.settings(&[])).unwrap();
    let ask = async |secret: &str, now| post_token(&deps, basic("backend", secret), &[GRANT], now).await.0;
    for (secret, now, status) in [
        (old.as_str(), now + 99, 200),
        (&old, now + 100, 401),
        (new.expose_secret(), now, 200),
        (new.expose_secret(), now + 100, 200),
    ] {
        assert_eq!(ask(secret, now).await, status);
    }
    let client = clients.get("backend").await.unwrap().unwrap();
    let used: Vec<_> =
        client.secrets.iter().map(|secret| client.secret_use.get(secret.name()).copied()).collect();
    assert!(used.iter().all(|day| day.is_some_and(|day| day % 86_400 == 0 && day <= now + 100)), "{used:?}");
}

#[tokio::test]
async fn the_use_of_a_secret_is_recorded_once_a_day() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "a").await;
    let proxy =
        test_support::proxy::Proxy::start(&stack.running.environment["AWS_ENDPOINT_URL_DYNAMODB"]).await;
    let deps =
        token::Deps::from_settings(&stack.settings(&[("AWS_ENDPOINT_URL_DYNAMODB", &proxy.url)])).unwrap();
    let now = (clock::now() / 86_400 + 1) * 86_400;
    for (now, requests) in [(now, 2), (now + 1, 1), (now + 86_399, 1), (now + 86_400, 2), (now + 86_401, 1)] {
        // Loads the key schedule, which is not counted here.
        deps.warm_up(now).await;
        let before = proxy.count();
        assert_eq!(post_token(&deps, basic("backend", &secret), &[GRANT], now).await.0, 200);
        assert_eq!(proxy.count() - before, requests, "one read, and one write on the first use of the day");
    }
}

#[tokio::test]
async fn an_exhausted_quota_is_rejected_with_retry_after() {
    let stack = Stack::start().await;
    let quota = Some(Quota { tokens: 3, seconds: 60 });
    let secret = stack.client_with("backend", "a", |client| client.quota = quota).await;
    let deps = token::Deps::from_settings(&stack.settings(&[])).unwrap();
    let now = (clock::now() / 60 + 1) * 60;
    let ask = async |scope: &str, now| {
        let event = form_event("/oauth2/token", basic("backend", &secret), &[GRANT, ("scope", scope)]);
        call(&event, |request| token::handle(&deps, request, now)).await
    };
    assert_eq!(ask("admin", now).await["statusCode"], 400, "a rejected request is not counted");
    for _ in 0..3 {
        assert_eq!(ask("a", now + 10).await["statusCode"], 200);
    }
    let refused = ask("a", now + 10).await;
    assert_eq!((&refused["statusCode"], &refused["headers"]["retry-after"]), (&json!(429), &json!("50")));
    assert_eq!(status_and_body(&refused).1["error"], "temporarily_unavailable");
    assert_eq!(ask("a", now + 60).await["statusCode"], 200, "the next window");
}

#[tokio::test]
async fn fifty_concurrent_requests_do_not_exceed_the_quota() {
    let stack = std::sync::Arc::new(Stack::start().await);
    let quota = Some(Quota { tokens: 7, seconds: 86_400 });
    let secret = stack.client_with("backend", "a", |client| client.quota = quota).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (stack, secret) = (stack.clone(), secret.clone());
        tasks.spawn(async move {
            read(stack.post("/oauth2/token").basic_auth("backend", Some(&secret)).form(&[GRANT])).await.0
        });
    }
    let answers = tasks.join_all().await;
    let count = |wanted| answers.iter().filter(|status| **status == wanted).count();
    assert_eq!(count(200), 7);
    assert_eq!(count(429), 43);
}

#[tokio::test]
async fn a_grant_that_the_client_lacks_is_rejected() {
    let stack = Stack::start().await;
    let grants = [GrantType::TokenExchange];
    let secret = stack.client_with("app", "a", |client| client.grants = grants.into()).await;
    let machine = stack.client("machine", "a").await;
    let ask = async |id: &str, secret: &str, grant: &str| {
        let form = [("grant_type", grant), ("refresh_token", "x")];
        read(stack.post("/oauth2/token").basic_auth(id, Some(secret)).form(&form)).await.1["error"].clone()
    };
    assert_eq!(ask("app", &secret, "client_credentials").await, "unauthorized_client");
    assert_eq!(
        ask("machine", &machine, "urn:ietf:params:oauth:grant-type:token-exchange").await,
        "unauthorized_client"
    );
}

/// Both cost one read. The limit is that of sign-ins: five percent of a password hash of about 12 ms.
#[tokio::test]
async fn unknown_clients_and_wrong_secrets_take_the_same_time() {
    const ROUNDS: usize = 500;
    const BOUND: std::time::Duration = std::time::Duration::from_micros(600);
    let stack = Stack::start().await;
    let (secret, other) = (stack.client("backend", "a").await, stack.client("other", "a").await);
    let deps = token::Deps::from_settings(&stack.settings(&[])).unwrap();
    let cases = [("unknown client", "missing-1", &secret), ("wrong secret", "backend", &other)];
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for ((_, id, secret), times) in cases.iter().zip(&mut times) {
            let started = std::time::Instant::now();
            let (status, _) = post_token(&deps, basic(id, secret), &[GRANT], clock::now()).await;
            times.push(started.elapsed());
            assert_eq!(status, 401);
        }
    }
    for ((case, ..), times) in cases.iter().zip(&mut times) {
        times.sort();
        println!("{case}: min {:?}, median {:?} of {ROUNDS}", times[0], times[ROUNDS / 2]);
    }
    let spread = times[0][0].abs_diff(times[1][0]);
    println!("the minima differ by {spread:?}");
    assert!(spread <= BOUND, "{spread:?}");
}
