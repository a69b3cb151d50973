//! The token endpoint by the rules of RFC 6749, one rejection a test.

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};
use test_support::{PASSWORD, Stack, claims, json as body_of, read};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");
const FORM: &str = "application/x-www-form-urlencoded";

/// Posts a form with Basic credentials.
async fn basic(stack: &Stack, id: &str, secret: &str, form: &[(&str, &str)]) -> (u16, Value) {
    read(stack.post("/oauth2/token").basic_auth(id, Some(secret)).form(form)).await
}

fn error(code: &str) -> Value {
    Value::from(code)
}

#[tokio::test]
async fn a_token_response_has_its_members_and_is_not_cached() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "a b").await;
    let answer =
        stack.post("/oauth2/token").basic_auth("backend", Some(&secret)).form(&[GRANT]).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_eq!(answer.headers()["pragma"], "no-cache");
    assert_eq!(answer.headers()[CONTENT_TYPE], "application/json");
    let body = body_of(answer).await;
    assert_eq!(
        (&body["token_type"], &body["expires_in"], &body["scope"]),
        (&json!("Bearer"), &json!(900), &json!("a b"))
    );
    assert_eq!(body.get("refresh_token"), None);
    let claims = claims(body["access_token"].as_str().unwrap());
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 900);
    for name in ["iss", "sub", "aud", "client_id", "jti", "scope"] {
        assert!(claims[name].is_string(), "{name}");
    }
}

#[tokio::test]
async fn error_responses_are_not_cached() {
    let stack = Stack::start().await;
    let answer = stack.post("/oauth2/token").form(&[GRANT]).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["cache-control"]),
        (401, &"no-store".parse().unwrap())
    );
    assert_eq!(answer.headers()["pragma"], "no-cache");
}

#[tokio::test]
async fn unknown_clients_and_wrong_secrets_get_the_same_response() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "a").await;
    let other = stack.client("other", "a").await;
    let answer =
        stack.post("/oauth2/token").basic_auth("backend", Some(&other)).form(&[GRANT]).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    assert!(answer.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic"));
    let wrong = (401, body_of(answer).await);
    assert_eq!(wrong.1["error"], "invalid_client");
    assert_eq!(basic(&stack, "missing", &secret, &[GRANT]).await, wrong);
    assert_eq!(basic(&stack, "backend", "malformed", &[GRANT]).await, wrong);
    assert_eq!(
        basic(&stack, &"x".repeat(5000), &secret, &[GRANT]).await,
        wrong,
        "over DynamoDB's limit for a key"
    );
    let disabled = stack.client_with("disabled", "a", |client| client.disabled = true).await;
    assert_eq!(basic(&stack, "disabled", &disabled, &[GRANT]).await, wrong);
    let expired = stack.client_with("expired", "a", |client| client.secrets[0].expires_at = Some(1)).await;
    assert_eq!(basic(&stack, "expired", &expired, &[GRANT]).await, wrong);
}

#[tokio::test]
async fn client_credentials_come_once_and_from_one_client() {
    let stack = Stack::start().await;
    let (secret, other) = (stack.client("backend", "a").await, stack.client("other", "b").await);
    let both = [GRANT, ("client_id", "backend"), ("client_secret", &secret)];
    assert_eq!(basic(&stack, "backend", &secret, &both).await.1["error"], error("invalid_request"));
    let mismatched = [GRANT, ("client_id", "other"), ("scope", "b")];
    let (status, body) = basic(&stack, "backend", &secret, &mismatched).await;
    assert_eq!((status, &body["error"]), (400, &error("invalid_request")));
    let same = [GRANT, ("client_id", "backend")];
    assert_eq!(basic(&stack, "backend", &secret, &same).await.0, 200);
    let in_body = [GRANT, ("client_id", "other"), ("client_secret", &other)];
    assert_eq!(read(stack.post("/oauth2/token").form(&in_body)).await.0, 200);
    for incomplete in [&[GRANT][..], &[GRANT, ("client_id", "other")], &[GRANT, ("client_secret", &other)]] {
        let (status, body) = read(stack.post("/oauth2/token").form(incomplete)).await;
        assert_eq!((status, &body["error"]), (401, &error("invalid_client")), "{incomplete:?}");
    }
}

