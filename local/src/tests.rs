//! Whole local stacks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sam_template::IdentitySource;
use serde_json::{Value, json};
use shared::store::users::Users;

use super::emulators::EMBEDDED_DYNAMODB;
use super::*;

fn options(data: &Path) -> Options {
    Options { port: 0, data: data.to_owned(), ephemeral: false, dynamodb: None }
}

/// The stack's table, with the environment of `dev.env`.
fn table(stack: &Running) -> Table {
    let settings = stack.environment.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    Table::new(Aws::from_settings(&settings).unwrap().dynamodb(), TABLE_NAME)
}

async fn subject_of_demo(stack: &Running) -> String {
    Users::new(table(stack)).get("demo").await.unwrap().unwrap().sub
}

fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn second_start_keeps_secrets_users_and_keys() {
    let data = tempfile::tempdir().unwrap();
    let first = start(options(data.path())).await.unwrap();
    let (environment, subject) = (first.environment.clone(), subject_of_demo(&first).await);
    let jwks = jwks(&first).await;
    first.stop().await.unwrap();

    let second = start(options(data.path())).await.unwrap();
    for (name, value) in &environment {
        // Another program may use a port by now.
        assert!(value.starts_with("http://") || second.environment.get(name) == Some(value), "{name}");
    }
    assert_eq!(subject_of_demo(&second).await, subject);
    assert_eq!(self::jwks(&second).await, jwks);
    second.stop().await.unwrap();
}

async fn jwks(stack: &Running) -> Vec<serde_json::Value> {
    let trust = shared::trust::store::TrustStore::new(table(stack));
    trust.jwks(clock::now()).await.unwrap()
}

#[tokio::test]
async fn data_folder_is_readable_by_its_owner_only() {
    let data = tempfile::tempdir().unwrap();
    let stack = start(options(&data.path().join("new"))).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = data.path().join("new");
    assert_eq!(mode(&folder), 0o700);
    for name in names(&folder) {
        assert_eq!(mode(&folder.join(&name)), 0o600, "{name}");
    }
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn dev_env_has_the_documented_variables() {
    let data = tempfile::tempdir().unwrap();
    let stack = start(options(data.path())).await.unwrap();
    let text = fs::read_to_string(data.path().join("dev.env")).unwrap();
    assert_eq!(env_file::read(&text), stack.environment);
    for name in [
        "LATCHKEY_URL",
        "DEMO_CLIENT_ID",
        "DEMO_CLIENT_SECRET",
        "DEMO_USERNAME",
        "DEMO_PASSWORD",
        "DEMO_API_KEY",
        "AWS_ENDPOINT_URL_DYNAMODB",
        "AWS_ENDPOINT_URL_SECRETS_MANAGER",
        "AWS_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "TABLE_NAME",
        "SIGNING_SECRET_ID",
    ] {
        assert!(stack.environment.contains_key(name), "{name}");
    }
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn port_or_data_folder_in_use_is_rejected() {
    let data = tempfile::tempdir().unwrap();
    let stack = start(options(data.path())).await.unwrap();
    let error = start(options(data.path())).await.err().unwrap().to_string();
    assert!(error.contains("is in use by another `latchkey dev`"), "{error}");

    let other = tempfile::tempdir().unwrap();
    let port = stack.url.rsplit(':').next().unwrap().parse().unwrap();
    let error = start(Options { port, ..options(other.path()) }).await.err().unwrap().to_string();
    assert_eq!(error, format!("port {port} is already in use. Choose another one with --port"));
    assert!(names(other.path()).is_empty());
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn ephemeral_stack_leaves_only_dev_env_and_lock() {
    let data = tempfile::tempdir().unwrap();
    let stack = start(Options { ephemeral: true, ..options(data.path()) }).await.unwrap();
    stack.stop().await.unwrap();
    assert_eq!(names(data.path()), ["dev.env", "lock"].map(str::to_owned).into());
}

#[tokio::test]
async fn demo_identities_get_the_secrets_of_dev_env() {
    let data = tempfile::tempdir().unwrap();
    let first = start(options(data.path())).await.unwrap();
    let (environment, subject) = (first.environment.clone(), subject_of_demo(&first).await);
    first.stop().await.unwrap();
    fs::remove_file(data.path().join("dev.env")).unwrap();

    let second = start(options(data.path())).await.unwrap();
    for name in ["DEMO_CLIENT_SECRET", "DEMO_PASSWORD", "DEMO_API_KEY"] {
        assert_ne!(second.environment[name], environment[name], "{name}");
    }
    assert_eq!(subject_of_demo(&second).await, subject);
    let (environment, client_secret) = (second.environment.clone(), "DEMO_CLIENT_SECRET");
    second.stop().await.unwrap();

    let third = start(options(data.path())).await.unwrap();
    assert_eq!(third.environment[client_secret], environment[client_secret]);
    third.stop().await.unwrap();
}

#[tokio::test]
async fn data_folder_of_the_first_release_gets_a_new_access_key() {
    let data = tempfile::tempdir().unwrap();
    let first = start(options(data.path())).await.unwrap();
    let (mut environment, subject) = (first.environment.clone(), subject_of_demo(&first).await);
    first.stop().await.unwrap();
    let random = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    for name in random {
        environment.insert(name.to_owned(), "latchkeydev".to_owned());
    }
    fs::write(data.path().join("dev.env"), env_file::write(&environment)).unwrap();

    let second = start(options(data.path())).await.unwrap();
    let written = env_file::read(&fs::read_to_string(data.path().join("dev.env")).unwrap());
    for name in random {
        assert_ne!(written[name], "latchkeydev");
        environment.insert(name.to_owned(), written[name].clone());
    }
    assert_eq!(subject_of_demo(&second).await, subject);
    for name in ["DEMO_CLIENT_SECRET", "DEMO_PASSWORD", "DEMO_API_KEY"] {
        assert_eq!(written[name], environment[name], "{name}");
    }
    second.stop().await.unwrap();
}

#[tokio::test]
async fn other_dynamodb_replaces_the_embedded_engine() {
    let data = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let first = start(options(data[0].path())).await.unwrap();
    let url = first.environment["AWS_ENDPOINT_URL_DYNAMODB"].clone();
    // The first stack's engine requires the first stack's access key.
    let key = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    let key = key.map(|name| (name.to_owned(), first.environment[name].clone())).into();
    fs::write(data[1].path().join("dev.env"), env_file::write(&key)).unwrap();
    let options = Options { dynamodb: Some(url.clone()), ..options(data[1].path()) };
    let second = start(options).await.unwrap();
    assert_eq!(second.environment["AWS_ENDPOINT_URL_DYNAMODB"], url);
    assert_eq!(second.environment.get(EMBEDDED_DYNAMODB), None);
    assert_eq!(subject_of_demo(&second).await, subject_of_demo(&first).await);
    assert!(!names(data[1].path()).iter().any(|name| name.starts_with("dynamodb")));
    second.stop().await.unwrap();
    first.stop().await.unwrap();
}

/// The operations of the OpenAPI document by route key.
async fn operations(stack: &Running) -> BTreeMap<String, Value> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let document = client.get(format!("{}/openapi.json", stack.url)).send().await.unwrap();
    let document: Value = serde_json::from_str(&document.text().await.unwrap()).unwrap();
    let mut operations = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            operations.insert(format!("{} {path}", method.to_ascii_uppercase()), operation.clone());
        }
    }
    operations
}

