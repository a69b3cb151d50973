//! The cache of verified signatures. Every call still validates the claims and looks up the key in the current trust
//! snapshot.

use shared::jose::algorithm::Algorithm;
use shared::jose::jwt::JwtError;
use shared::runtime::clock;
use shared::trust::access_token::Expected;
use shared::trust::cache::TrustCache;
use shared::trust::key_schedule::ScheduledKey;
use shared::trust::published_keys::PublishedKey;
use shared::trust::snapshot::TokenRejection;
use shared::trust::store::TrustStore;
use test_support::{Stack, claims};

/// Every call finds the snapshot stale.
const RELOAD_AT_EVERY_CALL: u64 = 0;

/// A stack, a token, and a trust cache that has verified the token once.
struct VerifiedToken {
    stack: Stack,
    token: String,
    trust: TrustCache,
    now: u64,
}

impl VerifiedToken {
    async fn start(refresh: u64) -> Self {
        let stack = Stack::start().await;
        let secret = stack.client("backend", "todo:read").await;
        let token = stack.token("backend", &secret).await;
        let trust = TrustCache::new(stack.table(), refresh);
        let verified = Self { stack, token, trust, now: clock::now() };
        assert_eq!(verified.rejection(verified.now).await, None);
        verified
    }

    fn store(&self) -> TrustStore {
        TrustStore::new(self.stack.table())
    }

    /// The reason for which the token is rejected, if it is.
    async fn rejection(&self, now: u64) -> Option<String> {
        self.rejection_of(&self.token, &self.stack.running.url, "latchkey", now).await
    }

    async fn rejection_of(&self, token: &str, issuer: &str, audience: &str, now: u64) -> Option<String> {
        let audiences = [audience.to_owned()];
        let expected = Expected { issuer: Some(issuer), audiences: Some(&audiences) };
        self.trust.accept(token, &expected, now).await.err().map(|error| error.to_string())
    }

    /// Changes each published key.
    async fn change_keys(&self, change: impl Fn(&mut ScheduledKey<PublishedKey>)) {
        let store = self.store();
        let revised = store.update_keys(|keys| {
            let changed = keys.iter().cloned().map(|mut scheduled| {
                change(&mut scheduled);
                scheduled
            });
            *keys =
                serde_json::from_value(serde_json::to_value(changed.collect::<Vec<_>>()).unwrap()).unwrap();
        });
        revised.await.unwrap();
    }
}

fn text(error: JwtError) -> Option<String> {
    Some(error.to_string())
}

#[tokio::test]
async fn an_expired_token_is_rejected() {
    let verified = VerifiedToken::start(RELOAD_AT_EVERY_CALL).await;
    let claims = claims(&verified.token);
    let expires_at = claims["exp"].as_u64().unwrap();
    assert_eq!(verified.rejection(expires_at + 29).await, None);
    assert_eq!(verified.rejection(expires_at + 30).await, text(JwtError::Expired));
}

#[tokio::test]
async fn a_token_is_rejected_before_its_key_is_published() {
    let verified = VerifiedToken::start(RELOAD_AT_EVERY_CALL).await;
    let issued_at = claims(&verified.token)["iat"].as_u64().unwrap();
    // The clock was set back.
    assert_eq!(verified.rejection(issued_at - 31).await, text(JwtError::UnknownKey));
    assert_eq!(verified.rejection(verified.now).await, None);
}

#[tokio::test]
async fn another_issuer_or_audience_is_rejected() {
    let verified = VerifiedToken::start(RELOAD_AT_EVERY_CALL).await;
    let (url, now) = (verified.stack.running.url.as_str(), verified.now);
    let rejection = |issuer, audience| verified.rejection_of(&verified.token, issuer, audience, now);
    assert_eq!(rejection(url, "other").await, text(JwtError::InvalidClaim("aud")));
    assert_eq!(rejection("https://other.example", "latchkey").await, text(JwtError::InvalidClaim("iss")));
    assert_eq!(rejection(url, "latchkey").await, None);
}

