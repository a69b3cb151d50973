//! The command line `latchkey`: the local stack, and the administration of a deployment.

pub mod admin;
mod completions;
mod dev;
mod google_token;
pub mod style;

use clap::{Parser, Subcommand};

/// Sign-in for APIs on AWS Lambda
#[derive(Parser)]
#[command(
    name = "latchkey",
    version,
    after_help = "The commands that administer a deployment work on AWS and on a running `latchkey dev`. They read the \
                  environment variables of the AWS SDKs. `source .latchkey/dev.env` sets these for the local stack."
)]
pub struct Cli {
    /// Output format
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    output: admin::output::Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the local stack: functions, gateway and stores on this machine
    #[command(
        after_help = "Set AWS_ENDPOINT_URL_DYNAMODB before the start to use another DynamoDB. Start DynamoDB Local with \
        -sharedDb. Otherwise it keeps one database for each access key."
    )]
    Dev(dev::DevArgs),
    /// Print an ID token of the local stand-in issuer for Google
    GoogleToken(google_token::GoogleTokenArgs),
    #[command(flatten)]
    Admin(admin::AdminCommand),
    Completions(completions::CompletionsArgs),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// The text names the input and the remedy.
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Dev(args) => args.run(self.output).await,
            Command::GoogleToken(args) => args.run(self.output),
            Command::Admin(command) => command.run(self.output).await,
            Command::Completions(args) => args.run(self.output),
        }
    }
}