#[tokio::test]
async fn credentials_in_the_query_are_rejected() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "").await;
    stack.user("ada", "").await;
    let token = stack.token("backend", &secret).await;
    let client = ["client_id", "client_secret", "client_assertion"];
    for (path, form, names) in [
        ("/oauth2/token", vec![GRANT], vec!["password", "refresh_token", "subject_token"]),
        ("/oauth2/revoke", vec![("token", token.as_str())], vec!["token"]),
        ("/oauth2/introspect", vec![("token", token.as_str())], vec!["token"]),
    ] {
        for name in names.into_iter().chain(client) {
            let query = format!("{path}?{name}=x");
            let asked = stack.post(&query).basic_auth("backend", Some(&secret)).form(&form);
            assert_eq!(read(asked).await.1["error"], "invalid_request", "{query}");
        }
    }
    let query = format!("/oauth2/token?client_id=backend&client_secret={secret}");
    let (status, body) = read(stack.post(&query).form(&[GRANT])).await;
    assert_eq!((status, &body["error"]), (400, &error("invalid_request")), "in the query alone");
    for name in ["username", "password"] {
        let form =
            stack.post(&format!("/token?{name}=ada")).form(&[("username", "ada"), ("password", PASSWORD)]);
        assert_eq!(read(form).await.1["error"], "invalid_request", "/token {name}");
        let body = json!({"username": "ada", "password": PASSWORD});
        let asked = stack.post(&format!("/login?{name}=ada")).json(&body);
        assert_eq!(read(asked).await.1["error"], "invalid_request", "/login {name}");
    }
    for name in ["id_token", "credential"] {
        let asked = stack.post(&format!("/google?{name}=x")).bearer_auth(stack.id_token("ada@example.com"));
        assert_eq!(read(asked).await.1["error"], "invalid_request", "/google {name}");
    }
}

#[tokio::test]
async fn duplicate_parameters_are_rejected() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "a b").await;
    for form in [
        &[GRANT, GRANT][..],
        &[GRANT, ("scope", "a"), ("scope", "b")],
        &[GRANT, ("scope", ""), ("scope", "a")],
        &[("grant_type", "")],
        &[],
        &[("scope", "a")],
    ] {
        let (status, body) = basic(&stack, "backend", &secret, form).await;
        assert_eq!((status, &body["error"]), (400, &error("invalid_request")), "{form:?}");
    }
    let (status, body) = basic(&stack, "backend", &secret, &[GRANT, ("scope", ""), ("unknown", "x")]).await;
    assert_eq!((status, &body["scope"]), (200, &json!("a b")));
}

#[tokio::test]
async fn unsupported_grants_are_rejected() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "a").await;
    for path in ["/oauth2/token", "/oauth2/authorize"] {
        for grant in ["password", "authorization_code", "CLIENT_CREDENTIALS", "client_credentials ", "x"] {
            let form = [("grant_type", grant), ("username", "demo"), ("password", "secret")];
            let (status, body) =
                read(stack.post(path).basic_auth("backend", Some(&secret)).form(&form)).await;
            assert_eq!((status, &body["error"]), (400, &error("unsupported_grant_type")), "{path} {grant}");
        }
    }
}

#[tokio::test]
async fn a_scope_beyond_the_clients_is_rejected() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "a b").await;
    let (status, body) = basic(&stack, "backend", &secret, &[GRANT, ("scope", "b")]).await;
    assert_eq!((status, &body["scope"]), (200, &json!("b")));
    for scope in ["c", "a c", "A", "a  b", " a", "a ", "a\"", "a\\", "a\u{7}", "é"] {
        let (status, body) = basic(&stack, "backend", &secret, &[GRANT, ("scope", scope)]).await;
        assert_eq!((status, &body["error"]), (400, &error("invalid_scope")), "{scope:?}");
    }
}

#[tokio::test]
async fn a_client_without_scopes_gets_none() {
    let stack = Stack::start().await;
    let secret = stack.client("bare", "").await;
    let (status, body) = basic(&stack, "bare", &secret, &[GRANT]).await;
    assert_eq!((status, body.get("scope")), (200, None), "RFC 6749 §3.3 has no empty scope");
    let token = body["access_token"].as_str().unwrap();
    assert_eq!(claims(token).get("scope"), None);
    let (_, introspected) =
        read(stack.post("/oauth2/introspect").basic_auth("bare", Some(&secret)).form(&[("token", token)]))
            .await;
    assert_eq!((&introspected["active"], introspected.get("scope")), (&json!(true), None));
    let (status, caller) = read(stack.get("/profile").bearer_auth(token)).await;
    assert_eq!(
        (status, &caller["scope"]),
        (200, &json!("")),
        "the authorizer's context still has the member"
    );
    let (status, body) = basic(&stack, "bare", &secret, &[GRANT, ("scope", "todo:read")]).await;
    assert_eq!((status, &body["error"]), (400, &error("invalid_scope")));
}

#[tokio::test]
async fn a_resource_beyond_the_clients_audiences_is_rejected() {
    let stack = Stack::start().await;
    let audiences = || vec!["https://a.example".to_owned(), "https://b.example".to_owned()];
    let secret = stack.client_with("backend", "a", |client| client.audiences = audiences()).await;
    let audience = async |form: &[(&str, &str)]| {
        let (status, body) = basic(&stack, "backend", &secret, form).await;
        (
            status,
            body["access_token"].as_str().map(|token| claims(token)["aud"].clone()),
            body["error"].clone(),
        )
    };
    assert_eq!(audience(&[GRANT]).await.1, Some(json!("https://a.example")));
    // Auth0 and Hydra use `audience`, RFC 8707 `resource`.
    let (a, b) = ("https://a.example", "https://b.example");
    for form in [
        &[("resource", b)][..],
        &[("audience", b)],
        &[("resource", b), ("resource", b)],
        &[("audience", b), ("audience", b)],
        &[("resource", b), ("audience", b)],
        &[("resource", ""), ("audience", b)],
    ] {
        assert_eq!(audience(&[&[GRANT], form].concat()).await.1, Some(json!(b)), "{form:?}");
    }
    for form in [
        &[("resource", "https://c.example")][..],
        &[("resource", "latchkey")],
        &[("resource", "https://b.example/")],
        &[("audience", "https://c.example")],
        &[("resource", a), ("resource", b)],
        &[("audience", a), ("audience", b)],
        &[("resource", a), ("audience", b)],
    ] {
        let (status, _, code) = audience(&[&[GRANT], form].concat()).await;
        assert_eq!((status, code), (400, error("invalid_target")), "{form:?}");
    }
}

