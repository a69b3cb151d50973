//! Token revocation: RFC 7009.

use lambda_http::{Body, Request, Response};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use shared::clients::authentication::{ClientAuth, ClientIdentity};
use shared::identity::refresh_token::RefreshToken;
use shared::identity::subjects::FIRST_PARTY_CLIENT_ID;
use shared::jose::jwt::{JwtError, UnverifiedJwt};
use shared::oauth::error::{ErrorKind, OAuthError};
use shared::oauth::http::{Form, refuse_in_query};
use shared::runtime::aws::Aws;
use shared::runtime::call::Call;
use shared::runtime::response::client_response;
use shared::runtime::settings::{ConfigError, Issuer, Settings};
use shared::runtime::telemetry::{Outcome, Telemetry};
use shared::store::replay::ReplayStore;
use shared::store::table::Table;
use shared::store::token_families::TokenFamilies;
use shared::trust::access_token::{AccessClaims, Expected, MAX_ACCESS_TOKEN};
use shared::trust::proof_of_possession::Possession;
use shared::trust::revocation_limits::{Granted, Revocations};
use shared::trust::trust::{TokenRejection, TrustCache, TrustSnapshot, TrustStore};

/// What this function needs: it recognises clients, ends token families, and adds revocations to the trust bundle.
pub struct Deps {
    clients: ClientAuth,
    families: TokenFamilies,
    trust: TrustCache,
    store: TrustStore,
    revocations: Revocations,
    replays: ReplayStore,
    issuer: Issuer,
    telemetry: Telemetry,
}

impl Deps {
    /// From the environment.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let aws = Aws::from_settings(settings)?;
        let table = Table::new(aws.dynamodb(), settings.table_name()?);
        Ok(Self {
            clients: ClientAuth::from_settings(settings, &table)?,
            families: TokenFamilies::new(table.clone()),
            trust: TrustCache::of_keys(table.clone(), settings.trust_refresh()?),
            store: TrustStore::new(table.clone()),
            replays: ReplayStore::new(table.clone()),
            revocations: Revocations::new(table),
            issuer: settings.issuer()?,
            telemetry: Telemetry::from_settings("revoke", settings),
        })
    }

    /// Loads the keys before the first request. A failure is left to that request.
    pub async fn warm_up(&self, now: u64) {
        let _ = self.trust.snapshot(now).await;
    }
}

/// Answers one request to revoke a token.
pub async fn handle(deps: &Deps, request: Request, now: u64) -> Response<Body> {
    let mut watch = deps.telemetry.watch(now);
    let call = Call::new(&request, now);
    let result = revoke(deps, call).await;
    watch.trust_age = deps.trust.age(now);
    let answer = result.map(|client_id| (client_id, json!({})));
    client_response(&watch, Outcome::Revoked, call, answer)
}

/// Authenticates the caller, checks that the token is its own, and revokes it. Returns the caller's client id.
async fn revoke(deps: &Deps, call: Call<'_>) -> Result<String, OAuthError> {
    refuse_in_query(call.request, &["client_id", "client_secret", "client_assertion", "token"])?;
    let mut form = Form::read(call.request)?;
    let owner = match deps.clients.identify(&mut form, call).await? {
        ClientIdentity::Client(authenticated) => Owner::Client(authenticated.client.client_id),
        // A user who signed in without a client signs out without one: the token speaks for itself.
        ClientIdentity::FirstParty => Owner::FirstParty,
        ClientIdentity::Unidentified => {
            return Err(OAuthError::invalid_client().with_cause("there is no client authentication"));
        }
    };
    let token = form.secret("token").ok_or_else(|| OAuthError::invalid_request("token is missing"))?;
    let result = match RefreshToken::parse(token.clone()) {
        Some(token) => end_family(deps, &token, &owner, call).await,
        None => end_token(deps, &token, &owner, call.now).await,
    };
    result.map_err(|error| error.with_client_id(owner.client_id()))?;
    Ok(owner.client_id().to_owned())
}

/// Who calls, and may revoke its own tokens alone.
enum Owner {
    /// A client that has authenticated itself.
    Client(String),
    /// A user who signed in without one.
    FirstParty,
}

impl Owner {
    fn client_id(&self) -> &str {
        match self {
            Self::Client(client_id) => client_id,
            Self::FirstParty => FIRST_PARTY_CLIENT_ID,
        }
    }

