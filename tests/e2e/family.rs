//! A refresh applies the current client, user and settings to the token family.

use local::google::CLIENT_ID;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use shared::runtime::clock;
use shared::store::clients::{Client, Clients, GrantType};
use shared::store::table::Key;
use test_support::proofs::Holder;
use test_support::{PASSWORD, Stack, claims, read};

use crate::events::{basic, call, form_event, post_token, status_and_body};
use crate::refresh::{invalid_grant, text};

const EXCHANGE: [(&str, &str); 2] = [
    ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
    ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
];

async fn refresh_at(deps: &token::Deps, headers: Value, token: &str, now: u64) -> (u64, Value) {
    post_token(deps, headers, &[("grant_type", "refresh_token"), ("refresh_token", token)], now).await
}

/// A stack whose client `web` exchanges Google's ID tokens.
struct Web {
    stack: Stack,
    deps: token::Deps,
    secret: String,
}

impl Web {
    async fn start() -> Self {
        let stack = Stack::start().await;
        let secret = stack.client_with("web", "a b", Self::may_refresh).await;
        let audience = format!("{CLIENT_ID}=web");
        let google = [("GOOGLE_CLIENT_IDS", audience.as_str()), ("GOOGLE_SCOPES", "a,b")];
        let deps = token::Deps::from_settings(&stack.settings(&google)).unwrap();
        Self { stack, deps, secret }
    }

    fn may_refresh(client: &mut Client) {
        client.grants = [GrantType::TokenExchange, GrantType::RefreshToken].into();
        client.audiences = vec!["https://one.example".to_owned(), "https://two.example".to_owned()];
    }

    /// Exchanges an ID token and returns the refresh token.
    async fn sign_in(&self, id_token: &str, more: &[(&str, &str)]) -> String {
        let form = [&EXCHANGE[..], &[("subject_token", id_token)], more].concat();
        let (_, body) = post_token(&self.deps, basic("web", &self.secret), &form, clock::now()).await;
        text(&body, "refresh_token")
    }

    async fn refresh(&self, secret: &str, token: &str) -> (u64, Value) {
        refresh_at(&self.deps, basic("web", secret), token, clock::now()).await
    }
}

#[tokio::test]
async fn a_recreated_client_cannot_refresh_earlier_token_families() {
    let web = Web::start().await;
    let token = web.sign_in(&web.stack.id_token("grace@example.com"), &[]).await;
    let (status, body) = web.refresh(&web.secret, &token).await;
    assert_eq!(status, 200, "{body}");
    let token = text(&body, "refresh_token");
    Clients::new(web.stack.table()).delete("web").await.unwrap();
    let secret = web.stack.client_with("web", "a b", Web::may_refresh).await;
    assert!(invalid_grant(&web.refresh(&secret, &token).await));
    let server = web.stack.client("server", "latchkey:introspect").await;
    let asked = web.stack.post("/oauth2/introspect").basic_auth("server", Some(server));
    assert_eq!(read(asked.form(&[("token", token.as_str())])).await.1, json!({"active": false}));
}

#[tokio::test]
async fn an_audience_that_the_client_lost_is_not_refreshed() {
    let web = Web::start().await;
    let id_token = web.stack.id_token("grace@example.com");
    let kept = web.sign_in(&id_token, &[("resource", "https://one.example")]).await;
    let lost = web.sign_in(&id_token, &[("resource", "https://two.example")]).await;
    let fewer = json!({"audiences": ["https://one.example"]});
    web.stack.table().set(Key::new("CLIENT#", "web", "PROFILE"), &fewer).await.unwrap();
    assert_eq!(web.refresh(&web.secret, &kept).await.0, 200);
    assert!(invalid_grant(&web.refresh(&web.secret, &lost).await));
}

