//! Items that a compromised signing function could have written. None grants more than the function itself could.

use local::google::CLIENT_ID;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use shared::identity::refresh_token::RefreshToken;
use shared::identity::usernames::canonicalize;
use shared::oauth::scope::Scopes;
use shared::passwords::hash::PasswordHash;
use shared::runtime::clock;
use shared::store::table::Key;
use shared::store::token_families::{Family, TokenFamilies};
use shared::store::users::Users;
use test_support::{PASSWORD, Stack, claims, read};

use crate::events::post_token;
use crate::refresh::invalid_grant;

const YEAR: u64 = 366 * 86_400;

/// Refreshes with a forged token family: that of a real sign-in with a change.
async fn refreshed(stack: &Stack, sign_in: &Value, change: impl FnOnce(&mut Family)) -> (u64, Value) {
    let families = TokenFamilies::new(stack.table());
    let genuine = RefreshToken::parse(sign_in["refresh_token"].as_str().unwrap().into()).unwrap();
    let mut family = families.get(genuine.family()).await.unwrap().unwrap();
    let forged = RefreshToken::first();
    family.current = forged.digest().clone();
    change(&mut family);
    families.create(forged.family(), &family).await.unwrap();
    let deps = token::Deps::from_settings(
        &stack.settings(&[("GOOGLE_CLIENT_IDS", CLIENT_ID), ("GOOGLE_SCOPES", "todo:read")]),
    );
    let form = [("grant_type", "refresh_token"), ("refresh_token", forged.expose_secret())];
    post_token(&deps.unwrap(), json!({}), &form, clock::now()).await
}

#[tokio::test]
async fn a_token_family_that_exceeds_the_configured_lifetime_is_rejected() {
    let stack = Stack::start().await;
    stack.user("ada", "a").await;
    let (signed_in, now) = (stack.sign_in("ada", PASSWORD).await, clock::now());
    assert_eq!(refreshed(&stack, &signed_in, |_| {}).await.0, 200, "the unchanged copy is accepted");
    let forever = |family: &mut Family| {
        (family.ends_at, family.expires_at, family.rotated_at) = (now + 300 * YEAR, now + 300 * YEAR, now);
    };
    let year_ago = |family: &mut Family| {
        forever(family);
        family.created_at = Some(now - YEAR);
    };
    assert!(invalid_grant(&refreshed(&stack, &signed_in, year_ago).await));
    let from_the_future = |family: &mut Family| {
        forever(family);
        family.created_at = Some(now + YEAR);
    };
    assert!(invalid_grant(&refreshed(&stack, &signed_in, from_the_future).await));
    let undated = |family: &mut Family| {
        forever(family);
        family.created_at = None;
    };
    assert!(invalid_grant(&refreshed(&stack, &signed_in, undated).await));
    let unused = |family: &mut Family| {
        forever(family);
        family.rotated_at = now - 8 * 86_400;
    };
    assert!(invalid_grant(&refreshed(&stack, &signed_in, unused).await));
}

#[tokio::test]
async fn a_token_family_grants_no_scope_that_its_user_lacks() {
    let stack = Stack::start().await;
    stack.user("ada", "a").await;
    let with_password = stack.sign_in("ada", PASSWORD).await;
    let id_token = stack.id_token("grace@example.com");
    let federated = read(stack.post("/google").bearer_auth(id_token)).await.1;
    let more = |family: &mut Family| {
        family.scopes = Scopes::parse("a admin todo:read").unwrap();
    };
    assert_eq!(refreshed(&stack, &with_password, more).await.1["scope"], "a");
    assert_eq!(
        refreshed(&stack, &federated, more).await.1["scope"],
        "todo:read",
        "the scopes of the setting GoogleScopes"
    );
    let as_federated = |family: &mut Family| {
        more(family);
        family.issuer = Some("https://accounts.google.com".to_owned());
    };
    assert!(invalid_grant(&refreshed(&stack, &with_password, as_federated).await));
    let with_a_password = |family: &mut Family| family.issuer = None;
    assert!(invalid_grant(&refreshed(&stack, &federated, with_a_password).await));
}

#[tokio::test]
async fn a_federated_user_cannot_sign_in_with_a_password() {
    let stack = Stack::start().await;
    let hash = PasswordHash::new("grace", &PASSWORD.into()).unwrap();
    let item = json!({
        "username": "usr_forged", "sub": "usr_forged", "password_hash": hash, "scopes": ["admin"],
        "disabled": false, "epoch": "", "created_at": 1,
    });
    stack.table().create(Key::new("USER#", "usr_forged", "PROFILE"), &item, None).await.unwrap();
    for name in ["usr_forged", "USR_FORGED"] {
        let form = [("username", name), ("password", PASSWORD)];
        let (status, body) = read(stack.post("/token").form(&form)).await;
        assert_eq!((status, &body["error"]), (401, &json!("invalid_grant")), "{name}");
    }
}

#[tokio::test]
async fn a_password_hash_in_a_federated_users_item_blocks_no_sign_in() {
    let stack = Stack::start().await;
    let sign_in = async || read(stack.post("/google").bearer_auth(stack.id_token("grace@example.com"))).await;
    let sub = claims(sign_in().await.1["access_token"].as_str().unwrap())["sub"].as_str().unwrap().to_owned();
    let hash = PasswordHash::new("grace", &PASSWORD.into()).unwrap();
    let key = Key::new("USER#", &canonicalize(&sub), "PROFILE");
    stack.table().set(key, &json!({"password_hash": hash})).await.unwrap();
    assert_eq!(sign_in().await.0, 200);
}

#[tokio::test]
async fn a_federated_identity_cannot_link_to_a_password_user() {
    let stack = Stack::start().await;
    stack.user("ada", "admin").await;
    let id_token = stack.id_token("grace@example.com");
    let subject = claims(&id_token)["sub"].as_str().unwrap().to_owned();
    let link = json!({"username": "ada", "created_at": 1});
    let key = Key::new("IDENTITY#", &format!("https://accounts.google.com#{subject}"), "LINK");
    stack.table().create(key, &link, None).await.unwrap();
    let (status, body) = read(stack.post("/google").bearer_auth(&id_token)).await;
    assert_eq!((status, &body["error"]), (401, &json!("invalid_grant")));
}

#[tokio::test]
async fn the_epoch_of_a_user_cannot_be_guessed() {
    let stack = Stack::start().await;
    let token = read(stack.post("/google").bearer_auth(stack.id_token("grace@example.com"))).await.1;
    let sub = claims(token["access_token"].as_str().unwrap())["sub"].as_str().unwrap().to_owned();
    let account = Users::new(stack.table()).account(&sub).await.unwrap().unwrap();
    assert!(account.epoch.len() >= 20 && account.is_federated(), "{:?}", account.epoch);
}

/// No statement lets a signing function create a user with a password hash.
#[test]
fn signing_functions_may_not_write_passwords_of_federated_users() {
    for binary in ["token", "google", "login"] {
        let role = test_support::role::Role::of(binary);
        let put = json!({
            "Item": {"pk": {"S": "USER#usr_forged"}, "sk": {"S": "PROFILE"}, "password_hash": {"S": "x"}},
        });
        assert!(!role.allows("DynamoDB_20120810.PutItem", put.to_string().as_bytes()), "{binary}");
    }
}