#[tokio::test]
async fn a_cached_token_with_another_signature_is_rejected() {
    let verified = VerifiedToken::start(RELOAD_AT_EVERY_CALL).await;
    let secret = verified.stack.client("other", "").await;
    let other = verified.stack.token("other", &secret).await;
    let (claims, _) = verified.token.rsplit_once('.').unwrap();
    let (_, signature) = other.rsplit_once('.').unwrap();
    let mixed = format!("{claims}.{signature}");
    for _ in 0..2 {
        let rejection = verified.rejection_of(&mixed, &verified.stack.running.url, "latchkey", verified.now);
        assert_eq!(rejection.await, text(JwtError::InvalidSignature));
    }
}

#[tokio::test]
async fn a_token_is_rejected_while_its_client_is_blocked() {
    let verified = VerifiedToken::start(RELOAD_AT_EVERY_CALL).await;
    let (trust, now) = (verified.store(), verified.now);
    trust.block("backend", now).await.unwrap();
    assert_eq!(verified.rejection(now).await, Some(TokenRejection::Revoked.to_string()));
    trust.unblock("backend", now - 60).await.unwrap();
    assert_eq!(verified.rejection(now).await, None);
}

#[tokio::test]
async fn a_revoked_token_is_rejected() {
    let verified = VerifiedToken::start(RELOAD_AT_EVERY_CALL).await;
    let (trust, now, claims) = (verified.store(), verified.now, claims(&verified.token));
    trust.revoke_token(claims["jti"].as_str().unwrap(), claims["exp"].as_u64().unwrap()).await.unwrap();
    for _ in 0..2 {
        assert_eq!(verified.rejection(now).await, Some(TokenRejection::Revoked.to_string()));
    }
}

#[tokio::test]
async fn a_revoked_key_verifies_nothing() {
    let verified = VerifiedToken::start(RELOAD_AT_EVERY_CALL).await;
    let key_id = verified.stack.key_schedule().await.iter().next().unwrap().key.kid.clone();
    verified.stack.rotation().revoke(&key_id, Algorithm::Rs256, verified.now).await.unwrap();
    assert_eq!(verified.rejection(verified.now).await, text(JwtError::UnknownKey));
}

#[tokio::test]
async fn a_retired_key_verifies_nothing() {
    let verified = VerifiedToken::start(RELOAD_AT_EVERY_CALL).await;
    let retires_at = verified.now + 60;
    verified.change_keys(|key| key.retires_at = Some(retires_at)).await;
    assert_eq!(verified.rejection(retires_at - 1).await, None);
    assert_eq!(verified.rejection(retires_at).await, text(JwtError::UnknownKey));
}

#[tokio::test]
async fn a_key_retires_while_the_snapshot_is_fresh() {
    let mut verified = VerifiedToken::start(RELOAD_AT_EVERY_CALL).await;
    let retires_at = verified.now + 60;
    verified.change_keys(|key| key.retires_at = Some(retires_at)).await;
    verified.trust = TrustCache::new(verified.stack.table(), 300);
    assert_eq!(verified.rejection(retires_at - 1).await, None);
    assert_eq!(verified.rejection(retires_at).await, text(JwtError::UnknownKey));
}

#[tokio::test]
async fn another_key_with_the_same_id_invalidates_the_cached_signature() {
    let verified = VerifiedToken::start(RELOAD_AT_EVERY_CALL).await;
    let other = Stack::start().await.key_schedule().await.iter().next().unwrap().key.jwk.clone();
    verified.change_keys(|key| key.key.jwk = other.clone()).await;
    assert_eq!(verified.rejection(verified.now).await, text(JwtError::InvalidSignature));
}

#[tokio::test]
async fn a_cached_token_is_checked_against_each_routes_scopes() {
    let verified = VerifiedToken::start(RELOAD_AT_EVERY_CALL).await;
    let scopes = ("ROUTE_SCOPES", r#"{"GET /todo":["todo:read"],"GET /profile":["admin"]}"#);
    let deps = authorizer::Deps::from_settings(&verified.stack.settings(&[scopes])).unwrap();
    for _ in 0..2 {
        let answer = crate::authorizer::bearer_on(&deps, &verified.token, "GET /todo", verified.now).await;
        assert_eq!(answer["isAuthorized"], true);
        let answer = crate::authorizer::bearer_on(&deps, &verified.token, "GET /profile", verified.now).await;
        assert_eq!(answer["isAuthorized"], false);
    }
}