#[tokio::test]
async fn openapi_document_describes_every_route_of_the_template_and_no_other() {
    let data = tempfile::tempdir().unwrap();
    let stack = start(Options { ephemeral: true, ..options(data.path()) }).await.unwrap();
    let template = Template::read(TEMPLATE).unwrap();
    let others = template.routes.iter().filter(|route| template.functions[&route.function].name != "docs");
    // The document omits `HEAD`, which is answered as `GET` without a body. OpenAPI has no path parameter of several
    // segments.
    let (head, others): (Vec<_>, Vec<_>) = others.partition(|route| route.method == "HEAD");
    let keys: BTreeSet<String> = others.iter().map(|route| route.key()).collect();
    assert!(head.iter().all(|route| keys.contains(&format!("GET {}", route.path))));
    let described: BTreeSet<String> = operations(&stack).await.into_keys().collect();
    assert_eq!(described, keys.iter().map(|key| key.replace("+}", "}")).collect());
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn openapi_document_requires_the_authorizers_credentials_and_scopes() {
    let data = tempfile::tempdir().unwrap();
    let stack = start(Options { ephemeral: true, ..options(data.path()) }).await.unwrap();
    let (template, operations) = (Template::read(TEMPLATE).unwrap(), operations(&stack).await);
    for route in template.routes.iter().filter(|route| route.authorizer.is_some()) {
        let key = route.key();
        let authorizer = &template.authorizers[route.authorizer.as_deref().unwrap()];
        let rules = &template.functions[&authorizer.function].environment["ROUTE_SCOPES"];
        let rules: Value = serde_json::from_str(rules).unwrap();
        let scopes = rules.get(&key).cloned().unwrap_or_else(|| json!([]));
        let token = [json!({"user": scopes}), json!({"client": scopes}), json!({"bearer": []})];
        let api_key = [json!({"api_key": []})];
        let header = |name: &str| IdentitySource::Header(name.to_owned());
        let takes = |name| {
            authorizer.identity_sources.is_empty() || authorizer.identity_sources.contains(&header(name))
        };
        let (token, api_key) =
            (takes("authorization").then_some(token), takes("x-api-key").then_some(api_key));
        let expected: Vec<Value> = token.into_iter().flatten().chain(api_key.into_iter().flatten()).collect();
        assert_eq!(operations[&key]["security"], json!(expected), "{key}");
    }
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn damaged_secrets_file_stops_the_start_and_is_kept() {
    let data = tempfile::tempdir().unwrap();
    fs::write(data.path().join("secrets.json"), "{").unwrap();
    let error = start(options(data.path())).await.err().unwrap().to_string();
    assert!(error.contains("secrets.json is damaged. "), "{error}");
    assert_eq!(fs::read_to_string(data.path().join("secrets.json")).unwrap(), "{");
}
