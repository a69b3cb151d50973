//! What wakes this function.

use serde::Deserialize;

/// An event.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum Event {
    /// Secrets Manager wants a step taken
    /// (docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html).
    #[serde(rename_all = "PascalCase")]
    Rotation {
        /// Which.
        step: Step,
        /// The secret's ARN.
        secret_id: String,
        /// The id of the version that is to be in use.
        client_request_token: String,
    },
    /// EventBridge's clock has struck
    /// (docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html).
    Daily {
        /// `aws.events`
        #[serde(rename = "source")]
        _source: Scheduler,
    },
}

/// A step of a rotation.
#[derive(Clone, Copy, Deserialize)]
pub enum Step {
    /// Make a key.
    #[serde(rename = "createSecret")]
    Create,
    /// Publish it.
    #[serde(rename = "setSecret")]
    Publish,
    /// Try it out.
    #[serde(rename = "testSecret")]
    Test,
    /// Take it into use.
    #[serde(rename = "finishSecret")]
    Finish,
}

impl Step {
    /// The word in the log: Secrets Manager's own.
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "createSecret",
            Self::Publish => "setSecret",
            Self::Test => "testSecret",
            Self::Finish => "finishSecret",
        }
    }
}

/// Who sends scheduled events.
#[derive(Deserialize)]
pub enum Scheduler {
    /// EventBridge.
    #[serde(rename = "aws.events")]
    EventBridge,
}
