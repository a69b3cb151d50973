//! Users that are imported from another system with their password hashes.

use std::fs;
use std::path::Path;

use serde_json::Value;
use shared::passwords::hash::PasswordHash;
use shared::store::users::Users;
use test_support::{PASSWORD, Stack};

/// The lines of `examples/users.jsonl`.
fn examples() -> Vec<(String, String)> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/users.jsonl");
    let file = fs::read_to_string(file).unwrap();
    let text = |line: &Value, member: &str| line[member].as_str().unwrap().to_owned();
    let read =
        |line| serde_json::from_str(line).map(|line| (text(&line, "username"), text(&line, "password_hash")));
    file.lines().map(|line| read(line).unwrap()).collect()
}

#[tokio::test]
async fn an_imported_hash_of_each_framework_is_replaced_at_sign_in() {
    let stack = Stack::start().await;
    let users = Users::new(stack.table());
    let stored = async |name: &str| {
        let user = users.get(name).await.unwrap().unwrap();
        serde_json::to_value(user.password_hash).unwrap().as_str().unwrap().to_owned()
    };
    let examples = examples();
    assert_eq!(examples.len(), 7);
    for (name, hash) in examples {
        stack.user_with(&name, "a", PasswordHash::import(&hash).expect(&name)).await;
        let imported = stored(&name).await;
        assert!(
            imported.starts_with('$') && hash.ends_with(&imported),
            "{name}: the prefix of the framework is not stored"
        );
        stack.sign_in(&name, PASSWORD).await;
        assert!(stored(&name).await.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{name}");
        stack.sign_in(&name, PASSWORD).await;
    }
}