    /// Whether the token of that client is the caller's.
    ///
    /// # Errors
    /// `unauthorized_client` for a client with another's token (RFC 7009 §2.1). Without authentication there is no
    /// such answer: it would tell live tokens of other clients from dead ones.
    fn owns(&self, client_id: &str) -> Result<bool, OAuthError> {
        match self {
            _ if self.client_id() == client_id => Ok(true),
            Self::FirstParty => Ok(false),
            Self::Client(_) => {
                Err(OAuthError::new(ErrorKind::UnauthorizedClient, "the token was issued to another client"))
            }
        }
    }
}

/// Ends the token family that a refresh token belongs to, its access tokens too (RFC 7009 §2.1).
async fn end_family(
    deps: &Deps,
    token: &RefreshToken,
    owner: &Owner,
    call: Call<'_>,
) -> Result<(), OAuthError> {
    let family = deps.families.get(token.family()).await?;
    let Some(mut family) = family else { return Ok(()) };
    if !owner.owns(&family.client_id)? {
        return Ok(());
    }
    // A found token that is bound to a key is worth nothing without it, here too.
    if let Some(key) = &family.key {
        let possession = Possession::of(call, &deps.issuer)?;
        if possession.key().as_ref() != Some(key) {
            return Err(OAuthError::new(
                ErrorKind::InvalidDpopProof,
                "the refresh token is bound to a key: send a DPoP proof of it",
            ));
        }
        possession.record_use(&deps.replays).await?;
    }
    // Even if it has expired: another clock may see that otherwise. And of a family that was revoked already the
    // access tokens are revoked all the same: a first try may have stopped in between.
    if !family.revoked {
        deps.families.revoke(token.family()).await?;
        // A refresh may have come in between, and what it gave must end too.
        let revoked = deps.families.get(token.family()).await?;
        family = revoked.unwrap_or(family);
    }
    if deps.store.is_session_revoked(&family.session_id).await? {
        return Ok(());
    }
    let latest_use = family.latest_use(call.now);
    Ok(deps.revocations.session(Granted::of_family(&family), &family.session_id, latest_use).await?)
}

/// Revokes one access token. What is not a good token of ours is as good as revoked.
async fn end_token(deps: &Deps, token: &SecretString, owner: &Owner, now: u64) -> Result<(), OAuthError> {
    // Whichever of our domains it was issued on: «revoked» must not be said of a token that is good on another.
    let expected = Expected { issuer: None, audiences: None };
    let token = token.expose_secret();
    let accepted = match deps.trust.accept(token, &expected, now).await {
        // The keys at hand may be too old to hold this one, and «revoked» must not be said of a live token.
        Err(TokenRejection::Token(JwtError::UnknownKey)) => {
            keys_now(deps, token, now).await?.accept_text(token, &expected, now)
        }
        accepted => accepted,
    };
    let token = match accepted {
        Ok(token) => token,
        Err(TokenRejection::Token(JwtError::InvalidClaim("iat"))) => return Err(behind()),
        Err(TokenRejection::Token(_) | TokenRejection::Revoked) => return Ok(()),
        Err(TokenRejection::Unavailable(error)) => return Err(error.into()),
    };
    let AccessClaims { subject, client_id, token_id, expires_at, issued_at, .. } = token.claims();
    if !owner.owns(client_id)? {
        return Ok(());
    }
    if deps.store.is_revoked(token.claims(), now).await? {
        return Ok(());
    }
    // The clock of whoever signed it may be ahead of ours.
    let now = now.max(*issued_at);
    Ok(deps.revocations.token(Granted { subject, client_id }, token_id, *expires_at, now).await?)
}

/// The keys as they are now.
///
/// # Errors
/// A token whose key is published in the future by our clock.
async fn keys_now(deps: &Deps, token: &str, now: u64) -> Result<TrustSnapshot, OAuthError> {
    let timeline = deps.store.timeline().await?;
    let jwt = UnverifiedJwt::parse(token, MAX_ACCESS_TOKEN).ok();
    let key_id = jwt.as_ref().and_then(UnverifiedJwt::key_id);
    let mut of_the_future = timeline.iter().filter(|timed| timed.published_at > now);
    if of_the_future.any(|timed| key_id == Some(&timed.key.kid)) {
        return Err(behind());
    }
    Ok(TrustSnapshot::of_keys(&timeline)?)
}

/// Our clock is behind that of whoever issued a token: it may be as good as can be, and isn't yet by our clock.
fn behind() -> OAuthError {
    OAuthError::unavailable("the clock is behind that of whoever issued the token")
}
