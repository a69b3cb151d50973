//! The authorizer with raw events of every shape.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use shared::jose::algorithm::Algorithm;
use shared::runtime::clock;
use shared::store::api_keys::ApiKeys;
use shared::trust::store::TrustStore;
use test_support::proxy::Proxy;
use test_support::{Stack, claims};

use crate::events::{basic, call, http_event, post_token, status_and_body};

const ROUTE_SCOPES: (&str, &str) = (
    "ROUTE_SCOPES",
    r#"{"GET /todo":["todo:read"],"DELETE /todo/{id}":["todo:write"],"GET /profile":[],"$connect":["chat"]}"#,
);
const ARN: &str = "arn:aws:execute-api:eu-west-1:123456789012:api/prod";

async fn ask(deps: &authorizer::Deps, event: &Value, now: u64) -> Value {
    let event = serde_json::from_value(event.clone()).expect("an event");
    serde_json::to_value(authorizer::handle(deps, event, now).await.expect("a decision")).unwrap()
}

fn http(headers: Value, route: &str) -> Value {
    let (method, path) = route.split_once(' ').unwrap();
    json!({
        "version": "2.0", "type": "REQUEST", "routeArn": format!("{ARN}/{method}{path}"), "routeKey": route,
        "rawPath": path, "rawQueryString": "", "headers": headers,
        "requestContext": {"requestId": "request-1", "stage": "$default", "http": {"method": method, "path": path}},
    })
}

/// The decision on a bearer token at `GET /profile` of an HTTP API.
pub async fn bearer(deps: &authorizer::Deps, token: &str, now: u64) -> Value {
    bearer_on(deps, token, "GET /profile", now).await
}

/// The decision on a bearer token at another route.
pub async fn bearer_on(deps: &authorizer::Deps, token: &str, route: &str, now: u64) -> Value {
    ask(deps, &http(json!({"authorization": format!("Bearer {token}")}), route), now).await
}

fn rest(token: &str, resource: &str, path: &str) -> Value {
    json!({
        "type": "REQUEST", "methodArn": format!("{ARN}/GET{path}"), "resource": resource, "path": path,
        "httpMethod": "GET", "headers": {"Authorization": format!("Bearer {token}")},
        "multiValueHeaders": {"Authorization": [format!("Bearer {token}")]},
        "requestContext": {"requestId": "request-1", "stage": "prod", "resourcePath": resource, "httpMethod": "GET"},
    })
}

fn resources(answer: &Value, effect: &str) -> Vec<String> {
    let statements = answer["policyDocument"]["Statement"].as_array().unwrap();
    let of = statements.iter().filter(|statement| statement["Effect"] == effect);
    of.flat_map(|statement| statement["Resource"].as_array().unwrap())
        .map(|arn| arn.as_str().unwrap().to_owned())
        .collect()
}

async fn ready(scopes: &str) -> (Stack, authorizer::Deps, String) {
    let stack = Stack::start().await;
    let secret = stack.client("backend", scopes).await;
    let token = stack.token("backend", &secret).await;
    let deps = authorizer::Deps::from_settings(&stack.settings(&[ROUTE_SCOPES])).unwrap();
    (stack, deps, token)
}

#[tokio::test]
async fn the_context_holds_flat_strings_and_no_request_header() {
    let (stack, deps, token) = ready("todo:read").await;
    let headers = json!({
        "authorization": format!("Bearer {token}"), "sub": "usr_root", "x-sub": "usr_root", "kind": "user", "scope": "admin",
    });
    let answer = ask(&deps, &http(headers, "GET /todo"), clock::now()).await;
    let jti = claims(&token)["jti"].clone();
    assert_eq!(
        answer,
        json!({"isAuthorized": true, "context": {
            "sub": "backend", "client_id": "backend", "kind": "client", "scope": "todo:read", "jti": jti,
        }})
    );
    let key = stack.api_key("todo:read", None).await;
    let answer = ask(&deps, &http(json!({"x-api-key": key}), "GET /todo"), clock::now()).await;
    assert_eq!((&answer["isAuthorized"], &answer["context"]["kind"]), (&json!(true), &json!("api_key")));
    assert!(answer["context"].as_object().unwrap().values().all(Value::is_string));
}

