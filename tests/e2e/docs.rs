//! The OpenAPI document agrees with the functions, and the documentation page loads.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};
use test_support::{Stack, read};

use crate::layering::rust_files;

async fn document(stack: &Stack) -> Value {
    read(stack.get("/openapi.json")).await.1
}

/// The properties and the required properties of a schema.
fn members(document: &Value, schema: &Value) -> (BTreeSet<String>, BTreeSet<String>) {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).expect(reference),
        None => schema,
    };
    let texts = |part: &Value| {
        part.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let properties = schema["properties"].as_object().map(|all| all.keys().cloned().collect());
    let mut found: (BTreeSet<String>, BTreeSet<String>) =
        (properties.unwrap_or_default(), texts(&schema["required"]));
    for part in schema["allOf"].as_array().into_iter().flatten() {
        let (named, needed) = members(document, part);
        found.0.extend(named);
        found.1.extend(needed);
    }
    found
}

/// Asserts that a response matches the document.
fn check(document: &Value, method: &str, path: &str, (status, body): (u16, Value)) {
    let answers = &document["paths"][path][method]["responses"];
    let schema = &answers[status.to_string()]["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{method} {path} answers {status}, which is not in {answers}");
    let (named, needed) = members(document, schema);
    let found = body.as_object().map(Map::keys).unwrap().cloned().collect::<BTreeSet<_>>();
    assert!(found.is_subset(&named) && found.is_superset(&needed), "{path} {status}: {body}");
}

#[tokio::test]
async fn every_response_matches_the_openapi_document() {
    let stack = Stack::start().await;
    let document = document(&stack).await;
    let of = |name: &str| stack.running.environment[name].clone();
    let (id, secret) = (of("DEMO_CLIENT_ID"), of("DEMO_CLIENT_SECRET"));
    let (username, password) = (of("DEMO_USERNAME"), of("DEMO_PASSWORD"));
    let check = |method, path, answer| check(&document, method, path, answer);

    let sign_in = |password: &str| serde_json::json!({"username": username, "password": password});
    check("post", "/login", read(stack.post("/login").json(&sign_in(&password))).await);
    check("post", "/login", read(stack.post("/login").json(&sign_in("wrong"))).await);
    check("post", "/login", read(stack.post("/login").body("text")).await);
    let form = [("username", &username), ("password", &password)];
    let signed_in = read(stack.post("/token").form(&form)).await;
    let token = signed_in.1["access_token"].as_str().unwrap().to_owned();
    let refresh_token = signed_in.1["refresh_token"].as_str().unwrap().to_owned();
    check("post", "/token", signed_in);
    check("post", "/token", read(stack.post("/token").form(&[("grant_type", "x")])).await);
    check(
        "post",
        "/google",
        read(stack.post("/google").bearer_auth(stack.id_token("ada@example.com"))).await,
    );
    check("post", "/google", read(stack.post("/google").bearer_auth(&token)).await);

    let by_client = |path| stack.post(path).basic_auth(&id, Some(&secret));
    for path in ["/oauth2/token", "/oauth2/authorize"] {
        let grant = [("grant_type", "client_credentials")];
        check("post", path, read(by_client(path).form(&grant)).await);
        check("post", path, read(stack.post(path).form(&grant)).await);
        check("post", path, read(by_client(path).form(&[("grant_type", "password")])).await);
    }
    let exchange = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
        ("subject_token", &stack.id_token("ada@example.com")),
    ];
    check("post", "/oauth2/token", read(stack.post("/oauth2/token").form(&exchange)).await);

    let resource_server = stack.client("resource-server", "latchkey:introspect").await;
    for token in [&token, &refresh_token, &"garbage".to_owned()] {
        let asked = stack.post("/oauth2/introspect").basic_auth("resource-server", Some(&resource_server));
        check("post", "/oauth2/introspect", read(asked.form(&[("token", token)])).await);
    }
    check("post", "/oauth2/introspect", read(stack.post("/oauth2/introspect").form(&[("token", "x")])).await);
    for path in [
        "/.well-known/jwks.json",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-protected-resource",
    ] {
        check("get", path, read(stack.get(path)).await);
    }
    let below = "/.well-known/oauth-protected-resource/{proxy}";
    check("get", below, read(stack.get(&below.replace("{proxy}", "mcp"))).await);

    for path in ["/profile", "/get/clientinfo", "/todo", "/whoami"] {
        check("get", path, read(stack.get(path).bearer_auth(&token)).await);
        check("get", path, read(stack.get(path).bearer_auth("garbage")).await);
    }
    for path in ["/users", "/whoami"] {
        check("get", path, read(stack.get(path).header("x-api-key", of("DEMO_API_KEY"))).await);
    }
    check("get", "/todo", read(stack.get("/todo")).await);
    let revoked = [("token", refresh_token.as_str()), ("client_id", "latchkey")];
    check("post", "/oauth2/revoke", read(stack.post("/oauth2/revoke").form(&revoked)).await);
}

#[tokio::test]
async fn the_described_form_fields_are_those_that_are_read() {
    let stack = Stack::start().await;
    let document = document(&stack).await;
    let mut described = BTreeSet::new();
    for operation in document["paths"].as_object().unwrap().values() {
        let form = &operation["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"];
        described.extend(members(&document, &form["schema"]).0);
    }

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    // `Form::target` reads `resource` and `audience`.
    let mut read = BTreeSet::from(["g_csrf_token", "resource", "audience"].map(str::to_owned));
    for folder in ["shared/src", "functions"] {
        for file in rust_files(&root.join(folder)) {
            let source = fs::read_to_string(file).unwrap();
            let source: String = source.split_whitespace().collect();
            for call in ["form.text(\"", "form.secret(\"", "one_of(\""] {
                let calls = source.split(call).skip(1).filter_map(|rest| rest.split('"').next());
                read.extend(calls.map(str::to_owned));
            }
        }
    }
    // Delegation (RFC 8693 §1.1) is read in order to reject it.
    read.remove("actor_token");
    read.remove("actor_token_type");
    assert_eq!(described, read);
}

#[tokio::test]
async fn the_password_flow_has_a_refresh_url() {
    let stack = Stack::start().await;
    let schemes = &document(&stack).await["components"]["securitySchemes"];
    assert_eq!(schemes["user"]["flows"]["password"]["refreshUrl"], "/oauth2/token");
    assert_eq!(schemes["client"]["flows"]["clientCredentials"].get("refreshUrl"), None);
}

#[tokio::test]
async fn the_page_loads_its_files_under_a_strict_policy() {
    let stack = Stack::start().await;
    let page = stack.get("/docs").send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"),
        "{policy}"
    );
    let page = page.text().await.unwrap();
    let links = ["src=\"", "href=\"docs"].map(|link| page.split(link).skip(1).count());
    assert_eq!(links, [2, 1]);
    for path in page.split("\"docs/").skip(1).filter_map(|rest| rest.split('"').next()) {
        let file = stack.get(&format!("/docs/{path}")).send().await.unwrap();
        assert_eq!(
            (file.status().as_u16(), &file.headers()["x-content-type-options"]),
            (200, &"nosniff".parse().unwrap())
        );
        let etag = file.headers()["etag"].clone();
        let again = stack.get(&format!("/docs/{path}")).header("if-none-match", etag).send().await.unwrap();
        assert_eq!(again.status(), 304);
    }
    // No other file of Swagger UI is served.
    assert_eq!(stack.get("/docs/swagger-ui-standalone-preset.js").send().await.unwrap().status(), 404);
}