#[tokio::test]
async fn a_clients_token_lifetime_and_claims_are_in_its_tokens() {
    let stack = Stack::start().await;
    let secret = stack
        .client_with("backend", "a", |client| {
            client.token_ttl = Some(60);
            client.claims = [("tenant".to_owned(), "blue".to_owned())].into();
        })
        .await;
    let (_, body) = basic(&stack, "backend", &secret, &[GRANT]).await;
    let claims = claims(body["access_token"].as_str().unwrap());
    assert_eq!((&body["expires_in"], &claims["tenant"]), (&json!(60), &json!("blue")));
    let (_, info) =
        read(stack.get("/get/clientinfo").bearer_auth(body["access_token"].as_str().unwrap())).await;
    assert_eq!(info["tenant"], "blue");
}

#[tokio::test]
async fn unsupported_content_types_are_rejected() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "a").await;
    let post = async |content_type: &str, body: &str| {
        let request = stack.post("/oauth2/token").basic_auth("backend", Some(&secret));
        read(request.header(CONTENT_TYPE, content_type).body(body.to_owned())).await
    };
    let form = "grant_type=client_credentials";
    assert_eq!(post(FORM, form).await.0, 200);
    for charset in ["UTF-8", "utf8", "US-ASCII", "ISO-8859-1", "\"windows-1252\""] {
        let content_type = format!("application/x-www-form-urlencoded; charset={charset}");
        assert_eq!(post(&content_type, form).await.0, 200, "{charset}");
        assert_eq!(post(&content_type, &format!("{form}&x=%E9")).await.0, 400, "{charset} is read as UTF-8");
    }
    assert_eq!(post("application/x-www-form-urlencoded; boundary=x", form).await.0, 200);
    for (content_type, body) in [
        ("application/json", r#"{"grant_type":"client_credentials"}"#),
        ("multipart/form-data; boundary=x", "--x--"),
        ("application/x-www-form-urlencoded; charset=utf-16", form),
        ("application/x-www-form-urlencoded; charset=utf-7", form),
        ("application/x-www-form-urlencoded; charset=utf-8; charset=utf-7", form),
        ("text/plain", form),
    ] {
        let (status, body) = post(content_type, body).await;
        assert_eq!((status, &body["error"]), (415, &error("invalid_request")), "{content_type}");
    }
    assert_eq!(post(FORM, "grant_type=%ff").await.0, 400);
    assert_eq!(post(FORM, &format!("x={}", "y".repeat(40_000))).await.0, 413);
}

#[tokio::test]
async fn malformed_basic_credentials_are_rejected() {
    let stack = Stack::start().await;
    for header in ["Basic", "Basic ", "Basic !!!", "Basic Zm9v", "Basic /w==", "basic Og==", "Basic\tYTpi"] {
        let (status, body) =
            read(stack.post("/oauth2/token").header(AUTHORIZATION, header).form(&[GRANT])).await;
        assert!(matches!(status, 400 | 401), "{header}: {status}");
        assert!(matches!(body["error"].as_str(), Some("invalid_request" | "invalid_client")), "{header}");
    }
}

#[tokio::test]
async fn endpoints_reject_get() {
    let stack = Stack::start().await;
    for path in [
        "/oauth2/token",
        "/oauth2/authorize",
        "/oauth2/revoke",
        "/oauth2/introspect",
        "/login",
        "/token",
        "/google",
    ] {
        assert_eq!(read(stack.get(path)).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn a_store_outage_grants_no_token() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "a").await;
    let deps =
        token::Deps::from_settings(&stack.settings(&[("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")]))
            .unwrap();
    let answer = crate::events::call_token(&deps, &secret).await;
    assert_eq!(answer["statusCode"], 503);
    assert_eq!(answer["headers"]["retry-after"], "5");
    assert!(answer["body"].as_str().unwrap().contains("temporarily_unavailable"));
}

#[tokio::test]
async fn a_missing_signing_key_grants_no_token() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "a").await;
    for name in ["AWS_ENDPOINT_URL_SECRETS_MANAGER", "SIGNING_SECRET_ID"] {
        let deps = token::Deps::from_settings(&stack.settings(&[(name, "http://127.0.0.1:9")])).unwrap();
        assert_eq!(crate::events::call_token(&deps, &secret).await["statusCode"], 503, "{name}");
    }
}
