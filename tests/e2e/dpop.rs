//! DPoP: tokens that are bound to a key, from the token endpoint to the authorizer (RFC 9449).

use futures_util::future::join_all;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use shared::identity::secrets::{SecretKind, generate};
use shared::runtime::clock;
use shared::store::attempts::Attempts;
use shared::store::clients::Quota;
use test_support::proofs::Holder;
use test_support::{PASSWORD, Stack, claims, read};

use crate::events::{basic, call, form_event, post_token, status_and_body};

async fn client_token(stack: &Stack, secret: &str, proof: &str) -> (u16, Value) {
    let request = stack.post("/oauth2/token").basic_auth("backend", Some(secret)).header("dpop", proof);
    read(request.form(&[("grant_type", "client_credentials")])).await
}

async fn status(stack: &Stack, authorization: &str, proofs: &[&str]) -> u16 {
    let request = stack.get("/todo").header("authorization", authorization);
    read(proofs.iter().fold(request, |request, proof| request.header("dpop", *proof))).await.0
}

#[tokio::test]
async fn a_bound_token_requires_its_dpop_proof() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "todo:read").await;
    let (holder, thief) = (Holder::new(), Holder::new());
    let endpoint = stack.url("/oauth2/token");
    let (code, body) = client_token(&stack, &secret, &holder.proof("POST", &endpoint, None)).await;
    assert_eq!((code, &body["token_type"]), (200, &json!("DPoP")), "{body}");
    let token = body["access_token"].as_str().unwrap();
    assert_eq!(claims(token)["cnf"]["jkt"].as_str().unwrap().len(), 43);
    let (todo, bound, bearer) = (stack.url("/todo"), format!("DPoP {token}"), format!("Bearer {token}"));
    let proof = || holder.proof("GET", &todo, Some(token));

    assert_eq!(status(&stack, &bound, &[&proof()]).await, 200);
    assert_eq!(status(&stack, &format!("dpop {token}"), &[&proof()]).await, 200);
    let once = proof();
    assert_eq!(status(&stack, &bound, &[&once]).await, 200);
    assert_eq!(status(&stack, &bound, &[&once]).await, 403, "a replayed proof");
    assert_eq!(status(&stack, &bearer, &[]).await, 403, "bearer use of a bound token");
    assert_eq!(status(&stack, &bearer, &[&proof()]).await, 403, "even with a proof");
    assert_eq!(status(&stack, &bound, &[]).await, 403, "no proof");
    assert_eq!(status(&stack, &bound, &[&proof(), &proof()]).await, 403, "two proofs");
    for (why, proof) in [
        ("a thief's key", thief.proof("GET", &todo, Some(token))),
        ("another method", holder.proof("POST", &todo, Some(token))),
        ("another route", holder.proof("GET", &stack.url("/profile"), Some(token))),
        ("another host", holder.proof("GET", "https://other.example/todo", Some(token))),
        ("another token", holder.proof("GET", &todo, Some("x"))),
        ("no token", holder.proof("GET", &todo, None)),
        ("garbage", "x".to_owned()),
    ] {
        assert_eq!(status(&stack, &bound, &[&proof]).await, 403, "{why}");
    }
    let plain = stack.token("backend", &secret).await;
    let its_proof = holder.proof("GET", &todo, Some(&plain));
    assert_eq!(status(&stack, &format!("DPoP {plain}"), &[&its_proof]).await, 403, "an unbound token");
    assert_eq!(status(&stack, &format!("Bearer {plain}"), &[]).await, 200);
}

#[tokio::test]
async fn a_bound_token_is_never_served_from_a_cache() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "todo:read").await;
    let holder = Holder::new();
    let (_, body) =
        client_token(&stack, &secret, &holder.proof("POST", &stack.url("/oauth2/token"), None)).await;
    let token = body["access_token"].as_str().unwrap();
    let bound = format!("DPoP {token}");
    for _ in 0..20 {
        let proof = holder.proof("GET", &stack.url("/todo"), Some(token));
        assert_eq!(status(&stack, &bound, &[&proof]).await, 200);
        assert_eq!(
            status(&stack, &bound, &[]).await,
            403,
            "the same header without a proof, right after a valid one"
        );
    }
}