#[tokio::test]
async fn an_audience_that_the_deployment_lost_is_not_refreshed() {
    let stack = Stack::start().await;
    stack.user("ada", "a").await;
    let token = stack.refresh_token("ada", PASSWORD).await;
    let deps = token::Deps::from_settings(&stack.settings(&[("AUDIENCE", "other")])).unwrap();
    assert!(invalid_grant(&refresh_at(&deps, json!({}), &token, clock::now()).await));
    let deps = token::Deps::from_settings(&stack.settings(&[("AUDIENCE", "other,latchkey")])).unwrap();
    let (status, body) = refresh_at(&deps, json!({}), &token, clock::now()).await;
    assert_eq!((status, &claims(&text(&body, "access_token"))["aud"]), (200, &json!("latchkey")));
}

/// An ID token with this email address, verified or not.
fn id_token(stack: &Stack, email: &str, verified: bool) -> String {
    let mut claims = claims(&stack.id_token("grace@example.com"));
    (claims["email"], claims["email_verified"]) = (json!(email), json!(verified));
    stack.google_key().sign("JWT", &claims).expect("an ID token").expose_secret().to_owned()
}

#[tokio::test]
async fn a_refreshed_token_keeps_the_email_address_of_its_sign_in() {
    let web = Web::start().await;
    let email = async |id_token: &str| {
        let token = web.sign_in(id_token, &[]).await;
        let (_, body) = web.refresh(&web.secret, &token).await;
        claims(&text(&body, "access_token"))["email"].clone()
    };
    assert_eq!(email(&id_token(&web.stack, "grace@example.com", true)).await, "grace@example.com");
    assert_eq!(email(&id_token(&web.stack, "married@example.com", true)).await, "married@example.com");
    assert_eq!(email(&id_token(&web.stack, "anyone@example.com", false)).await, Value::Null);
}

#[tokio::test]
async fn an_access_token_expires_with_its_token_family() {
    let stack = Stack::start().await;
    stack.user("ada", "a").await;
    let settings = stack.settings(&[("REFRESH_TOKEN_TTL_SECONDS", "1000")]);
    let (login, token) =
        (login::Deps::from_settings(&settings).unwrap(), token::Deps::from_settings(&settings).unwrap());
    let now = clock::now();
    let event = form_event("/token", json!({}), &[("username", "ada"), ("password", PASSWORD)]);
    let (_, body) = status_and_body(&call(&event, |request| login::handle(&login, request, now)).await);
    assert_eq!(claims(&text(&body, "access_token"))["exp"], now + 900);
    let (_, body) = refresh_at(&token, json!({}), &text(&body, "refresh_token"), now + 900).await;
    assert_eq!(
        (&claims(&text(&body, "access_token"))["exp"], &body["expires_in"]),
        (&json!(now + 1000), &json!(100))
    );
}

#[tokio::test]
async fn revoking_a_bound_refresh_token_requires_its_proof() {
    let stack = Stack::start().await;
    stack.user("ada", "a").await;
    let (holder, thief) = (Holder::new(), Holder::new());
    let form = [("username", "ada"), ("password", PASSWORD)];
    let proof = holder.proof("POST", &stack.url("/token"), None);
    let (_, body) = read(stack.post("/token").header("dpop", proof).form(&form)).await;
    let token = text(&body, "refresh_token");
    let revoke = async |proof: Option<String>| {
        let request = stack.post("/oauth2/revoke").form(&[("client_id", "latchkey"), ("token", &token)]);
        read(proof.into_iter().fold(request, |request, proof| request.header("dpop", proof))).await
    };
    let endpoint = stack.url("/oauth2/revoke");
    for proof in [None, Some(thief.proof("POST", &endpoint, None))] {
        let (status, body) = revoke(proof).await;
        assert_eq!((status, &body["error"]), (400, &json!("invalid_dpop_proof")));
    }
    let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
    let refresh = async || {
        let proof = holder.proof("POST", &stack.url("/oauth2/token"), None);
        read(stack.post("/oauth2/token").header("dpop", proof).form(&form)).await.0
    };
    assert_eq!(refresh().await, 200, "the token family is active");
    assert_eq!(revoke(Some(holder.proof("POST", &endpoint, None))).await.0, 200);
    assert_eq!(refresh().await, 400);
}
