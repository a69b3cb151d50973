//! The administrator's commands. They use the stores only, so they work on AWS and on a running `latchkey dev`.
//!
//! The module of each noun has its own `CreateArgs`, `Spec`, `Created` and `Shown`.

pub mod api_key;
pub mod client;
pub mod connection;
pub mod doctor;
pub mod output;
mod prompt;
pub mod signing_key;
mod store_clock;
pub mod token;
pub mod user;
mod validation;

use clap::Subcommand;

use self::output::Format;

/// One command for each noun, and `doctor`.
#[derive(Subcommand)]
#[expect(missing_docs, reason = "clap shows the documentation of the arguments")]
pub enum AdminCommand {
    Client(client::ClientArgs),
    User(user::UserArgs),
    ApiKey(api_key::ApiKeyArgs),
    SigningKey(signing_key::SigningKeyArgs),
    Token(token::TokenArgs),
    Doctor(doctor::DoctorArgs),
}

impl AdminCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// The text names the input and the remedy.
    pub async fn run(self, format: Format) -> anyhow::Result<()> {
        match self {
            Self::Client(args) => args.run(format).await,
            Self::User(args) => args.run(format).await,
            Self::ApiKey(args) => args.run(format).await,
            Self::SigningKey(args) => args.run(format).await,
            Self::Token(args) => args.run(format).await,
            Self::Doctor(args) => args.run(format).await,
        }
    }
}