#[tokio::test]
async fn an_invalid_proof_gets_no_token() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "").await;
    stack.user("ada", "").await;
    let holder = Holder::new();
    let endpoint = stack.url("/oauth2/token");
    let used = holder.proof("POST", &endpoint, None);
    assert_eq!(client_token(&stack, &secret, &used).await.0, 200);
    for (why, proof) in [
        ("replayed", used),
        ("for a GET", holder.proof("GET", &endpoint, None)),
        ("for another endpoint", holder.proof("POST", &stack.url("/login"), None)),
        ("garbage", "x".to_owned()),
        ("empty", String::new()),
    ] {
        let (code, body) = client_token(&stack, &secret, &proof).await;
        assert_eq!((code, &body["error"]), (400, &json!("invalid_dpop_proof")), "{why}");
    }
    let login =
        stack.post("/login").header("dpop", "x").json(&json!({"username": "ada", "password": PASSWORD}));
    assert_eq!(read(login).await.1["error"], "invalid_dpop_proof");
    let google = stack.post("/google").header("dpop", "x").bearer_auth(stack.id_token("ada@example.com"));
    assert_eq!(read(google).await.1["error"], "invalid_dpop_proof");
}

/// A rejected request does not record its proof, so the proof is accepted once afterwards.
#[tokio::test]
async fn a_proof_is_recorded_only_when_the_request_succeeds() {
    let stack = Stack::start().await;
    stack.user("ada", "").await;
    let holder = Holder::new();

    let login = login::Deps::from_settings(&stack.settings(&[])).unwrap();
    let proof = json!({"dpop": holder.proof("POST", "http://api.example.com/token", None)});
    let now = clock::now();
    let sign_in = async |password: &str| {
        let event = form_event("/token", proof.clone(), &[("username", "ada"), ("password", password)]);
        status_and_body(&call(&event, |request| login::handle(&login, request, now)).await)
    };
    join_all((0..10).map(|_| sign_in("wrong password"))).await;
    assert_eq!(sign_in(PASSWORD).await.0, 401, "locked");
    Attempts::new(stack.table()).reset("ada").await.unwrap();
    assert_eq!(sign_in(PASSWORD).await.0, 200);
    assert_eq!(sign_in(PASSWORD).await.1["error"], "invalid_dpop_proof");

    let quota = Some(Quota { tokens: 1, seconds: 10 });
    let secret = stack.client_with("limited", "", |client| client.quota = quota).await;
    let token = token::Deps::from_settings(&stack.settings(&[])).unwrap();
    let now = (clock::now() / 10 + 1) * 10;
    let ask = async |headers: &[Value], form: &[(&str, &str)], now: u64| {
        let mut all = json!({});
        for headers in headers {
            all.as_object_mut().unwrap().extend(headers.as_object().unwrap().clone());
        }
        post_token(&token, all, form, now).await
    };
    let proof = || json!({"dpop": holder.proof("POST", "http://api.example.com/oauth2/token", None)});
    let (grant, client) = ([("grant_type", "client_credentials")], basic("limited", &secret));
    let once = [client.clone(), proof()];
    assert_eq!(ask(&[client], &grant, now).await.0, 200);
    assert_eq!(ask(&once, &grant, now).await.0, 429);
    assert_eq!(ask(&once, &grant, now + 10).await.0, 200);
    assert_eq!(ask(&once, &grant, now + 20).await.1["error"], "invalid_dpop_proof");

    let good = stack.refresh_token("ada", PASSWORD).await;
    let (unknown, once) = (generate(SecretKind::RefreshToken).0, [proof()]);
    let refresh = |token| [("grant_type", "refresh_token"), ("refresh_token", token)];
    let refused = ask(&once, &refresh(unknown.expose_secret()), now).await;
    assert_eq!((refused.0, &refused.1["error"]), (400, &json!("invalid_grant")));
    assert_eq!(ask(&once, &refresh(&good), now).await.0, 200);
    assert_eq!(ask(&once, &refresh(&good), now).await.1["error"], "invalid_dpop_proof");

    let (id_token, once) = (stack.id_token("ada@example.com"), [proof()]);
    let exchange = |token| {
        let kind = "urn:ietf:params:oauth:token-type:id_token";
        let grant = "urn:ietf:params:oauth:grant-type:token-exchange";
        [("grant_type", grant), ("subject_token_type", kind), ("subject_token", token)]
    };
    assert_eq!(ask(&once, &exchange("garbage"), now).await.1["error"], "invalid_request");
    assert_eq!(ask(&once, &exchange(&id_token), now).await.0, 200);
    assert_eq!(ask(&once, &exchange(&id_token), now).await.1["error"], "invalid_dpop_proof");

    let proof = holder.proof("POST", &stack.url("/google"), None);
    let google =
        async |token: &str| read(stack.post("/google").header("dpop", &proof).bearer_auth(token)).await;
    assert_eq!(google("garbage").await.1["error"], "invalid_grant");
    assert_eq!(google(&id_token).await.0, 200);
    assert_eq!(google(&id_token).await.1["error"], "invalid_dpop_proof");
}