#[tokio::test]
async fn client_claims_cannot_take_api_gateways_names_in_the_context() {
    let stack = Stack::start().await;
    let names =
        ["principalId", "error", "integrationLatency", "integrationStatus", "latency", "requestId", "status"];
    let secret = stack
        .client_with("backend", "todo:read", |client| {
            let claims = names.into_iter().chain(["tenant"]);
            client.claims = claims.map(|name| (name.to_owned(), "root".to_owned())).collect();
        })
        .await;
    let token = stack.token("backend", &secret).await;
    let deps = authorizer::Deps::from_settings(&stack.settings(&[])).unwrap();
    let answer = bearer(&deps, &token, clock::now()).await;
    assert_eq!((&answer["isAuthorized"], &answer["context"]["tenant"]), (&json!(true), &json!("root")));
    for name in names {
        assert_eq!((answer["context"].get(name), claims(&token).get(name)), (None, None), "{name}");
    }
}

#[tokio::test]
async fn the_bearer_scheme_ignores_case_and_extra_spaces() {
    let (_stack, deps, token) = ready("todo:read").await;
    for (value, good) in [
        (format!("Bearer {token}"), true),
        (format!("bearer {token}"), true),
        (format!("BEARER {token}"), true),
        (format!("Bearer  {token}"), true),
        (format!("Bearer     {token}"), true),
        (format!("Bearer\t{token}"), false),
        (format!("Bearer \t{token}"), false),
        (format!(" Bearer {token}"), false),
        (format!("Bearer {token} "), false),
        (format!("Bearer {token},Bearer {token}"), false),
        (format!("Bearer  {token}, Bearer  {token}"), false),
        (token.clone(), false),
        ("Bearer".to_owned(), false),
        ("Bearer ".to_owned(), false),
        (format!("Basic {token}"), false),
        (String::new(), false),
    ] {
        let answer = ask(&deps, &http(json!({"authorization": value}), "GET /todo"), clock::now()).await;
        assert_eq!(answer["isAuthorized"], good, "{value}");
    }
}

#[tokio::test]
async fn multiple_credentials_are_rejected() {
    let (stack, deps, token) = ready("todo:read").await;
    let key = stack.api_key("todo:read", None).await;
    let both = json!({"authorization": format!("Bearer {token}"), "x-api-key": key});
    assert_eq!(ask(&deps, &http(both, "GET /todo"), clock::now()).await["isAuthorized"], false);
    let mut twice = rest(&token, "/todo", "/todo");
    twice["multiValueHeaders"]["Authorization"] =
        json!([format!("Bearer {token}"), format!("Bearer {token}")]);
    assert_eq!(resources(&ask(&deps, &twice, clock::now()).await, "Allow"), [""; 0]);
}

#[tokio::test]
async fn a_cached_policy_is_valid_for_every_route() {
    let (_stack, deps, token) = ready("todo:read").await;
    let now = clock::now();
    let on_profile = ask(&deps, &rest(&token, "/profile", "/profile"), now).await;
    assert_eq!(on_profile["principalId"], "backend");
    assert_eq!(resources(&on_profile, "Allow"), [format!("{ARN}/GET/profile"), format!("{ARN}/GET/todo")]);
    assert_eq!(on_profile, ask(&deps, &rest(&token, "/todo", "/todo"), now).await);
    let without_a_key = ask(&deps, &rest(&token, "/other/{id}", "/other/1"), now).await;
    let listed = ["/GET/profile", "/GET/todo", "/GET/other/1"].map(|path| format!("{ARN}{path}"));
    assert_eq!(resources(&without_a_key, "Allow"), listed);

    let (_stack, deps, token) = ready("nothing").await;
    let answer = ask(&deps, &rest(&token, "/todo", "/todo"), clock::now()).await;
    assert_eq!(resources(&answer, "Allow"), [format!("{ARN}/GET/profile")]);
    assert_eq!(resources(&answer, "Deny"), [format!("{ARN}/GET/todo")]);
    let greedy = ask(&deps, &rest(&token, "/{proxy+}", "/other/1"), clock::now()).await;
    assert_eq!(
        resources(&greedy, "Allow"),
        [format!("{ARN}/GET/profile"), format!("{ARN}/GET/other/1")],
        "a wildcard would match routes that the scopes do not open"
    );
}

#[tokio::test]
async fn a_caller_cannot_widen_the_policy() {
    let (_stack, deps, token) = ready("todo:read").await;
    for path in ["/*", "/other/*", "/a?b", "/todo*"] {
        let event = json!({"type": "TOKEN", "authorizationToken": format!("Bearer {token}"), "methodArn": format!("{ARN}/GET{path}")});
        let answer = ask(&deps, &event, clock::now()).await;
        assert_eq!(
            resources(&answer, "Allow"),
            [format!("{ARN}/GET/profile"), format!("{ARN}/GET/todo")],
            "{path}"
        );
    }
}

