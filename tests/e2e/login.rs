//! Sign-in with a password.

use serde_json::{Value, json};
use shared::passwords::hash::PasswordHash;
use shared::store::users::Users;
use test_support::{PASSWORD, Stack, claims, read};

async fn login(stack: &Stack, body: &Value) -> (u16, Value) {
    read(stack.post("/login").json(body)).await
}

#[tokio::test]
async fn unknown_wrong_and_disabled_sign_ins_get_the_same_response() {
    let stack = Stack::start().await;
    stack.user("ada", "a").await;
    stack.user("bob", "a").await;
    Users::new(stack.table()).set_disabled("bob", true).await.unwrap();
    let wrong = login(&stack, &json!({"username": "ada", "password": "wrong password"})).await;
    assert_eq!((wrong.0, &wrong.1["error"]), (401, &json!("invalid_grant")));
    for body in [
        json!({"username": "missing", "password": PASSWORD}),
        json!({"username": "bob", "password": PASSWORD}),
        json!({"username": "x".repeat(5000), "password": PASSWORD}),
        json!({"username": "CLIENT#ada", "password": PASSWORD}),
    ] {
        assert_eq!(login(&stack, &body).await, wrong, "{body}");
    }
}

#[tokio::test]
async fn extra_members_of_the_body_are_ignored() {
    let stack = Stack::start().await;
    let sub = stack.user("ada", "a").await;
    let (status, body) = login(
        &stack,
        &json!({
            "username": "ada", "password": PASSWORD, "roles": ["admin"], "scope": "admin", "scopes": ["admin"],
            "sub": "usr_root", "is_admin": true, "client_id": "other", "aud": "other",
        }),
    )
    .await;
    assert_eq!((status, &body["scope"]), (200, &json!("a")));
    let claims = claims(body["token"].as_str().unwrap());
    assert_eq!(
        (&claims["sub"], &claims["client_id"], &claims["aud"]),
        (&json!(sub), &json!("latchkey"), &json!("latchkey"))
    );
    assert_eq!((claims.get("roles"), claims.get("is_admin")), (None, None));
}

#[tokio::test]
async fn the_form_narrows_the_scope_and_never_widens_it() {
    let stack = Stack::start().await;
    stack.user("ada", "a b").await;
    let form = async |scope: &str| {
        let form =
            [("username", "ada"), ("password", PASSWORD), ("scope", scope), ("grant_type", "password")];
        read(stack.post("/token").form(&form)).await
    };
    assert_eq!(form("b").await.1["scope"], "b");
    assert_eq!(form("").await.1["scope"], "a b");
    let (status, body) = form("a admin").await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_scope")));
    let other = [("username", "ada"), ("password", PASSWORD), ("grant_type", "client_credentials")];
    let (status, body) = read(stack.post("/token").form(&other)).await;
    assert_eq!((status, &body["error"]), (400, &json!("unsupported_grant_type")));
}

#[tokio::test]
async fn the_form_honours_resource_and_audience() {
    let stack = Stack::start().await;
    stack.user("ada", "a").await;
    for (targets, code) in [
        (&[("resource", "latchkey")][..], None),
        (&[("audience", "latchkey"), ("resource", "latchkey")], None),
        (&[("resource", "other")], Some("invalid_target")),
        (&[("audience", "other")], Some("invalid_target")),
        (&[("resource", "latchkey"), ("resource", "other")], Some("invalid_target")),
    ] {
        let form = [&[("username", "ada"), ("password", PASSWORD)], targets].concat();
        let (_, body) = read(stack.post("/token").form(&form)).await;
        assert_eq!(body["error"].as_str(), code, "{targets:?}");
    }
}

