//! A token whose signature was checked before is judged anew in everything else.

use e2e::{Stack, claims};
use shared::clock;
use shared::store::trust::{NotAccepted, TrustBundle, TrustStore};
use shared::token::claims::{Expected, MAX_ACCESS_TOKEN};
use shared::token::jwt::{JwtError, UnverifiedJwt};
use shared::wire::jose::Algorithm;

/// A stack, a token of it, and what the authorizer knows, which has accepted the token once.
struct Known {
    stack: Stack,
    token: String,
    bundle: TrustBundle,
    now: u64,
}

impl Known {
    async fn start() -> Self {
        let stack = Stack::start().await;
        let secret = stack.client("backend", "todo:read").await;
        let token = stack.token("backend", &secret).await;
        let bundle = TrustStore::new(stack.table()).bundle().await.unwrap();
        let known = Self { stack, token, bundle, now: clock::now() };
        assert_eq!(known.refusal(known.now), None);
        known
    }

    /// Why the token is refused, if it is.
    fn refusal(&self, now: u64) -> Option<String> {
        self.refusal_of(&self.token, &self.stack.running.url, "latchkey", now)
    }

    fn refusal_of(&self, token: &str, issuer: &str, audience: &str, now: u64) -> Option<String> {
        let (jwt, audiences) = (UnverifiedJwt::parse(token, MAX_ACCESS_TOKEN).ok()?, [audience.to_owned()]);
        let expected = Expected { issuer: Some(issuer), audiences: Some(&audiences) };
        self.bundle.accept(jwt, &expected, now).err().map(|error| error.to_string())
    }

    /// Reads the bundle anew.
    async fn renew(&mut self) {
        self.bundle = TrustStore::new(self.stack.table()).bundle().await.unwrap();
    }
}

fn text(error: JwtError) -> Option<String> {
    Some(error.to_string())
}

#[tokio::test]
async fn its_time_ends() {
    let known = Known::start().await;
    let (issued_at, expires_at) =
        (claims(&known.token)["iat"].as_u64().unwrap(), claims(&known.token)["exp"].as_u64().unwrap());
    assert_eq!(known.refusal(expires_at + 29), None);
    assert_eq!(known.refusal(expires_at + 30), text(JwtError::Expired));
    // Nor does it begin earlier, should the clock be set back.
    assert_eq!(known.refusal(issued_at - 31), text(JwtError::UnknownKey), "nor is its key published then");
    assert_eq!(known.refusal(known.now), None);
}

#[tokio::test]
async fn it_is_for_one_audience_of_one_issuer() {
    let known = Known::start().await;
    let url = known.stack.running.url.clone();
    let refused = |issuer: &str, audience: &str| known.refusal_of(&known.token, issuer, audience, known.now);
    assert_eq!(refused(&url, "other"), text(JwtError::InvalidClaim("aud")));
    assert_eq!(refused("https://other.example", "latchkey"), text(JwtError::InvalidClaim("iss")));
    assert_eq!(refused(&url, "latchkey"), None);
}

#[tokio::test]
async fn it_is_itself_to_the_last_character() {
    let known = Known::start().await;
    let url = known.stack.running.url.clone();
    let secret = known.stack.client("other", "").await;
    let other = known.stack.token("other", &secret).await;
    let (claims, _) = known.token.rsplit_once('.').unwrap();
    let (_, signature) = other.rsplit_once('.').unwrap();
    let mixed = format!("{claims}.{signature}");
    for _ in 0..2 {
        let refused = known.refusal_of(&mixed, &url, "latchkey", known.now);
        assert_eq!(refused, text(JwtError::InvalidSignature));
    }
}

#[tokio::test]
async fn it_can_be_revoked_by_itself_and_with_its_client() {
    let mut known = Known::start().await;
    let trust = TrustStore::new(known.stack.table());
    let claims = claims(&known.token);
    trust.shut_out("backend", known.now).await.unwrap();
    known.renew().await;
    assert_eq!(known.refusal(known.now), Some(NotAccepted::Revoked.to_string()));
    trust.readmit("backend", known.now - 60).await.unwrap();
    known.renew().await;
    assert_eq!(known.refusal(known.now), None);
    trust.revoke_token(claims["jti"].as_str().unwrap(), claims["exp"].as_u64().unwrap()).await.unwrap();
    known.renew().await;
    for _ in 0..2 {
        assert_eq!(known.refusal(known.now), Some(NotAccepted::Revoked.to_string()));
    }
}

#[tokio::test]
async fn its_key_can_be_revoked() {
    let mut known = Known::start().await;
    let timeline = known.stack.timeline().await;
    let key_id = timeline.iter().next().unwrap().key.kid.clone();
    known.stack.rotation().revoke(&key_id, Algorithm::Rs256, known.now).await.unwrap();
    known.renew().await;
    assert_eq!(known.refusal(known.now), text(JwtError::UnknownKey));
}

#[tokio::test]
async fn its_key_retires_while_the_bundle_is_held() {
    let mut known = Known::start().await;
    let retires_at = known.now + 60;
    let trust = TrustStore::new(known.stack.table());
    trust
        .revise(|keys| {
            let retiring = keys.iter().cloned().map(|mut timed| {
                timed.retires_at = Some(retires_at);
                timed
            });
            *keys =
                serde_json::from_value(serde_json::to_value(retiring.collect::<Vec<_>>()).unwrap()).unwrap();
        })
        .await
        .unwrap();
    known.renew().await;
    assert_eq!(known.refusal(retires_at - 1), None);
    assert_eq!(known.refusal(retires_at), text(JwtError::UnknownKey));
}

#[tokio::test]
async fn its_scopes_are_compared_with_each_route() {
    let known = Known::start().await;
    let scopes = ("ROUTE_SCOPES", r#"{"GET /todo":["todo:read"],"GET /profile":["admin"]}"#);
    let deps = authorizer::Deps::from_settings(&known.stack.settings(&[scopes])).unwrap();
    for _ in 0..2 {
        let answer = crate::authorizer::bearer_on(&deps, &known.token, "GET /todo", known.now).await;
        assert_eq!(answer["isAuthorized"], true);
        let answer = crate::authorizer::bearer_on(&deps, &known.token, "GET /profile", known.now).await;
        assert_eq!(answer["isAuthorized"], false);
    }
}
