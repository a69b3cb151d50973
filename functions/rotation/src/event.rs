//! The events that invoke this function.

use serde::Deserialize;

/// An event.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum RotationEvent {
    /// A rotation step of Secrets Manager
    /// (docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html).
    #[serde(rename_all = "PascalCase")]
    Rotation {
        /// The step.
        step: Step,
        /// The ARN of the secret.
        secret_id: String,
        /// The id of the new version.
        client_request_token: String,
    },
    /// The daily event of EventBridge
    /// (docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html).
    Daily {
        /// `aws.events`
        #[serde(rename = "source")]
        _source: Scheduler,
    },
}

/// A rotation step.
#[derive(Clone, Copy, Deserialize)]
pub enum Step {
    /// Generate a key.
    #[serde(rename = "createSecret")]
    Create,
    /// Publish the public key.
    #[serde(rename = "setSecret")]
    Publish,
    /// Test the private key against the public key.
    #[serde(rename = "testSecret")]
    Test,
    /// Make the new version the current one.
    #[serde(rename = "finishSecret")]
    Finish,
}

impl Step {
    /// The name of the step in Secrets Manager and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "createSecret",
            Self::Publish => "setSecret",
            Self::Test => "testSecret",
            Self::Finish => "finishSecret",
        }
    }
}

/// The source of a scheduled event.
#[derive(Deserialize)]
pub enum Scheduler {
    /// EventBridge.
    #[serde(rename = "aws.events")]
    EventBridge,
}