#[tokio::test]
async fn routes_of_other_stacks_need_the_added_scopes() {
    let (stack, _, token) = ready("todo:read").await;
    let added = ("ADDED_ROUTE_SCOPES", r#"{"ANY /orders/{id}":["orders:read"],"*":["todo:read"]}"#);
    let deps = authorizer::Deps::from_settings(&stack.settings(&[ROUTE_SCOPES, added])).unwrap();
    for (route, good) in [
        ("GET /todo", true),
        ("GET /profile", true),
        ("DELETE /todo/{id}", false),
        ("GET /orders/{order}", false),
        ("GET /other", true),
    ] {
        assert_eq!(bearer_on(&deps, &token, route, clock::now()).await["isAuthorized"], good, "{route}");
    }
    let without_star = ("ADDED_ROUTE_SCOPES", r#"{"ANY /orders/{id}":["orders:read"]}"#);
    let error =
        authorizer::Deps::from_settings(&stack.settings(&[ROUTE_SCOPES, without_star])).err().unwrap();
    assert!(error.to_string().contains("needs the key `*`"), "{error}");
}

#[tokio::test]
async fn a_path_parameter_with_a_dot_segment_is_denied() {
    let (_stack, deps, token) = ready("todo:read").await;
    for (value, good) in [("1", true), ("../todo", false), ("%2e%2e", false), ("a\\b", false)] {
        let mut event = http(json!({"authorization": format!("Bearer {token}")}), "GET /files/{name}");
        event["pathParameters"] = json!({"name": value});
        assert_eq!(ask(&deps, &event, clock::now()).await["isAuthorized"], good, "{value}");
    }
}

#[tokio::test]
async fn websockets_and_token_authorizers_get_a_policy() {
    let (stack, deps, token) = ready("todo:read chat").await;
    let token_event = json!({"type": "TOKEN", "authorizationToken": format!("Bearer {token}"), "methodArn": format!("{ARN}/GET/todo")});
    let answer = ask(&deps, &token_event, clock::now()).await;
    assert!(resources(&answer, "Allow").contains(&format!("{ARN}/GET/todo")));
    assert_eq!(answer["context"]["sub"], "backend");
    let socket = json!({
        "type": "REQUEST", "methodArn": format!("{ARN}/$connect"), "headers": {"Authorization": format!("Bearer {token}")},
        "requestContext": {"routeKey": "$connect", "eventType": "CONNECT", "stage": "prod", "domainName": "x"},
    });
    assert!(
        resources(&ask(&deps, &socket, clock::now()).await, "Allow").contains(&format!("{ARN}/$connect"))
    );
    let secret = stack.client("silent", "todo:read").await;
    let mut socket = socket;
    socket["headers"]["Authorization"] = json!(format!("Bearer {}", stack.token("silent", &secret).await));
    assert!(
        !resources(&ask(&deps, &socket, clock::now()).await, "Allow").contains(&format!("{ARN}/$connect"))
    );
}

#[tokio::test]
async fn every_algorithm_signs_and_verifies() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "").await;
    for algorithm in Algorithm::SIGNING {
        stack.rotate(algorithm, 0).await;
        // A new function, because a running one caches the secret.
        let token = token::Deps::from_settings(&stack.settings(&[])).unwrap();
        let answer = crate::events::call_token(&token, &secret).await;
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        let access_token = body["access_token"].as_str().unwrap();
        let deps = authorizer::Deps::from_settings(&stack.settings(&[])).unwrap();
        assert_eq!(bearer(&deps, access_token, clock::now()).await["isAuthorized"], true, "{algorithm:?}");
    }
}

#[tokio::test]
async fn a_token_is_accepted_until_it_expires() {
    let (_stack, deps, token) = ready("").await;
    let expires_at = claims(&token)["exp"].as_u64().unwrap();
    assert_eq!(bearer(&deps, &token, expires_at + 29).await["isAuthorized"], true);
    assert_eq!(bearer(&deps, &token, expires_at + 30).await["isAuthorized"], false);
}

#[tokio::test]
async fn a_token_of_another_issuer_or_audience_is_rejected() {
    let (stack, _, token) = ready("").await;
    for (name, value) in [("ISSUER", "https://other.example"), ("AUDIENCE", "other")] {
        let deps = authorizer::Deps::from_settings(&stack.settings(&[(name, value)])).unwrap();
        assert_eq!(bearer(&deps, &token, clock::now()).await["isAuthorized"], false, "{name}");
    }
}

