//! Decides who may call a route, for every event shape of API Gateway.
//!
//! The function reads public keys, revocations and API keys. It can read nothing that signs. A bad credential is a
//! denial. [`handle`] returns an error only if keys or store are out of reach, and an error is never an allow.

mod answer;
mod api_keys;
mod credential;
mod deny_reason;
mod event;
mod headers;
mod policy_resource;
mod principal;
mod proof_of_possession;
#[cfg(test)]
mod properties;
mod route;
pub mod route_scopes;

use shared::jose::jwt::JwtError;
use shared::runtime::aws::Aws;
use shared::runtime::cache::Unavailable;
use shared::runtime::settings::{ConfigError, Issuer, Settings};
use shared::runtime::telemetry::{LogRecord, Outcome, RequestLog, Telemetry};
use shared::store::api_keys::ApiKeys;
use shared::store::replay::ReplayStore;
use shared::store::table::Table;
use shared::trust::cache::TrustCache;
use shared::trust::snapshot::TokenRejection;

pub use self::answer::AuthorizerResponse;
pub use self::event::AuthorizerEvent;
pub use self::route::{RouteKey, literal_prefix};

use self::api_keys::ApiKeyCache;
use self::credential::Credential;
use self::deny_reason::DenyReason;
use self::principal::Principal;
use self::route_scopes::RouteScopes;

/// What this function needs.
pub struct Deps {
    trust: TrustCache,
    replay: ReplayStore,
    api_keys: ApiKeyCache,
    route_scopes: RouteScopes,
    issuer: Issuer,
    audiences: Vec<String>,
    telemetry: Telemetry,
}

impl Deps {
    /// From the environment.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let aws = Aws::from_settings(settings)?;
        let table = Table::new(aws.dynamodb(), settings.table_name()?);
        let refresh = settings.trust_refresh()?;
        Ok(Self {
            api_keys: ApiKeyCache::new(ApiKeys::new(table.clone())),
            replay: ReplayStore::new(table.clone()),
            trust: TrustCache::new(table, refresh),
            route_scopes: RouteScopes::from_settings(settings)?,
            issuer: settings.issuer()?,
            audiences: settings.audiences()?,
            telemetry: Telemetry::from_settings("authorizer", settings),
        })
    }

    /// Loads the trust snapshot before the first request. If that fails, the first request tries again.
    pub async fn warm_up(&self, now: u64) {
        let _ = self.trust.snapshot(now).await;
    }
}

/// Why a credential gives no principal.
pub(crate) enum DeniedOrUnavailable {
    /// The credential is denied. The log also gets the cause, where it says more than the reason.
    Denied(DenyReason, Option<String>),
    /// The credential can't be checked: keys or store are out of reach.
    Unavailable(Unavailable),
}

impl From<DenyReason> for DeniedOrUnavailable {
    fn from(reason: DenyReason) -> Self {
        Self::Denied(reason, None)
    }
}

impl From<JwtError> for DeniedOrUnavailable {
    fn from(error: JwtError) -> Self {
        Self::Denied(error.into(), Some(error.to_string()))
    }
}

impl From<TokenRejection> for DeniedOrUnavailable {
    fn from(error: TokenRejection) -> Self {
        match error {
            TokenRejection::Token(error) => error.into(),
            TokenRejection::Revoked => DenyReason::Revoked.into(),
            TokenRejection::Unavailable(error) => Self::Unavailable(error),
        }
    }
}

impl From<Unavailable> for DeniedOrUnavailable {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error)
    }
}

/// The decision about a call with a valid credential.
pub(crate) struct Decision {
    principal: Principal,
    /// Why the principal may not use the route, if so, for the log.
    outcome: Result<(), &'static str>,
}

/// Answers an event.
///
/// # Errors
/// The call can't be decided: keys or store are out of reach, or the event names no route. API Gateway answers 500.
pub async fn handle(
    deps: &Deps,
    event: AuthorizerEvent,
    now: u64,
) -> Result<AuthorizerResponse, Unavailable> {
    let mut request_log = deps.telemetry.begin(now);
    let decision = decide(deps, &event, now).await;
    request_log.trust_age = deps.trust.age(now);
    request_log.trust_entries = deps.trust.entries();
    log(&request_log, &event, &decision);
    match decision {
        Ok(decision) => Ok(AuthorizerResponse::new(&event, &deps.route_scopes, decision)),
        Err(DeniedOrUnavailable::Denied(..)) => Ok(AuthorizerResponse::deny(&event)),
        Err(DeniedOrUnavailable::Unavailable(error)) => Err(error),
    }
}

/// Finds the credential, the principal and the route, in this order, and compares the scopes.
async fn decide(deps: &Deps, event: &AuthorizerEvent, now: u64) -> Result<Decision, DeniedOrUnavailable> {
    let credential = Credential::presented(event)?;
    let principal = Principal::identify(deps, credential, event, now).await?;
    let route = event.route().ok_or_else(|| Unavailable::new("the event names no route"))?;
    Ok(Decision { outcome: deps.route_scopes.check(&route, &principal.scopes), principal })
}

fn log(
    request_log: &RequestLog<'_>,
    event: &AuthorizerEvent,
    decision: &Result<Decision, DeniedOrUnavailable>,
) {
    let (outcome, reason, cause) = match decision {
        Ok(Decision { outcome: Ok(()), .. }) => (Outcome::Allowed, None, None),
        Ok(Decision { outcome: Err(cause), .. }) => {
            (Outcome::Denied, Some(DenyReason::InsufficientScope), Some((*cause).to_owned()))
        }
        Err(DeniedOrUnavailable::Denied(reason, cause)) => (Outcome::Denied, Some(*reason), cause.clone()),
        Err(DeniedOrUnavailable::Unavailable(error)) => {
            (Outcome::Failed, Some(DenyReason::KeysUnavailable), Some(error.to_string()))
        }
    };
    let context = decision.as_ref().ok().map(|decision| &decision.principal.context);
    let text = |name| context.and_then(|context| context.get(name)).map(String::as_str);
    request_log.log(&LogRecord {
        reason: reason.map(DenyReason::code),
        request_id: event.request_id(),
        sub: text("sub"),
        client_id: text("client_id"),
        jti: text("jti"),
        cause: cause.as_deref(),
        ..LogRecord::new(outcome)
    });
}
