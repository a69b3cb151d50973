//! The documents under `/.well-known`.

use serde_json::{Value, json};
use shared::runtime::clock;
use test_support::Stack;
use test_support::events::{call, http_event, status_and_body};

const RESOURCE: &str = "/.well-known/oauth-protected-resource";

/// Collects the places of empty arrays in a document.
fn empty_arrays(document: &Value, place: &str, found: &mut Vec<String>) {
    match document {
        Value::Array(items) if items.is_empty() => found.push(place.to_owned()),
        Value::Array(items) => items.iter().for_each(|item| empty_arrays(item, place, found)),
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| empty_arrays(member, &format!("{place}/{name}"), found));
        }
        _ => {}
    }
}

async fn ask(deps: &discovery::Deps, event: &Value) -> Value {
    call(event, |request| discovery::handle(deps, request, clock::now())).await
}

/// A request for the metadata of a resource, as API Gateway sends it.
fn event_for_resource(method: &str, path: &str) -> Value {
    let mut event = http_event(method, &format!("{RESOURCE}{path}"), json!({}), None);
    if let Some(below) = path.strip_prefix('/') {
        event["pathParameters"] = json!({"proxy": below});
        event["routeKey"] = json!(format!("{method} {RESOURCE}/{{proxy+}}"));
        event["requestContext"]["routeKey"] = event["routeKey"].clone();
    }
    event
}

#[tokio::test]
async fn no_document_has_an_empty_array() {
    let stack = Stack::start().await;
    let off = [
        ("REFRESH_TOKEN_TTL_SECONDS", "0"),
        ("GOOGLE_CLIENT_IDS", ""),
        ("TRUSTED_ISSUERS", ""),
        ("AUDIENCE", "https://api.example.com"),
        ("ISSUER", ""),
    ];
    let deps = discovery::Deps::from_settings(&stack.settings(&off)).unwrap();
    for path in [
        "/.well-known/jwks.json",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        RESOURCE,
    ] {
        let (status, document) =
            status_and_body(&ask(&deps, &http_event("GET", path, json!({}), None)).await);
        let mut empty = Vec::new();
        empty_arrays(&document, path, &mut empty);
        assert!(status == 200 && empty.is_empty(), "{empty:?} {document}");
        if document.get("token_endpoint").is_some() {
            assert_eq!(document["response_types_supported"], json!(["none"]));
        }
    }
}

#[tokio::test]
async fn head_is_answered_as_get_without_a_body() {
    let stack = Stack::start().await;
    for path in [
        "/.well-known/jwks.json",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/openapi.json",
        "/docs",
        "/docs/swagger-initializer.js",
        "/docs/swagger-ui-bundle.js",
        "/docs/swagger-ui.css",
        RESOURCE,
        "/.well-known/oauth-protected-resource/mcp",
    ] {
        let get = stack.get(path).send().await.unwrap();
        let head = stack.http.head(stack.url(path)).send().await.unwrap();
        assert_eq!(head.status(), get.status(), "{path}");
        for name in ["content-type", "cache-control", "etag", "content-encoding", "content-security-policy"] {
            assert_eq!(head.headers().get(name), get.headers().get(name), "{path}: {name}");
        }
        assert_eq!(head.bytes().await.unwrap().len(), 0, "{path}");
    }
    // The function itself omits the body.
    let deps = discovery::Deps::from_settings(&stack.settings(&[])).unwrap();
    for path in ["/.well-known/jwks.json", RESOURCE] {
        let answer = ask(&deps, &http_event("HEAD", path, json!({}), None)).await;
        assert!(answer["body"].as_str().is_none_or(str::is_empty), "{answer}");
    }
}

#[tokio::test]
async fn each_audience_that_is_a_url_of_this_api_has_its_metadata() {
    let stack = Stack::start().await;
    let audiences = "latchkey,https://api.example.com/,https://API.example.com/mcp,https://api.example.com/a/b/,\
                     https://other.example/other,http://api.example.com/plain,https://api.example.com/query?a=b";
    let settings = stack.settings(&[("AUDIENCE", audiences), ("ISSUER", "")]);
    let deps = discovery::Deps::from_settings(&settings).unwrap();
    let of_server = http_event("GET", "/.well-known/oauth-authorization-server", json!({}), None);
    let (_, server) = status_and_body(&ask(&deps, &of_server).await);
    for (path, resource) in [
        ("", Some("https://api.example.com/")),
        ("/mcp", Some("https://API.example.com/mcp")),
        ("/a/b/", Some("https://api.example.com/a/b/")),
        ("/a/b", None),
        ("/MCP", None),
        ("/mcp/", None),
        ("/other", None),
        ("/plain", None),
        ("/query", None),
        ("/latchkey", None),
        ("/../mcp", None),
    ] {
        let answer = ask(&deps, &event_for_resource("GET", path)).await;
        let (status, document) = status_and_body(&answer);
        let Some(resource) = resource else {
            assert_eq!((status, &document["error"]), (404, &json!("invalid_request")), "{path} {document}");
            assert_eq!(answer["headers"]["cache-control"], "no-store");
            continue;
        };
        let expected = json!({
            "resource": resource,
            "authorization_servers": ["https://api.example.com"],
            "bearer_methods_supported": ["header"],
            "dpop_signing_alg_values_supported": server["dpop_signing_alg_values_supported"],
            "tls_client_certificate_bound_access_tokens": false,
        });
        assert_eq!((status, &document), (200, &expected), "{path}");
        assert_eq!(answer["headers"]["cache-control"], "public, max-age=3600");
    }
}

#[tokio::test]
async fn the_metadata_of_a_resource_names_the_issuer_of_the_tokens() {
    let stack = Stack::start().await;
    let settings =
        [("AUDIENCE", "https://api.example.com/mcp"), ("ISSUER", "https://auth.example.com/tenant")];
    let deps = discovery::Deps::from_settings(&stack.settings(&settings)).unwrap();
    let (_, document) = status_and_body(&ask(&deps, &event_for_resource("GET", "/mcp")).await);
    assert_eq!(document["authorization_servers"], json!(["https://auth.example.com/tenant"]));
    // Another domain of the same API.
    let mut event = event_for_resource("GET", "/mcp");
    event["requestContext"]["domainName"] = json!("a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com");
    assert_eq!(status_and_body(&ask(&deps, &event).await).0, 404);
}

#[tokio::test]
async fn a_resource_of_the_local_stack_is_a_loopback_url() {
    let stack = Stack::start().await;
    let audience = format!("{},{}/mcp,https://127.0.0.1/tls", stack.running.url, stack.running.url);
    let deps = discovery::Deps::from_settings(&stack.settings(&[("AUDIENCE", &audience)])).unwrap();
    let domain = stack.running.url.trim_start_matches("http://");
    for (path, status) in [("", 200), ("/mcp", 200), ("/tls", 404)] {
        let mut event = event_for_resource("GET", path);
        event["requestContext"]["domainName"] = json!(domain);
        let (found, document) = status_and_body(&ask(&deps, &event).await);
        assert_eq!(found, status, "{document}");
        if status == 200 {
            assert_eq!(document["resource"], format!("{}{path}", stack.running.url));
        }
    }
    // The route has no authorizer, and without the audience there is no document.
    let (status, body) = test_support::read(stack.get(&format!("{RESOURCE}/mcp"))).await;
    assert_eq!((status, &body["error"]), (404, &json!("invalid_request")));
}
