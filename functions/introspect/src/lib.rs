//! Token introspection (RFC 7662).

use lambda_http::{Body, Request, Response};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use shared::clients::authentication::ClientAuth;
use shared::identity::refresh_token::RefreshToken;
use shared::identity::subjects::FIRST_PARTY_CLIENT_ID;
use shared::oauth::body::reject_in_query;
use shared::oauth::error::OAuthError;
use shared::oauth::form::Form;
use shared::oauth::introspection::Introspection;
use shared::runtime::aws::Aws;
use shared::runtime::call::Call;
use shared::runtime::response::client_response;
use shared::runtime::settings::{ConfigError, Issuer, Settings};
use shared::runtime::telemetry::{Outcome, Telemetry};
use shared::store::clients::{Client, GrantType};
use shared::store::table::Table;
use shared::store::token_families::{Life, TokenFamilies, TokenStatus};
use shared::store::users::Users;
use shared::trust::access_token::{AccessClaims, Expected};
use shared::trust::cache::TrustCache;
use shared::trust::snapshot::TokenRejection;
use shared::trust::store::TrustStore;

/// The scope that lets a resource server introspect tokens of other clients.
pub const INTROSPECT_ALL: &str = "latchkey:introspect";

/// Dependencies of this function. It authenticates clients and validates tokens.
pub struct Deps {
    clients: ClientAuth,
    families: TokenFamilies,
    users: Users,
    trust: TrustCache,
    store: TrustStore,
    life: Life,
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
            users: Users::new(table.clone()),
            trust: TrustCache::of_keys(table.clone(), settings.trust_refresh()?),
            store: TrustStore::new(table),
            life: Life::from_settings(settings)?,
            issuer: settings.issuer()?,
            telemetry: Telemetry::from_settings("introspect", settings),
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
    let result = introspect(deps, call).await;
    request_log.trust_age = deps.trust.age(now);
    // As a JSON value, which cannot contain a duplicate member.
    let answer = result.map(|(client_id, answer)| (client_id, json!(answer)));
    client_response(&request_log, Outcome::Introspected, call, answer)
}

/// Authenticates the client and introspects the token. Returns the client id and the response.
async fn introspect(deps: &Deps, call: Call<'_>) -> Result<(String, Introspection), OAuthError> {
    reject_in_query(call.request, &["client_id", "client_secret", "client_assertion", "token"])?;
    let mut form = Form::read(call.request)?;
    let client = deps.clients.authenticate(&mut form, call).await?.client;
    let token = form.secret("token").ok_or_else(|| OAuthError::invalid_request("missing token"))?;
    let response = match RefreshToken::parse(token.clone()) {
        Some(token) => introspect_refresh_token(deps, &token, &client, call.now).await,
        None => introspect_access_token(deps, &token, &client, call).await,
    };
    let response = response.map_err(|error| error.with_client_id(&client.client_id))?;
    // One response for unknown, expired, revoked and other clients' tokens (RFC 7662 §2.2).
    Ok((client.client_id, response.unwrap_or_default()))
}

async fn introspect_access_token(
    deps: &Deps,
    token: &SecretString,
    client: &Client,
    call: Call<'_>,
) -> Result<Option<Introspection>, OAuthError> {
    let (issuer, now) = (deps.issuer.of_call(call)?, call.now);
    let expected = Expected { issuer: Some(&issuer), audiences: None };
    let token = token.expose_secret();
    let verified = match deps.trust.accept(token, &expected, now).await {
        Ok(token) => token,
        Err(TokenRejection::Token(_) | TokenRejection::Revoked) => return Ok(None),
        Err(TokenRejection::Unavailable(error)) => return Err(error.into()),
    };
    let claims = verified.claims();
    // RFC 7662 §2.2: an expired token is inactive. The leeway of `exp` is for the clocks of verifiers.
    if !may_introspect(client, &claims.client_id) || claims.expires_at <= now {
        return Ok(None);
    }
    // The caller wants the current state, so revocations are read from the store and not from the trust cache.
    let snapshot = deps.store.snapshot_for(claims, now).await?;
    Ok(snapshot.accept_text(token, &expected, now).ok().map(|token| active_response(token.claims())))
}

/// The response for an active access token.
fn active_response(claims: &AccessClaims) -> Introspection {
    Introspection {
        active: true,
        token_type: Some(claims.confirmation.token_type()),
        iss: Some(claims.issuer.clone()),
        sub: Some(claims.subject.clone()),
        aud: Some(claims.audience.clone()),
        client_id: Some(claims.client_id.clone()),
        username: claims.username.clone(),
        scope: claims.scopes.to_claim(),
        iat: Some(claims.issued_at),
        exp: Some(claims.expires_at),
        jti: Some(claims.token_id.clone()),
        sid: claims.session_id.clone(),
        cnf: claims.confirmation.to_json(),
        preferred_username: claims.username.clone(),
        email: claims.email.clone(),
        custom: claims.custom.clone(),
    }
}

async fn introspect_refresh_token(
    deps: &Deps,
    token: &RefreshToken,
    client: &Client,
    now: u64,
) -> Result<Option<Introspection>, OAuthError> {
    let family = deps.families.get(token.family()).await?;
    let family = family.filter(|family| {
        family.token_status(token, deps.life, now) == TokenStatus::Current
            && may_introspect(client, &family.client_id)
    });
    let Some(mut family) = family else { return Ok(None) };
    if family.client_id != FIRST_PARTY_CLIENT_ID {
        let owner = deps.clients.find_client(&family.client_id).await?;
        let may_refresh = |owner: &Client| {
            !owner.disabled && owner.may_use(GrantType::RefreshToken) && family.is_of_client(owner)
        };
        let Some(owner) = owner.filter(may_refresh) else { return Ok(None) };
        family.scopes = family.scopes.intersection(&owner.scopes);
    }
    let account = deps.users.account(&family.username).await?;
    let Some(account) = account.filter(|account| family.belongs_to(account)) else { return Ok(None) };
    if family.issuer.is_none() {
        family.scopes = family.scopes.intersection(&account.scopes);
    }
    Ok(Some(Introspection {
        active: true,
        scope: family.scopes.to_claim(),
        exp: Some(family.idle_ends_at(deps.life)),
        client_id: Some(family.client_id),
        sub: Some(family.sub),
        username: Some(family.username),
        ..Introspection::default()
    }))
}

fn may_introspect(client: &Client, owner: &str) -> bool {
    owner == client.client_id || client.scopes.iter().any(|scope| scope == INTROSPECT_ALL)
}