#[tokio::test]
async fn a_token_over_eight_kib_is_rejected() {
    let (stack, deps, _) = ready("").await;
    for (length, good) in [(5_000, true), (6_500, false)] {
        let claims = [("note".to_owned(), "x".repeat(length))];
        let id = format!("long-{length}");
        let secret = stack.client_with(&id, "", |client| client.claims = claims.into()).await;
        let token = stack.token(&id, &secret).await;
        assert_eq!(token.len() <= 8 * 1024, good);
        assert_eq!(bearer(&deps, &token, clock::now()).await["isAuthorized"], good, "{}", token.len());
    }
}

#[tokio::test]
async fn a_thousand_unknown_keys_cost_one_read_per_backoff() {
    let (stack, _, token) = ready("").await;
    let proxy = Proxy::start(&stack.running.environment["AWS_ENDPOINT_URL_DYNAMODB"]).await;
    let settings = [("AWS_ENDPOINT_URL_DYNAMODB", proxy.url.as_str()), ("TRUST_REFRESH_SECONDS", "300")];
    let deps = authorizer::Deps::from_settings(&stack.settings(&settings)).unwrap();
    let now = clock::now();
    assert_eq!(bearer(&deps, &token, now).await["isAuthorized"], true);
    let (_, rest) = token.split_once('.').unwrap();
    for (later, reads) in [(1, 2), (5, 2), (6, 3)] {
        for number in 0..1000 {
            let header = json!({"alg": "RS256", "typ": "at+jwt", "kid": format!("{later}-{number}")});
            let unknown = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()));
            assert_eq!(bearer(&deps, &unknown, now + later).await["isAuthorized"], false);
        }
        assert_eq!(proxy.count(), reads, "after {later} s");
    }
    assert_eq!(bearer(&deps, &token, now + 6).await["isAuthorized"], true);
}

#[tokio::test]
async fn tokens_of_a_blocked_client_are_rejected_within_the_trust_interval() {
    let (stack, deps, token) = ready("").await;
    let now = clock::now();
    let trust = TrustStore::new(stack.table());
    assert_eq!(bearer(&deps, &token, now).await["isAuthorized"], true);
    trust.block("backend", now).await.unwrap();
    assert_eq!(bearer(&deps, &token, now + 15).await["isAuthorized"], false);
    assert!(trust.unblock("backend", now + 20).await.unwrap());
    assert_eq!(bearer(&deps, &token, now + 30).await["isAuthorized"], false, "earlier tokens stay revoked");
    assert!(!trust.unblock("backend", now - 20).await.unwrap(), "it is no longer blocked");
    assert_eq!(bearer(&deps, &token, now + 45).await["isAuthorized"], false);
}

#[tokio::test]
async fn an_expired_or_revoked_api_key_is_rejected() {
    let stack = Stack::start().await;
    let deps = authorizer::Deps::from_settings(&stack.settings(&[])).unwrap();
    let now = clock::now();
    let key = stack.api_key("", Some(now + 100)).await;
    let ask_at = async |now| {
        ask(&deps, &http(json!({"x-api-key": key}), "GET /users"), now).await["isAuthorized"].clone()
    };
    assert_eq!(ask_at(now + 99).await, true);
    assert_eq!(ask_at(now + 100).await, false);
    let id = ApiKeys::new(stack.table())
        .list()
        .await
        .unwrap()
        .into_iter()
        .find(|key| key.owner == "tests")
        .unwrap()
        .id;
    ApiKeys::new(stack.table()).revoke(&id).await.unwrap();
    assert_eq!(ask_at(now + 90).await, true, "within the trust interval");
    assert_eq!(ask_at(now + 84).await, true);
    let fresh = authorizer::Deps::from_settings(&stack.settings(&[])).unwrap();
    assert_eq!(ask(&fresh, &http(json!({"x-api-key": key}), "GET /users"), now).await["isAuthorized"], false);
}

#[tokio::test]
async fn an_api_key_is_reloaded_after_an_hour_though_the_clock_was_ahead() {
    let stack = Stack::start().await;
    let key = stack.api_key("", None).await;
    let proxy = Proxy::start(&stack.running.environment["AWS_ENDPOINT_URL_DYNAMODB"]).await;
    let settings = [("AWS_ENDPOINT_URL_DYNAMODB", proxy.url.as_str()), ("TRUST_REFRESH_SECONDS", "300")];
    let deps = authorizer::Deps::from_settings(&stack.settings(&settings)).unwrap();
    let now = clock::now();
    let reads = async |now| {
        let before = proxy.count();
        let answer = ask(&deps, &http(json!({"x-api-key": key}), "GET /users"), now).await;
        assert_eq!(answer["isAuthorized"], true);
        proxy.count() - before
    };
    assert_eq!(reads(now + 86_400).await, 2, "the trust snapshot and the API key");
    assert_eq!(reads(now).await, 2);
    assert_eq!(reads(now + 200).await, 0);
    assert_eq!(reads(now + 3600).await, 2);
}

