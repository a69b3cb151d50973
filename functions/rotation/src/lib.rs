//! Rotates the signing keys, one step for each event of Secrets Manager. Once a day it completes an interrupted
//! rotation and logs the time until the next one.

mod event;

use shared::jose::algorithm::Algorithm;
use shared::runtime::aws::Aws;
use shared::runtime::cache::display_chain;
use shared::runtime::settings::{ConfigError, Settings};
use shared::runtime::telemetry::{LogRecord, Outcome, Telemetry};
use shared::signing::rotation::{DEFAULT_LEAD, Rotation, RotationError};
use shared::signing::signing_secret::SigningSecret;
use shared::store::table::Table;
use shared::trust::store::TrustStore;

pub use self::event::RotationEvent;
use self::event::Step;

/// A day in seconds.
const DAY: f64 = 86_400.0;

/// Dependencies of this function. It writes the signing secret and the published keys.
pub struct Deps {
    secret_id: String,
    secret: SigningSecret,
    rotation: Rotation,
    algorithm: Algorithm,
    telemetry: Telemetry,
}

impl Deps {
    /// Builds the dependencies from the settings.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let aws = Aws::from_settings(settings)?;
        let table = Table::new(aws.dynamodb(), settings.table_name()?);
        let secret_id = settings.signing_secret_id()?;
        let secret = SigningSecret::new(aws.secrets_manager(), secret_id);
        Ok(Self {
            secret_id: secret_id.to_owned(),
            rotation: Rotation::new(secret.clone(), TrustStore::new(table)),
            secret,
            algorithm: settings.signing_algorithm()?,
            telemetry: Telemetry::from_settings("rotation", settings),
        })
    }
}

/// Why an event failed. Secrets Manager retries the step.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The step failed.
    #[error(transparent)]
    Step(#[from] RotationError),
    /// The event is about another secret than `SIGNING_SECRET_ID`.
    #[error("event names another secret than SIGNING_SECRET_ID")]
    OtherSecret,
}

/// Handles one event.
///
/// # Errors
/// The step failed. Every step can be repeated.
pub async fn handle(deps: &Deps, event: RotationEvent, now: u64) -> Result<(), Failure> {
    let request_log = deps.telemetry.begin(now);
    let (step, result) = match &event {
        RotationEvent::Rotation { step, secret_id, .. } if *secret_id != deps.secret_id => {
            (step.name(), Err(Failure::OtherSecret))
        }
        RotationEvent::Rotation { step, client_request_token, .. } => {
            (step.name(), rotate(deps, *step, client_request_token, now).await.map(|()| None))
        }
        RotationEvent::Daily { .. } => ("daily", complete_rotation(deps, now).await),
    };
    let outcome = if result.is_ok() { Outcome::Done } else { Outcome::Failed };
    let cause = result.as_ref().err().map(|error| display_chain(error));
    request_log.log(&LogRecord {
        step: Some(step),
        cause: cause.as_deref(),
        days_to_rotation: result.as_ref().ok().copied().flatten(),
        ..LogRecord::new(outcome)
    });
    result.map(drop)
}

async fn rotate(deps: &Deps, step: Step, token: &str, now: u64) -> Result<(), Failure> {
    let result = match step {
        Step::Create => deps.rotation.create(token, deps.algorithm, now).await,
        Step::Publish => deps.rotation.publish(token, now).await,
        Step::Test => deps.rotation.test(token).await,
        Step::Finish => deps.rotation.finish(token, DEFAULT_LEAD, now).await,
    };
    if let Err(RotationError::Superseded) = result {
        // Secrets Manager continues with this version, and with no other, as long as the version has its label.
        deps.rotation.abandon(token).await?;
    }
    Ok(result?)
}

/// Completes an interrupted rotation. Returns the days until the next rotation, or none without a schedule.
async fn complete_rotation(deps: &Deps, now: u64) -> Result<Option<f64>, Failure> {
    deps.rotation.begin(DEFAULT_LEAD, now).await?;
    let next = deps.secret.next_rotation().await.map_err(RotationError::from)?;
    let seconds = next.map(|next| next - i64::try_from(now).unwrap_or(i64::MAX));
    // The number of seconds is small enough for an exact `f64`.
    #[expect(clippy::cast_precision_loss)]
    Ok(seconds.map(|seconds| seconds as f64 / DAY))
}
