//! `latchkey`: the bundle on a laptop, and the administration of any deployment.

pub mod admin;
mod completions;
pub mod dev;
pub mod tone;

use clap::{Parser, Subcommand};

/// Sign-in for APIs on AWS Lambda
#[derive(Parser)]
#[command(
    name = "latchkey",
    version,
    after_help = "Every command that asks a deployment works against AWS or against a running `latchkey dev`: it uses the AWS \
                  SDK's ordinary environment, and `source .latchkey/dev.env` points that at the local stack."
)]
pub struct Cli {
    /// How answers are written
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    output: admin::output::Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the whole bundle on this machine
    #[command(
        after_help = "Another DynamoDB: set AWS_ENDPOINT_URL_DYNAMODB before the start. Start DynamoDB Local with \
        -sharedDb: without it, each access key has a database."
    )]
    Dev(dev::DevArgs),
    /// Print an ID token of the local stand-in for Google
    GoogleToken(dev::GoogleTokenArgs),
    #[command(flatten)]
    Admin(admin::AdminCommand),
    Completions(completions::CompletionsArgs),
}

impl Cli {
    /// Carries out the command.
    ///
    /// # Errors
    /// A command that was refused; the text is for the person who typed it.
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Dev(args) => args.run(self.output).await,
            Command::GoogleToken(args) => args.run(self.output),
            Command::Admin(command) => command.run(self.output).await,
            Command::Completions(args) => args.run(self.output),
        }
    }
}
