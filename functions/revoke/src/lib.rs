//! Token revocation: RFC 7009.

use lambda_http::{Body, Request, Response};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use shared::aws::Aws;
use shared::config::{ConfigError, Settings};
use shared::grants::FIRST_PARTY;
use shared::grants::client_auth::{Caller, ClientAuth};
use shared::grants::response::tell;
use shared::identity::refresh_tokens::RefreshToken;
use shared::store::refresh::Families;
use shared::store::revocations::Revocations;
use shared::store::table::Table;
use shared::store::trust::{NotAccepted, Trust, TrustStore};
use shared::telemetry::{Outcome, Telemetry};
use shared::token::claims::{Expected, MAX_ACCESS_TOKEN};
use shared::token::jwt::{JwtError, UnverifiedJwt};
use shared::wire::http::{Form, refuse_in_query};
use shared::wire::oauth::{ErrorKind, OAuthError};

/// What this function needs: it recognises clients, ends sessions, and adds to the trust bundle whom to
/// refuse.
pub struct Deps {
    clients: ClientAuth,
    families: Families,
    trust: Trust,
    store: TrustStore,
    revocations: Revocations,
    telemetry: Telemetry,
}

impl Deps {
    /// From the environment.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let aws = Aws::from_settings(settings)?;
        let table = Table::new(aws.dynamodb(), settings.table_name()?);
        Ok(Self {
            clients: ClientAuth::from_settings(settings, &table)?,
            families: Families::new(table.clone()),
            trust: Trust::new(table.clone(), settings.trust_refresh()?),
            store: TrustStore::new(table.clone()),
            revocations: Revocations::new(table),
            telemetry: Telemetry::from_settings("revoke", settings),
        })
    }

    /// Loads the trust bundle before the first request. A failure is left to that request.
    pub async fn warm_up(&self, now: u64) {
        let _ = self.trust.bundle(now).await;
    }
}

/// Answers one request to revoke a token.
pub async fn handle(deps: &Deps, request: Request, now: u64) -> Response<Body> {
    let mut watch = deps.telemetry.watch(now);
    let result = revoke(deps, &request, now).await;
    watch.trust_age = deps.trust.age(now);
    let answer = result.map(|client_id| (client_id, json!({})));
    tell(&watch, Outcome::Revoked, &request, answer)
}

/// Who asks; for which token; whether it is theirs; and its end. Returns who asked.
async fn revoke(deps: &Deps, request: &Request, now: u64) -> Result<String, OAuthError> {
    refuse_in_query(request, &["client_id", "client_secret", "client_assertion", "token"])?;
    let mut form = Form::read(request)?;
    let client_id = match deps.clients.caller(request, &mut form, now).await? {
        Caller::Client(authenticated) => authenticated.client.client_id,
        // Whoever signed in without a client signs out without one: the token speaks for itself.
        Caller::FirstParty => FIRST_PARTY.to_owned(),
        Caller::Nobody => {
            return Err(OAuthError::invalid_client().because("there is no client authentication"));
        }
    };
    let token = form.secret("token").ok_or_else(|| OAuthError::invalid_request("token is missing"))?;
    let result = match RefreshToken::parse(token.clone()) {
        Some(token) => end_session(deps, &token, &client_id, now).await,
        None => end_token(deps, &token, &client_id, now).await,
    };
    result.map_err(|error| error.from_client(&client_id))?;
    Ok(client_id)
}

/// Ends the session that a refresh token belongs to, its access tokens too (RFC 7009 §2.1).
async fn end_session(deps: &Deps, token: &RefreshToken, client_id: &str, now: u64) -> Result<(), OAuthError> {
    let family = deps.families.get(token.family()).await.map_err(OAuthError::unavailable)?;
    let Some(mut family) = family else { return Ok(()) };
    check_owner(&family.client_id, client_id)?;
    // Even if its time is over: another clock may see that otherwise. And of a session that was ended already the
    // access tokens are shut out all the same: a first try may have stopped in between.
    if !family.revoked {
        deps.families.revoke(token.family()).await.map_err(OAuthError::unavailable)?;
        // A refresh may have come in between, and what it gave must end too.
        let revoked = deps.families.get(token.family()).await.map_err(OAuthError::unavailable)?;
        family = revoked.unwrap_or(family);
    }
    let bundle = deps.trust.bundle(now).await.map_err(OAuthError::unavailable)?;
    if bundle.is_session_revoked(&family.session_id) {
        return Ok(());
    }
    let revoked = deps.revocations.session(&family.sub, &family.session_id, family.latest(now)).await;
    revoked.map_err(OAuthError::unavailable)
}

/// Revokes one access token. What is no good token of ours is as good as revoked.
async fn end_token(deps: &Deps, token: &SecretString, client_id: &str, now: u64) -> Result<(), OAuthError> {
    // Whichever of our domains it was issued on: «revoked» must not be said of a token that is good on another.
    let expected = Expected { issuer: None, audiences: None };
    let token = token.expose_secret();
    let accepted = match deps.trust.accept(token, &expected, now).await {
        // The bundle at hand may be too old to know the key, and «revoked» must not be said of a live token.
        // One item tells: whoever makes up keys does not make us read it all.
        Err(NotAccepted::Token(JwtError::UnknownKey)) if knows(deps, token, now).await? => {
            let bundle = deps.store.bundle().await.map_err(OAuthError::unavailable)?;
            bundle.accept_text(token, &expected, now)
        }
        // Nor may it know who was let in again.
        Err(NotAccepted::ShutOut(token)) => {
            match deps.store.shuts_out(token.claims()).await.map_err(OAuthError::unavailable)? {
                true => return Ok(()),
                false => Ok(*token),
            }
        }
        accepted => accepted,
    };
    let token = match accepted {
        Ok(token) => token,
        Err(NotAccepted::Token(JwtError::InvalidClaim("iat"))) => return Err(behind()),
        Err(NotAccepted::Token(_) | NotAccepted::Revoked | NotAccepted::ShutOut(_)) => return Ok(()),
        Err(NotAccepted::Unavailable(error)) => return Err(OAuthError::unavailable(error)),
    };
    let claims = token.claims();
    check_owner(&claims.client_id, client_id)?;
    // The clock of whoever signed it may be ahead of ours.
    let now = now.max(claims.issued_at);
    let revoked = deps.revocations.token(&claims.subject, &claims.token_id, claims.expires_at, now).await;
    revoked.map_err(OAuthError::unavailable)
}

/// Whether the key that a token names is one that we believe now.
async fn knows(deps: &Deps, token: &str, now: u64) -> Result<bool, OAuthError> {
    let Ok(jwt) = UnverifiedJwt::parse(token, MAX_ACCESS_TOKEN) else { return Ok(false) };
    let timeline = deps.store.timeline().await.map_err(OAuthError::unavailable)?;
    match timeline.iter().find(|timed| jwt.key_id() == Some(&timed.key.kid)) {
        Some(timed) if timed.published_at > now => Err(behind()),
        key => Ok(key.is_some_and(|timed| timed.is_trusted(now))),
    }
}

/// Our clock is behind that of whoever issued a token: it may be as good as can be, and isn't yet by our clock.
fn behind() -> OAuthError {
    OAuthError::unavailable("the clock is behind that of whoever issued the token")
}

fn check_owner(owner: &str, client_id: &str) -> Result<(), OAuthError> {
    if owner == client_id {
        Ok(())
    } else {
        Err(OAuthError::new(ErrorKind::UnauthorizedClient, "the token was issued to another client"))
    }
}