#[tokio::test]
async fn proofs_of_common_libraries_are_accepted() {
    let stack = Stack::start().await;
    let secret = stack.client("backend", "").await;
    let holder = Holder::new();
    let (endpoint, now) = (stack.url("/oauth2/token"), shared::runtime::clock::now());
    for (number, (typ, jwk_more, issued_at, status)) in [
        ("DPoP+JWT", "", format!("{now}"), 200),
        ("application/dpop+jwt", "", format!("{now}"), 200),
        ("dpop+jwt", "", format!("{now}.75"), 200),
        ("dpop+jwt", r#","kid":null,"alg":null,"d":null"#, format!("{now}"), 200),
        ("dpop+jwt", "", format!("{now}.0e0"), 400),
        ("dpop+jwt", "", format!("{}.0", now - 120), 400),
        ("dpop", "", format!("{now}"), 400),
        ("JWT", "", format!("{now}"), 400),
        ("dpop+jwt", r#","d":"AA""#, format!("{now}"), 400),
        ("dpop+jwt", r#","more":{"a":1,"a":1}"#, format!("{now}"), 400),
    ]
    .into_iter()
    .enumerate()
    {
        let jwk = holder.jwk().to_string();
        let jwk = format!("{}{jwk_more}}}", jwk.trim_end_matches('}'));
        let header = format!(r#"{{"alg":"EdDSA","typ":"{typ}","jwk":{jwk}}}"#);
        let claims =
            format!(r#"{{"htm":"POST","htu":"{endpoint}","iat":{issued_at},"jti":"proof-{number}"}}"#);
        let (code, body) = client_token(&stack, &secret, &holder.sign(&header, &claims)).await;
        assert_eq!(code, status, "{header} {claims} {body}");
    }
}

#[tokio::test]
async fn a_bound_token_family_refreshes_with_its_key_alone() {
    let stack = Stack::start().await;
    stack.user("ada", "todo:read").await;
    let (holder, thief) = (Holder::new(), Holder::new());
    let proof = holder.proof("POST", &stack.url("/login"), None);
    let login =
        stack.post("/login").header("dpop", proof).json(&json!({"username": "ada", "password": PASSWORD}));
    let (_, body) = read(login).await;
    assert_eq!(body["token_type"], "DPoP");
    let first = body["refresh_token"].as_str().unwrap().to_owned();
    let endpoint = stack.url("/oauth2/token");
    let refresh = async |token: &str, proof: Option<String>| {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        let request = stack.post("/oauth2/token").form(&form);
        read(proof.into_iter().fold(request, |request, proof| request.header("dpop", proof))).await
    };
    for proof in [None, Some(thief.proof("POST", &endpoint, None))] {
        assert_eq!(refresh(&first, proof).await.1["error"], "invalid_dpop_proof");
    }
    let (code, body) = refresh(&first, Some(holder.proof("POST", &endpoint, None))).await;
    assert_eq!(
        (code, &body["token_type"]),
        (200, &json!("DPoP")),
        "the thief's attempts did not revoke it: {body}"
    );
    let second = body["refresh_token"].as_str().unwrap();
    assert_eq!(refresh(second, Some(holder.proof("POST", &endpoint, None))).await.0, 200);
}

#[tokio::test]
async fn a_thief_cannot_bind_an_unbound_token_family() {
    let stack = Stack::start().await;
    stack.user("ada", "todo:read").await;
    let first = stack.refresh_token("ada", PASSWORD).await;
    let (thief, endpoint) = (Holder::new(), stack.url("/oauth2/token"));
    let refresh = async |token: &str, proof: Option<String>| {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        let request = stack.post("/oauth2/token").form(&form);
        read(proof.into_iter().fold(request, |request, proof| request.header("dpop", proof))).await
    };
    let (_, stolen) = refresh(&first, Some(thief.proof("POST", &endpoint, None))).await;
    assert_eq!(stolen["token_type"], "DPoP", "the issued access token is bound");
    let second = stolen["refresh_token"].as_str().unwrap();
    let (code, body) = refresh(&first, None).await;
    assert_eq!(
        (code, body["refresh_token"].as_str()),
        (200, Some(second)),
        "a retry within the grace period"
    );
    let (_, stolen) = refresh(second, Some(thief.proof("POST", &endpoint, None))).await;
    let third = stolen["refresh_token"].as_str().unwrap();
    assert_eq!(refresh(&first, None).await.1["error"], "invalid_grant", "reuse is detected");
    for proof in [None, Some(thief.proof("POST", &endpoint, None))] {
        assert_eq!(refresh(third, proof).await.1["error"], "invalid_grant", "the token family is revoked");
    }
}
