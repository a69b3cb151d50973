//! Token revocation (RFC 7009).

use lambda_http::{Body, Request, Response};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use shared::clients::authentication::{ClientAuth, ClientIdentity};
use shared::identity::refresh_token::RefreshToken;
use shared::identity::subjects::FIRST_PARTY_CLIENT_ID;
use shared::jose::jwt::{JwtError, UnverifiedJwt};
use shared::oauth::body::reject_in_query;
use shared::oauth::error::{ErrorKind, OAuthError};
use shared::oauth::form::Form;
use shared::runtime::aws::Aws;
use shared::runtime::call::Call;
use shared::runtime::response::client_response;
use shared::runtime::settings::{ConfigError, Issuer, Settings};
use shared::runtime::telemetry::{Outcome, Telemetry};
use shared::store::replay::ReplayStore;
use shared::store::table::Table;
use shared::store::token_families::TokenFamilies;
use shared::trust::access_token::{AccessClaims, Expected, MAX_ACCESS_TOKEN};
use shared::trust::cache::TrustCache;
use shared::trust::proof_of_possession::Possession;
use shared::trust::revocation_limits::{Granted, Revocations};
use shared::trust::snapshot::{TokenRejection, TrustSnapshot};
use shared::trust::store::TrustStore;

/// Dependencies of this function. It authenticates clients and revokes token families and access tokens.
pub struct Deps {
    clients: ClientAuth,
    families: TokenFamilies,
    trust: TrustCache,
    store: TrustStore,
    revocations: Revocations,
    replay_store: ReplayStore,
    issuer: Issuer,
    telemetry: Telemetry,
}

impl Deps {
    /// Builds the dependencies from the settings.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let aws = Aws::from_settings(settings)?;
        let table = Table::new(aws.dynamodb(), settings.table_name()?);
        Ok(Self {
            clients: ClientAuth::from_settings(settings, &table)?,
            families: TokenFamilies::new(table.clone()),
            trust: TrustCache::of_keys(table.clone(), settings.trust_refresh()?),
            store: TrustStore::new(table.clone()),
            replay_store: ReplayStore::new(table.clone()),
            revocations: Revocations::new(table),
            issuer: settings.issuer()?,
            telemetry: Telemetry::from_settings("revoke", settings),
        })
    }

    /// Loads the keys before the first request. If this fails, the first request loads them.
    pub async fn warm_up(&self, now: u64) {
        let _ = self.trust.snapshot(now).await;
    }
}

/// Handles one request.
pub async fn handle(deps: &Deps, request: Request, now: u64) -> Response<Body> {
    let mut request_log = deps.telemetry.begin(now);
    let call = Call::new(&request, now);
    let result = revoke(deps, call).await;
    request_log.trust_age = deps.trust.age(now);
    let answer = result.map(|client_id| (client_id, json!({})));
    client_response(&request_log, Outcome::Revoked, call, answer)
}

/// Authenticates the client and revokes the token if it belongs to the client. Returns the client id.
async fn revoke(deps: &Deps, call: Call<'_>) -> Result<String, OAuthError> {
    reject_in_query(call.request, &["client_id", "client_secret", "client_assertion", "token"])?;
    let mut form = Form::read(call.request)?;
    let owner = match deps.clients.identify(&mut form, call).await? {
        ClientIdentity::Client(authenticated) => Owner::Client(authenticated.client.client_id),
        // First-party sign-in has no client authentication. The possession of the token is enough to revoke it.
        ClientIdentity::FirstParty => Owner::FirstParty,
        ClientIdentity::Unidentified => {
            return Err(OAuthError::invalid_client().with_cause("request has no client authentication"));
        }
    };
    let token = form.secret("token").ok_or_else(|| OAuthError::invalid_request("missing token"))?;
    let result = match RefreshToken::parse(token.clone()) {
        Some(token) => end_family(deps, &token, &owner, call).await,
        None => end_token(deps, &token, &owner, call.now).await,
    };
    result.map_err(|error| error.with_client_id(owner.client_id()))?;
    Ok(owner.client_id().to_owned())
}

/// The caller, which may revoke only its own tokens.
enum Owner {
    /// An authenticated client.
    Client(String),
    /// A user of first-party sign-in.
    FirstParty,
}

