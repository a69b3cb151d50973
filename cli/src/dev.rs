//! The command `latchkey dev`: starts the local stack and stops it on a signal.

use std::env;
use std::path::PathBuf;

use clap::Args;
use local::{EMBEDDED_DYNAMODB, ENV_FILE, Options, start};
use serde::Serialize;
use shared::runtime::telemetry;
use tokio::signal::unix::{SignalKind, signal};

use crate::admin::output::{Format, Report};

/// The options of the local stack.
#[derive(Args)]
pub struct DevArgs {
    /// Port of the API on 127.0.0.1
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Data folder, with dev.env and the stores
    #[arg(long, default_value = ".latchkey")]
    data: PathBuf,
    /// Keep the stores in memory only
    #[arg(long)]
    ephemeral: bool,
}

impl DevArgs {
    /// Runs the local stack until Ctrl-C or SIGTERM.
    ///
    /// # Errors
    /// A stack that can't start, or that failed while it ran.
    pub async fn run(self, format: Format) -> anyhow::Result<()> {
        telemetry::install("dev");
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let env_file = self.data.join(ENV_FILE).display().to_string();
        let running = start(Options {
            port: self.port,
            data: self.data,
            ephemeral: self.ephemeral,
            dynamodb: foreign_dynamodb(),
        })
        .await?;
        // A closed standard output must not stop the stack.
        format.print(&Ready { url: running.url.clone(), env_file }).unwrap_or_default();
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        running.stop().await
    }
}

/// The DynamoDB that the environment names. `None` if the variable is from a `dev.env` and names the embedded engine
/// of an earlier run.
fn foreign_dynamodb() -> Option<String> {
    let url = env::var("AWS_ENDPOINT_URL_DYNAMODB").ok().filter(|url| !url.is_empty())?;
    (env::var(EMBEDDED_DYNAMODB).ok().as_ref() != Some(&url)).then_some(url)
}

/// The stack is ready.
#[derive(Serialize)]
struct Ready {
    url: String,
    env_file: String,
}

impl Report for Ready {
    /// The URL, and a command to try for each flow.
    fn render_text(&self) -> String {
        let program = env::args().next().unwrap_or_else(|| "latchkey".to_owned());
        let Self { url, env_file } = self;
        let token = r#"sed 's/.*"access_token":"\([^"]*\)".*/\1/'"#;
        let refresh = token.replace("access_token", "refresh_token");
        format!(
            r#"listening on {url}

Swagger UI: {url}/docs

First, in another shell:
  source {env_file}

API key:
  curl -H "x-api-key: $DEMO_API_KEY" $LATCHKEY_URL/users
Username and password as JSON:
  TOKEN=$(curl -s $LATCHKEY_URL/login -H 'content-type: application/json' -d "{{\"username\":\"$DEMO_USERNAME\",\"password\":\"$DEMO_PASSWORD\"}}" | {token}); curl -H "Authorization: Bearer $TOKEN" $LATCHKEY_URL/profile
Username and password as form:
  TOKEN=$(curl -s $LATCHKEY_URL/token -d username=$DEMO_USERNAME -d password=$DEMO_PASSWORD | {token}); curl -H "Authorization: Bearer $TOKEN" $LATCHKEY_URL/todo
Client credentials:
  TOKEN=$(curl -s $LATCHKEY_URL/oauth2/authorize -u "$DEMO_CLIENT_ID:$DEMO_CLIENT_SECRET" -d grant_type=client_credentials | {token}); curl -H "Authorization: Bearer $TOKEN" $LATCHKEY_URL/get/clientinfo
Refresh token of a first-party sign-in:
  REFRESH=$(curl -s $LATCHKEY_URL/token -d username=$DEMO_USERNAME -d password=$DEMO_PASSWORD | {refresh}); curl $LATCHKEY_URL/oauth2/token -d grant_type=refresh_token -d refresh_token=$REFRESH
Introspection and revocation:
  TOKEN=$(curl -s $LATCHKEY_URL/oauth2/token -u "$DEMO_CLIENT_ID:$DEMO_CLIENT_SECRET" -d grant_type=client_credentials | {token}); for ENDPOINT in introspect revoke; do curl $LATCHKEY_URL/oauth2/$ENDPOINT -u "$DEMO_CLIENT_ID:$DEMO_CLIENT_SECRET" -d token=$TOKEN; done
Google:
  TOKEN=$(curl -s -X POST $LATCHKEY_URL/google -H "Authorization: Bearer $({program} google-token --email ada@example.com)" | {token}); curl -H "Authorization: Bearer $TOKEN" $LATCHKEY_URL/profile

Stop with Ctrl-C.
"#
        )
    }
}
