//! Every kind of credential from sign-in to a protected route, valid and invalid.

use serde_json::json;
use test_support::{PASSWORD, Stack, claims, read};

#[tokio::test]
async fn an_api_key_is_allowed_on_its_route() {
    let stack = Stack::start().await;
    let key = stack.api_key("todo:read", None).await;
    let (status, body) = read(stack.get("/users").header("x-api-key", &key)).await;
    assert_eq!((status, &body["kind"], &body["owner"]), (200, &json!("api_key"), &json!("tests")), "{body}");
    assert_eq!(read(stack.get("/users")).await, (401, json!({"message": "Unauthorized"})));
    for wrong in [key.replace("lk_ak_", "lk_ak_x"), "wrong".to_owned(), stack.client("c", "a").await] {
        let (status, body) = read(stack.get("/users").header("x-api-key", wrong)).await;
        assert_eq!((status, body), (403, json!({"message": "Forbidden"})));
    }
}

#[tokio::test]
async fn a_json_login_is_allowed_on_the_profile() {
    let stack = Stack::start().await;
    let sub = stack.user("ada", "todo:read").await;
    let (status, body) =
        read(stack.post("/login").json(&json!({"username": "ADA", "password": PASSWORD}))).await;
    assert_eq!(
        (status, &body["message"], &body["token_type"]),
        (200, &json!("Login success"), &json!("Bearer"))
    );
    assert_eq!((&body["token"], &body["expires_in"]), (&body["access_token"], &json!(900)));
    assert_eq!(body["scope"], "todo:read");
    let token = body["token"].as_str().unwrap();
    let (status, profile) = read(stack.get("/profile").bearer_auth(token)).await;
    assert_eq!(status, 200);
    assert_eq!((&profile["sub"], &profile["kind"]), (&json!(sub), &json!("user")));
    assert_eq!((&profile["preferred_username"], &profile["client_id"]), (&json!("ada"), &json!("latchkey")));

    for wrong in
        [json!({"username": "ada", "password": "wrong"}), json!({"username": "eve", "password": PASSWORD})]
    {
        let (status, body) = read(stack.post("/login").json(&wrong)).await;
        assert_eq!((status, &body["error"]), (401, &json!("invalid_grant")));
    }
    assert_eq!(read(stack.get("/profile")).await, (401, json!({"message": "Unauthorized"})));
    assert_eq!(read(stack.get("/profile").bearer_auth("x.y.z")).await.0, 403);
}

#[tokio::test]
async fn a_client_credentials_form_is_allowed_on_the_client_info() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "todo:read").await;
    let form = |secret: &str| {
        [("grant_type", "client_credentials"), ("client_id", "backend"), ("client_secret", secret)]
            .map(|(name, value)| (name, value.to_owned()))
    };
    let (status, body) = read(stack.post("/oauth2/authorize").form(&form(&secret))).await;
    assert_eq!(status, 200, "{body}");
    let token = body["access_token"].as_str().unwrap();
    let (status, info) = read(stack.get("/get/clientinfo").bearer_auth(token)).await;
    assert_eq!((status, &info["sub"], &info["kind"]), (200, &json!("backend"), &json!("client")));

    let (status, body) = read(stack.post("/oauth2/authorize").form(&form("wrong"))).await;
    assert_eq!((status, &body["error"]), (401, &json!("invalid_client")));
    assert_eq!(read(stack.get("/get/clientinfo")).await.0, 401);
}

#[tokio::test]
async fn a_form_login_is_allowed_on_a_route_with_its_scope() {
    let stack = Stack::start().await;
    stack.user("ada", "todo:read todo:write").await;
    stack.user("bob", "").await;
    let form = |name: &str| [("username", name.to_owned()), ("password", PASSWORD.to_owned())];
    let (status, body) = read(stack.post("/token").form(&form("ada"))).await;
    assert_eq!((status, &body["scope"]), (200, &json!("todo:read todo:write")), "{body}");
    assert_eq!(body.get("message"), None);
    assert_eq!(read(stack.get("/todo").bearer_auth(body["access_token"].as_str().unwrap())).await.0, 200);

    let (status, body) = read(stack.post("/token").form(&form("bob"))).await;
    assert_eq!((status, body.get("scope")), (200, None), "{body}");
    assert_eq!(read(stack.get("/todo").bearer_auth(body["access_token"].as_str().unwrap())).await.0, 403);
    assert_eq!(read(stack.get("/todo")).await.0, 401);
}

#[tokio::test]
async fn an_id_token_by_header_or_body_is_allowed_on_the_profile() {
    let stack = Stack::start().await;
    let id_token = stack.id_token("ada@example.com");
    let (status, by_header) = read(stack.post("/google").bearer_auth(&id_token)).await;
    assert_eq!(status, 200, "{by_header}");
    let (status, by_body) = read(stack.post("/google").json(&json!({"id_token": id_token}))).await;
    assert_eq!(status, 200, "{by_body}");
    let (status, by_callback) = read(stack.post("/google").json(&json!({"credential": id_token}))).await;
    assert_eq!(status, 200, "the member of Google Identity Services' callback: {by_callback}");
    let both = json!({"id_token": id_token, "credential": id_token});
    for body in [both, json!({}), json!({"id_token": null, "credential": null})] {
        let (status, answer) = read(stack.post("/google").json(&body)).await;
        assert_eq!((status, &answer["error"]), (400, &json!("invalid_request")));
    }
    let (one, other) = (&by_header["access_token"], &by_body["access_token"]);
    assert_eq!(claims(one.as_str().unwrap())["sub"], claims(other.as_str().unwrap())["sub"]);
    let (status, profile) = read(stack.get("/profile").bearer_auth(one.as_str().unwrap())).await;
    assert_eq!(
        (status, &profile["kind"], &profile["email"]),
        (200, &json!("user"), &json!("ada@example.com"))
    );
    assert_eq!(read(stack.post("/google").bearer_auth("x.y.z")).await.0, 401);
}

#[tokio::test]
async fn whoami_accepts_either_credential_and_rejects_both() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "").await;
    let (token, key) = (stack.token("backend", &secret).await, stack.api_key("", None).await);
    assert_eq!(read(stack.get("/whoami").bearer_auth(&token)).await.0, 200);
    assert_eq!(read(stack.get("/whoami").header("x-api-key", &key)).await.0, 200);
    assert_eq!(read(stack.get("/whoami").bearer_auth(&token).header("x-api-key", &key)).await.0, 403);
}

#[tokio::test]
async fn the_metadata_agrees_with_the_tokens() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "").await;
    let token = stack.token("backend", &secret).await;
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        let (status, metadata) = read(stack.get(path)).await;
        assert_eq!((status, &metadata["issuer"]), (200, &claims(&token)["iss"]));
        assert_eq!(metadata["token_endpoint"], stack.url("/oauth2/token"));
        assert_eq!(
            metadata["grant_types_supported"],
            json!(["client_credentials", "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange"])
        );
        let jwks = stack.http.get(metadata["jwks_uri"].as_str().unwrap());
        let (status, jwks) = read(jwks).await;
        assert_eq!(
            (status, &jwks["keys"][0]["alg"], &jwks["keys"][0]["use"]),
            (200, &json!("RS256"), &json!("sig"))
        );
        assert_eq!(jwks["keys"][0].get("d"), None);
    }
}