impl Owner {
    fn client_id(&self) -> &str {
        match self {
            Self::Client(client_id) => client_id,
            Self::FirstParty => FIRST_PARTY_CLIENT_ID,
        }
    }

    /// Whether a token of this client belongs to the caller.
    ///
    /// # Errors
    /// `unauthorized_client` if an authenticated client sends a token of another client (RFC 7009 §2.1). An
    /// unauthenticated caller gets no such error, because it would tell active tokens of other clients from inactive
    /// ones.
    fn owns(&self, client_id: &str) -> Result<bool, OAuthError> {
        match self {
            _ if self.client_id() == client_id => Ok(true),
            Self::FirstParty => Ok(false),
            Self::Client(_) => {
                Err(OAuthError::new(ErrorKind::UnauthorizedClient, "token was issued to another client"))
            }
        }
    }
}

/// Revokes the token family of a refresh token and its access tokens (RFC 7009 §2.1).
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
    // A stolen refresh token that is bound to a key cannot be revoked without the key either.
    if let Some(key) = &family.key {
        let possession = Possession::of(call, &deps.issuer)?;
        if possession.key().as_ref() != Some(key) {
            return Err(OAuthError::new(
                ErrorKind::InvalidDpopProof,
                "refresh token is bound to a key; send a DPoP proof signed with that key",
            ));
        }
        possession.record_use(&deps.replay_store).await?;
    }
    // An expired family is revoked too, because the clock of another function may differ. The access tokens are revoked
    // even if the family already is, because an earlier request may have stopped in between.
    if !family.revoked {
        deps.families.revoke(token.family()).await?;
        // A concurrent refresh may have issued a later token, which must end too.
        let revoked = deps.families.get(token.family()).await?;
        family = revoked.unwrap_or(family);
    }
    if deps.store.is_session_revoked(&family.session_id).await? {
        return Ok(());
    }
    let latest_use = family.latest_use(call.now);
    Ok(deps.revocations.session(Granted::of_family(&family), &family.session_id, latest_use).await?)
}

/// Revokes one access token. An invalid token needs no revocation and is a success (RFC 7009 §2.2).
async fn end_token(deps: &Deps, token: &SecretString, owner: &Owner, now: u64) -> Result<(), OAuthError> {
    // Any issuer is accepted: a success for a token that is valid on another domain of this deployment would be wrong.
    let expected = Expected { issuer: None, audiences: None };
    let token = token.expose_secret();
    let accepted = match deps.trust.accept(token, &expected, now).await {
        // The cached keys may be older than the key of this token, and an active token must not get a success without a
        // revocation.
        Err(TokenRejection::Token(JwtError::UnknownKey)) => {
            read_keys(deps, token, now).await?.accept_text(token, &expected, now)
        }
        accepted => accepted,
    };
    let token = match accepted {
        Ok(token) => token,
        Err(TokenRejection::Token(JwtError::InvalidClaim("iat"))) => return Err(clock_behind()),
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
    // The clock of the function that signed the token may be ahead of this one.
    let now = now.max(*issued_at);
    Ok(deps.revocations.token(Granted { subject, client_id }, token_id, *expires_at, now).await?)
}

/// The published keys, read from the store.
///
/// # Errors
/// The key of the token is published in the future by the local clock.
async fn read_keys(deps: &Deps, token: &str, now: u64) -> Result<TrustSnapshot, OAuthError> {
    let schedule = deps.store.key_schedule().await?;
    let jwt = UnverifiedJwt::parse(token, MAX_ACCESS_TOKEN).ok();
    let key_id = jwt.as_ref().and_then(UnverifiedJwt::key_id);
    let mut not_yet_published = schedule.iter().filter(|scheduled| scheduled.published_at > now);
    if not_yet_published.any(|scheduled| key_id == Some(&scheduled.key.kid)) {
        return Err(clock_behind());
    }
    Ok(TrustSnapshot::of_keys(&schedule)?)
}

/// The local clock is behind the clock of the function that issued the token. The token may be valid elsewhere.
fn clock_behind() -> OAuthError {
    OAuthError::unavailable("token is not valid yet by the local clock")
}