#[tokio::test]
async fn a_cold_authorizer_without_the_store_allows_nothing() {
    let (stack, _, token) = ready("").await;
    let key = stack.api_key("", None).await;
    let deps = authorizer::Deps::from_settings(
        &stack.settings(&[("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")]),
    )
    .unwrap();
    for headers in [json!({"authorization": format!("Bearer {token}")}), json!({"x-api-key": key})] {
        let event = serde_json::from_value(http(headers, "GET /profile")).unwrap();
        assert!(authorizer::handle(&deps, event, clock::now()).await.is_err());
    }
}

#[tokio::test]
async fn the_trust_snapshot_serves_for_five_minutes_of_an_outage() {
    let (stack, _, token) = ready("").await;
    let proxy = Proxy::start(&stack.running.environment["AWS_ENDPOINT_URL_DYNAMODB"]).await;
    let settings = [("AWS_ENDPOINT_URL_DYNAMODB", proxy.url.as_str())];
    let deps = authorizer::Deps::from_settings(&stack.settings(&settings)).unwrap();
    let now = clock::now();
    assert_eq!(bearer(&deps, &token, now).await["isAuthorized"], true);
    proxy.refuse();
    assert_eq!(bearer(&deps, &token, now + 299).await["isAuthorized"], true);
    let event =
        || serde_json::from_value(http(json!({"authorization": format!("Bearer {token}")}), "GET /profile"));
    assert!(authorizer::handle(&deps, event().unwrap(), now + 300).await.is_err());
    proxy.heal();
    assert_eq!(bearer(&deps, &token, now + 304).await["isAuthorized"], true);
}

#[tokio::test]
async fn the_default_issuer_is_the_apis_domain_and_no_request_header() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "").await;
    // Without ISSUER this is not the local stack, so JWKS URLs must be https.
    let settings = stack.settings(&[("ISSUER", ""), ("GOOGLE_JWKS_URL", "https://keys.example.com")]);
    let own = "https://api.example.com";
    let mut headers = basic("backend", &secret);
    headers["host"] = json!("evil.example");
    headers["x-forwarded-host"] = json!("evil.example");
    let endpoint = token::Deps::from_settings(&settings).unwrap();
    let form = [("grant_type", "client_credentials")];
    let (status, body) = post_token(&endpoint, headers.clone(), &form, clock::now()).await;
    let token = body["access_token"].as_str().unwrap();
    assert_eq!((status, &claims(token)["iss"]), (200, &json!(own)));
    let discovery = discovery::Deps::from_settings(&settings).unwrap();
    for document in ["oauth-authorization-server", "openid-configuration"] {
        let event = http_event("GET", &format!("/.well-known/{document}"), headers.clone(), None);
        let answer = call(&event, |request| discovery::handle(&discovery, request, clock::now())).await;
        let (status, body) = status_and_body(&answer);
        assert_eq!((status, &body["issuer"]), (200, &json!(own)), "{document}");
        assert_eq!(body["jwks_uri"], format!("{own}/.well-known/jwks.json"), "{document}");
    }
    let deps = authorizer::Deps::from_settings(&settings).unwrap();
    for (domain, good) in [("api.example.com", true), ("evil.example", false)] {
        let mut asked = http(json!({"authorization": format!("Bearer {token}")}), "GET /profile");
        asked["requestContext"]["domainName"] = json!(domain);
        assert_eq!(ask(&deps, &asked, clock::now()).await["isAuthorized"], good, "{domain}");
    }
}

#[tokio::test]
async fn a_token_event_without_a_configured_issuer_fails() {
    let (stack, _, token) = ready("").await;
    let deps = authorizer::Deps::from_settings(&stack.settings(&[("ISSUER", "")])).unwrap();
    let event = json!({"type": "TOKEN", "authorizationToken": format!("Bearer {token}"), "methodArn": format!("{ARN}/GET/todo")});
    assert!(authorizer::handle(&deps, serde_json::from_value(event).unwrap(), clock::now()).await.is_err());
}
