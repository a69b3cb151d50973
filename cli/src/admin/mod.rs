//! The administrator's commands. Each speaks to the stores alone, so it works against AWS and against a
//! running `latchkey dev` alike.

pub mod api_key;
pub mod client;
pub mod connection;
pub mod doctor;
mod import;
pub mod output;
mod prompt;
mod rules;
pub mod signing_key;
mod store_clock;
pub mod token;
pub mod user;

use clap::Subcommand;

use self::output::Format;

/// One command for each noun, and one for all of them.
#[derive(Subcommand)]
pub enum AdminCommand {
    Client(client::ClientArgs),
    User(user::UserArgs),
    ApiKey(api_key::ApiKeyArgs),
    SigningKey(signing_key::SigningKeyArgs),
    Token(token::TokenArgs),
    Doctor(doctor::DoctorArgs),
}

impl AdminCommand {
    /// Carries out the command.
    ///
    /// # Errors
    /// A command that was refused; the text is for the person who typed it.
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
