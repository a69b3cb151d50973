//! Rotates the signing keys when Secrets Manager says so, one step an event; and once a day does what was left
//! undone, and tells how long it is until the next time.

mod event;

use shared::jose::algorithm::Algorithm;
use shared::runtime::aws::Aws;
use shared::runtime::cache::display_chain;
use shared::runtime::settings::{ConfigError, Settings};
use shared::runtime::telemetry::{Decision, Outcome, Telemetry};
use shared::signing::rotation::{DEFAULT_LEAD, Rotation, RotationError};
use shared::signing::signing_secret::SigningSecret;
use shared::store::table::Table;
use shared::trust::trust::TrustStore;

pub use self::event::Event;
use self::event::Step;

/// Seconds.
const DAY: f64 = 86_400.0;

/// What this function needs: it writes the signing secret and the published keys.
pub struct Deps {
    secret_id: String,
    secret: SigningSecret,
    rotation: Rotation,
    algorithm: Algorithm,
    telemetry: Telemetry,
}

impl Deps {
    /// From the environment.
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

/// Why an event came to nothing. Secrets Manager tries again.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The step could not be taken.
    #[error(transparent)]
    Step(#[from] RotationError),
    /// It was about another secret than ours.
    #[error("the event is about another secret")]
    OtherSecret,
}

/// Takes one step, or looks when the next rotation is.
///
/// # Errors
/// What could not be done. Done again, it converges.
pub async fn handle(deps: &Deps, event: Event, now: u64) -> Result<(), Failure> {
    let watch = deps.telemetry.watch(now);
    let (step, result) = match &event {
        Event::Rotation { step, secret_id, client_request_token } => {
            (step.word(), rotate(deps, *step, secret_id, client_request_token, now).await.map(|()| None))
        }
        Event::Daily { .. } => ("daily", look_after(deps, now).await),
    };
    let outcome = if result.is_ok() { Outcome::Done } else { Outcome::Failed };
    let cause = result.as_ref().err().map(|error| display_chain(error));
    watch.log(&Decision {
        step: Some(step),
        cause: cause.as_deref(),
        days_to_rotation: result.as_ref().ok().copied().flatten(),
        ..Decision::new(outcome)
    });
    result.map(drop)
}

async fn rotate(deps: &Deps, step: Step, secret_id: &str, token: &str, now: u64) -> Result<(), Failure> {
    if secret_id != deps.secret_id {
        return Err(Failure::OtherSecret);
    }
    let taken = match step {
        Step::Create => deps.rotation.create(token, deps.algorithm, now).await,
        Step::Publish => deps.rotation.publish(token, now).await,
        Step::Test => deps.rotation.test(token).await,
        Step::Finish => deps.rotation.finish(token, DEFAULT_LEAD, now).await,
    };
    if let Err(RotationError::Overtaken) = taken {
        // As long as the version has its label, Secrets Manager goes on with it and with no other.
        deps.rotation.give_up(token).await?;
    }
    Ok(taken?)
}

/// Does what a rotation may have left undone, and tells how many days it is until the next; none if Secrets
/// Manager has no schedule for it.
async fn look_after(deps: &Deps, now: u64) -> Result<Option<f64>, Failure> {
    deps.rotation.begin(DEFAULT_LEAD, now).await?;
    let next = deps.secret.next_rotation().await.map_err(RotationError::from)?;
    let seconds = next.map(|next| next - i64::try_from(now).unwrap_or(i64::MAX));
    // A day has few seconds: nothing is lost.
    #[expect(clippy::cast_precision_loss)]
    Ok(seconds.map(|seconds| seconds as f64 / DAY))
}