#[tokio::test]
async fn a_bcrypt_hash_is_replaced_at_the_next_successful_sign_in() {
    let stack = Stack::start().await;
    // The hash of another system.
    let hash = bcrypt::hash(PASSWORD, 10).unwrap();
    stack.user_with("ada", "a", PasswordHash::import(&hash).unwrap()).await;
    let stored = async || {
        let user = Users::new(stack.table()).get("ada").await.unwrap().unwrap();
        serde_json::to_value(user.password_hash).unwrap().as_str().unwrap().to_owned()
    };
    assert_eq!(login(&stack, &json!({"username": "ada", "password": "wrong password"})).await.0, 401);
    assert_eq!(stored().await, hash);
    // Both read the imported hash, and one of them finds it replaced.
    let good = json!({"username": "ada", "password": PASSWORD});
    let (one, other) = tokio::join!(login(&stack, &good), login(&stack, &good));
    assert_eq!((one.0, other.0), (200, 200));
    assert!(stored().await.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    assert_eq!(login(&stack, &json!({"username": "ada", "password": PASSWORD})).await.0, 200);
}

async fn stored_hash(stack: &Stack, username: &str) -> String {
    let user = Users::new(stack.table()).get(username).await.unwrap().unwrap();
    serde_json::to_value(user.password_hash).unwrap().as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_password_with_nul_is_rejected() {
    let stack = Stack::start().await;
    let hash = bcrypt::hash(PASSWORD, 10).unwrap();
    stack.user_with("ada", "a", PasswordHash::import(&hash).unwrap()).await;
    // To bcrypt both passwords are the same.
    let twice = format!("{PASSWORD}\0{PASSWORD}");
    assert!(bcrypt::verify(&twice, &hash).unwrap());
    let wrong = login(&stack, &json!({"username": "ada", "password": "wrong password"})).await;
    assert_eq!(login(&stack, &json!({"username": "ada", "password": twice})).await, wrong);
    let form = [("username", "ada"), ("password", &twice)];
    assert_eq!(read(stack.post("/token").form(&form)).await, wrong);
    assert_eq!(stored_hash(&stack, "ada").await, hash);
    assert_eq!(login(&stack, &json!({"username": "ada", "password": PASSWORD})).await.0, 200);
}

#[tokio::test]
async fn a_password_of_bcrypts_maximum_length_keeps_the_imported_hash() {
    let stack = Stack::start().await;
    let hash = bcrypt::hash("x".repeat(80), 10).unwrap();
    stack.user_with("ada", "a", PasswordHash::import(&hash).unwrap()).await;
    assert_eq!(login(&stack, &json!({"username": "ada", "password": "x".repeat(72)})).await.0, 200);
    assert_eq!(stored_hash(&stack, "ada").await, hash);
}

#[tokio::test]
async fn a_password_matches_in_every_unicode_form() {
    let stack = Stack::start().await;
    let (decomposed, composed) = ("re\u{301}sume\u{301} 42", "r\u{e9}sum\u{e9} 42");
    let full_width = "r\u{e9}sum\u{e9}\u{3000}\u{ff14}\u{ff12}";
    stack.user_with("ada", "a", PasswordHash::new("ada", &decomposed.into()).unwrap()).await;
    for typed in [decomposed, composed, full_width] {
        assert_eq!(login(&stack, &json!({"username": "ada", "password": typed})).await.0, 200, "{typed:?}");
    }
}

#[tokio::test]
async fn a_hash_of_a_decomposed_password_is_replaced_at_sign_in() {
    let stack = Stack::start().await;
    let (decomposed, composed) = ("re\u{301}sume\u{301} 42", "r\u{e9}sum\u{e9} 42");
    // A hash of the time before passwords were normalized.
    let hash =
        "$argon2id$v=19$m=19456,t=2,p=1$sqVAbq2ctmGA6AdepOuU/g$mhDCLovzxOCIM0uUnkZVz5vSqM1Q46Jl1uUXX1EfpEQ";
    stack.user_with("ada", "a", PasswordHash::import(hash).unwrap()).await;
    let status = async |typed: &str| login(&stack, &json!({"username": "ada", "password": typed})).await.0;
    assert_eq!(status(composed).await, 401, "another form than that of the hash");
    assert_eq!(status(decomposed).await, 200);
    assert_ne!(stored_hash(&stack, "ada").await, hash);
    assert_eq!(status(composed).await, 200);
    assert_eq!(status(decomposed).await, 200);
}

#[tokio::test]
async fn whitespace_around_a_username_is_ignored() {
    let stack = Stack::start().await;
    stack.user("ada", "a").await;
    let longest = "x".repeat(128);
    stack.user(&longest, "a").await;
    for name in ["ada ", "\u{a0}ada\t", "Ada\r\n", &format!("{longest}\u{3000}")] {
        assert_eq!(login(&stack, &json!({"username": name, "password": PASSWORD})).await.0, 200, "{name:?}");
        stack.sign_in(name, PASSWORD).await;
    }
    for name in ["a da", "\u{feff}ada", "ada\u{200b}", " "] {
        assert_eq!(login(&stack, &json!({"username": name, "password": PASSWORD})).await.0, 401, "{name:?}");
    }
}

#[tokio::test]
async fn json_with_an_ascii_compatible_charset_is_accepted() {
    let stack = Stack::start().await;
    stack.user("ada", "").await;
    let body = json!({"username": "ada", "password": PASSWORD}).to_string();
    for (content_type, status) in [
        ("application/json; charset=ISO-8859-1", 200),
        ("Application/JSON;charset=utf8", 200),
        ("application/json; profile=x", 200),
        ("application/json; charset=utf-16", 415),
    ] {
        let request = stack.post("/login").header("content-type", content_type).body(body.clone());
        assert_eq!(read(request).await.0, status, "{content_type}");
    }
    let latin = [br#"{"username":"ada","password":""#.as_slice(), b"\xe9", br#""}"#].concat();
    let request = stack.post("/login").header("content-type", "application/json; charset=ISO-8859-1");
    assert_eq!(read(request.body(latin)).await.0, 400);
}

#[tokio::test]
async fn malformed_sign_ins_are_bad_requests() {
    let stack = Stack::start().await;
    for body in [
        json!({}),
        json!([]),
        json!("ada"),
        json!({"username": "ada"}),
        json!({"username": "ada", "password": 1}),
        json!({"username": "ada", "password": null}),
        json!({"username": "", "password": "x"}),
        json!({"username": "ada", "password": ""}),
    ] {
        let (status, body) = login(&stack, &body).await;
        assert_eq!((status, &body["error"]), (400, &json!("invalid_request")));
    }
}
