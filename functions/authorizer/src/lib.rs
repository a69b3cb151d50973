//! Decides who may call a route, for every shape in which API Gateway asks.
//!
//! It reads public keys, revocations and API keys, and nothing that could sign. A credential that is not
//! good is a denial; an error is returned only where nothing can be decided, and is never a yes.

mod answer;
mod api_keys;
mod binding;
mod caller;
mod credential;
mod event;
mod headers;
mod path;
mod pattern;
mod reason;
mod resource;
pub mod routes;

use shared::jose::jwt::JwtError;
use shared::runtime::aws::Aws;
use shared::runtime::cache::Unavailable;
use shared::runtime::settings::{ConfigError, Issuer, Settings};
use shared::runtime::telemetry::{Decision, Outcome, RequestLog, Telemetry};
use shared::store::api_keys::ApiKeys;
use shared::store::replay::ReplayStore;
use shared::store::table::Table;
use shared::trust::cache::TrustCache;
use shared::trust::snapshot::TokenRejection;

pub use self::answer::Answer;
pub use self::event::Event;

use self::api_keys::ApiKeyCache;
use self::caller::Caller;
use self::credential::Credential;
use self::reason::Reason;
use self::routes::{Route, RoutePolicy};

/// What this function needs.
pub struct Deps {
    trust: TrustCache,
    seen: ReplayStore,
    api_keys: ApiKeyCache,
    routes: RoutePolicy,
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
            seen: ReplayStore::new(table.clone()),
            trust: TrustCache::new(table, refresh),
            routes: RoutePolicy::new(settings.route_scopes()?)?,
            issuer: settings.issuer()?,
            audiences: settings.audiences()?,
            telemetry: Telemetry::from_settings("authorizer", settings),
        })
    }

    /// Loads the trust bundle before the first request. A failure is left to that request.
    pub async fn warm_up(&self, now: u64) {
        let _ = self.trust.snapshot(now).await;
    }
}

/// Why a call may not go on.
pub(crate) enum Refusal {
    /// It was decided. The cause, where there is more to say than the reason, is for the log.
    Denied(Reason, Option<String>),
    /// It can't be decided.
    Undecidable(Unavailable),
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::Denied(reason, None)
    }
}

impl From<JwtError> for Refusal {
    fn from(error: JwtError) -> Self {
        Self::Denied(error.into(), Some(error.to_string()))
    }
}

impl From<TokenRejection> for Refusal {
    fn from(error: TokenRejection) -> Self {
        match error {
            TokenRejection::Token(error) => error.into(),
            TokenRejection::Revoked => Reason::Revoked.into(),
            TokenRejection::Unavailable(error) => Self::Undecidable(error),
        }
    }
}

impl From<Unavailable> for Refusal {
    fn from(error: Unavailable) -> Self {
        Self::Undecidable(error)
    }
}

/// What was found out about a call with a good credential.
struct Verdict<'a> {
    caller: Caller,
    route: Route<'a>,
    permitted: bool,
}

/// Answers one question.
///
/// # Errors
/// Only when it can't be decided: keys or store are out of reach. API Gateway makes that a 500.
pub async fn handle(deps: &Deps, event: Event, now: u64) -> Result<Answer, Unavailable> {
    let mut watch = deps.telemetry.watch(now);
    let verdict = decide(deps, &event, now).await;
    watch.trust_age = deps.trust.age(now);
    watch.trust_entries = deps.trust.entries();
    log(&watch, &event, &verdict);
    match verdict {
        Ok(Verdict { caller, route, permitted }) => {
            Ok(Answer::for_caller(&event, &deps.routes, &route, permitted, caller))
        }
        Err(Refusal::Denied(..)) => Ok(Answer::deny(&event)),
        Err(Refusal::Undecidable(error)) => Err(error),
    }
}

/// What is shown; who shows it; what for; and whether that is open to them.
async fn decide<'a>(deps: &Deps, event: &'a Event, now: u64) -> Result<Verdict<'a>, Refusal> {
    let credential = Credential::presented(event)?;
    let caller = Caller::identify(deps, credential, event, now).await?;
    let route = event.route().ok_or_else(|| Unavailable::new("the event names no route"))?;
    Ok(Verdict { permitted: deps.routes.permits(&route, &caller.scopes), caller, route })
}

fn log(watch: &RequestLog<'_>, event: &Event, verdict: &Result<Verdict<'_>, Refusal>) {
    let (outcome, reason, cause) = match verdict {
        Ok(Verdict { permitted: true, .. }) => (Outcome::Allowed, None, None),
        Ok(Verdict { permitted: false, .. }) => (Outcome::Denied, Some(Reason::InsufficientScope), None),
        Err(Refusal::Denied(reason, cause)) => (Outcome::Denied, Some(*reason), cause.clone()),
        Err(Refusal::Undecidable(error)) => {
            (Outcome::Failed, Some(Reason::KeysUnavailable), Some(error.to_string()))
        }
    };
    let context = verdict.as_ref().ok().map(|verdict| &verdict.caller.context);
    let text = |name| context.and_then(|context| context.get(name)).map(String::as_str);
    watch.log(&Decision {
        reason: reason.map(Reason::word),
        request_id: event.request_id(),
        sub: text("sub"),
        client_id: text("client_id"),
        jti: text("jti"),
        cause: cause.as_deref(),
        ..Decision::new(outcome)
    });
}
