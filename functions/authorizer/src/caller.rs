//! Who the caller is, once the credential was found good.

use secrecy::{ExposeSecret, SecretString};
use shared::identity::secrets::{SecretDigest, SecretKind};
use shared::identity::subjects::is_user_subject;
use shared::oauth::scope::Scopes;
use shared::runtime::cache::{Unavailable, display_chain};
use shared::store::api_keys::ApiKey;
use shared::trust::access_token::{AccessClaims, Expected};

use crate::answer::Context;
use crate::binding::{self, Scheme};
use crate::credential::Credential;
use crate::event::Event;
use crate::reason::Reason;
use crate::{Deps, Refusal};

/// A caller that is who it says.
pub(crate) struct Caller {
    /// What it may do.
    pub scopes: Scopes,
    /// What the route's function learns of it.
    pub context: Context,
}

impl Caller {
    /// Finds out who shows this credential.
    pub(crate) async fn identify(
        deps: &Deps,
        credential: Credential,
        event: &Event,
        now: u64,
    ) -> Result<Self, Refusal> {
        match credential {
            Credential::Bearer(token) => Self::by_token(deps, &token, Scheme::Bearer, event, now).await,
            Credential::Dpop(token) => Self::by_token(deps, &token, Scheme::Dpop, event, now).await,
            Credential::ApiKey(key) => Self::by_api_key(deps, &key, now).await,
        }
    }

    async fn by_token(
        deps: &Deps,
        token: &SecretString,
        scheme: Scheme,
        event: &Event,
        now: u64,
    ) -> Result<Self, Refusal> {
        let issuer = deps.issuer.resolve(event.domain());
        let issuer =
            issuer.ok_or_else(|| Unavailable::new("ISSUER is empty and the event names no domain"))?;
        let (expected, text) =
            (Expected { issuer: Some(&issuer), audiences: Some(&deps.audiences) }, token.expose_secret());
        let claims = deps.trust.accept(text, &expected, now).await?.into_claims();
        binding::check(&claims.confirmation, scheme, text, event, &deps.issuer, &deps.seen, now).await?;
        Ok(Self { scopes: claims.scopes.clone(), context: token_context(claims) })
    }

    async fn by_api_key(deps: &Deps, key: &SecretString, now: u64) -> Result<Self, Refusal> {
        // A malformed key is nobody's: it is refused before any look-up.
        let digest = SecretDigest::of(SecretKind::ApiKey, key).ok_or(Reason::InvalidToken)?;
        let trust = deps.trust.snapshot(now).await?;
        let api_key =
            deps.api_keys.get(&digest, now).await.map_err(|error| Unavailable::new(display_chain(&error)))?;
        let api_key = api_key.filter(|found| found.digest.matches(&digest)).ok_or(Reason::InvalidToken)?;
        if api_key.disabled || trust.is_revoked_for(&api_key.id, now) {
            return Err(Reason::Revoked.into());
        }
        if !api_key.is_active(now) {
            return Err(Reason::TokenExpired.into());
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

/// A key is its own subject: its owner is a note, not somebody who signed in.
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
