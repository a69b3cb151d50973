//! The principal: who the caller is, once the credential is verified.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use shared::identity::secrets::{SecretDigest, SecretKind};
use shared::identity::subjects::is_user_subject;
use shared::oauth::scope::Scopes;
use shared::runtime::cache::{Unavailable, display_chain};
use shared::store::api_keys::ApiKey;
use shared::trust::access_token::{AccessClaims, Expected};

use crate::credential::Credential;
use crate::deny_reason::DenyReason;
use crate::event::AuthorizerEvent;
use crate::proof_of_possession::{PresentedToken, TokenScheme};
use crate::{DeniedOrUnavailable, Deps};

/// What the back end gets about the caller: flat strings, and nothing that the caller sent as a header.
pub(crate) type Context = BTreeMap<String, String>;

/// A verified caller.
pub(crate) struct Principal {
    /// The scopes of the credential.
    pub scopes: Scopes,
    /// What the back end gets.
    pub context: Context,
}

impl Principal {
    /// Verifies a credential.
    pub(crate) async fn identify(
        deps: &Deps,
        credential: Credential,
        event: &AuthorizerEvent,
        now: u64,
    ) -> Result<Self, DeniedOrUnavailable> {
        let (scheme, token) = match &credential {
            Credential::Bearer(token) => (TokenScheme::Bearer, token),
            Credential::Dpop(token) => (TokenScheme::Dpop, token),
            Credential::ApiKey(key) => return Self::by_api_key(deps, key, now).await,
        };
        Self::by_token(deps, PresentedToken { scheme, text: token.expose_secret(), event }, now).await
    }

    async fn by_token(deps: &Deps, token: PresentedToken<'_>, now: u64) -> Result<Self, DeniedOrUnavailable> {
        let issuer = deps.issuer.resolve(token.event.domain());
        let issuer =
            issuer.ok_or_else(|| Unavailable::new("ISSUER is empty and the event names no domain"))?;
        let expected = Expected { issuer: Some(&issuer), audiences: Some(&deps.audiences) };
        let claims = deps.trust.accept(token.text, &expected, now).await?.into_claims();
        token.check(&claims.confirmation, deps, now).await?;
        Ok(Self { scopes: claims.scopes.clone(), context: token_context(claims) })
    }

    async fn by_api_key(deps: &Deps, key: &SecretString, now: u64) -> Result<Self, DeniedOrUnavailable> {
        // A malformed API key has no digest, so it costs no look-up.
        let digest = SecretDigest::of(SecretKind::ApiKey, key).ok_or(DenyReason::InvalidToken)?;
        let trust = deps.trust.snapshot(now).await?;
        let api_key =
            deps.api_keys.get(&digest, now).await.map_err(|error| Unavailable::new(display_chain(&error)))?;
        let api_key =
            api_key.filter(|found| found.digest.matches(&digest)).ok_or(DenyReason::InvalidToken)?;
        if api_key.disabled || trust.is_revoked_for(&api_key.id, now) {
            return Err(DenyReason::Revoked.into());
        }
        if !api_key.is_active(now) {
            return Err(DenyReason::TokenExpired.into());
        }
        Ok(Self { context: api_key_context(&api_key), scopes: api_key.scopes })
    }
}

fn token_context(claims: AccessClaims) -> Context {
    let kind = if is_user_subject(&claims.subject) { "user" } else { "client" };
    let mut context = claims.custom;
    let own = [
        ("sub", Some(claims.subject)),
        ("client_id", Some(claims.client_id)),
        ("scope", Some(claims.scopes.to_string())),
        ("kind", Some(kind.to_owned())),
        ("jti", Some(claims.token_id)),
        ("preferred_username", claims.username),
        ("email", claims.email),
    ];
    context.extend(own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    context
}

/// An API key is its own subject: its owner is a note, not a user who signed in.
fn api_key_context(api_key: &ApiKey) -> Context {
    Context::from(
        [
            ("sub", api_key.id.as_str()),
            ("client_id", &api_key.id),
            ("scope", &api_key.scopes.to_string()),
            ("kind", "api_key"),
            ("jti", &api_key.id),
            ("owner", &api_key.owner),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    )
}
