//! The command itself: start, say so, wait for the end.

use std::env;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use shared::runtime::telemetry;
use tokio::signal::unix::{SignalKind, signal};

use super::engines::EMBEDDED_DYNAMODB;
use super::{Options, env_file, start};
use crate::admin::output::{Format, Report};

/// Where the local stack runs and what it keeps.
#[derive(Args)]
pub struct DevArgs {
    /// Port on 127.0.0.1
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Folder for dev.env and the stores
    #[arg(long, default_value = ".latchkey")]
    data: PathBuf,
    /// Keep the stores in memory
    #[arg(long)]
    ephemeral: bool,
}

impl DevArgs {
    /// Runs the local stack until Ctrl-C or SIGTERM.
    ///
    /// # Errors
    /// A stack that can't start, or failed while it ran.
    pub async fn run(self, format: Format) -> anyhow::Result<()> {
        telemetry::install("dev");
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let env_file = self.data.join(env_file::NAME).display().to_string();
        let running = start(Options {
            port: self.port,
            data: self.data,
            ephemeral: self.ephemeral,
            dynamodb: foreign_dynamodb(),
        })
        .await?;
        // Whoever closed our standard output doesn't want to know, but may still want the stack.
        format.print(&Ready { url: running.url.clone(), env_file }).unwrap_or_default();
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        running.stop().await
    }
}

/// The DynamoDB that the environment names, unless the name came from a `dev.env` and means the
/// embedded engine of an earlier run, which is gone.
fn foreign_dynamodb() -> Option<String> {
    let url = env::var("AWS_ENDPOINT_URL_DYNAMODB").ok().filter(|url| !url.is_empty())?;
    (env::var(EMBEDDED_DYNAMODB).ok().as_ref() != Some(&url)).then_some(url)
}

/// A stack that answers.
#[derive(Serialize)]
struct Ready {
    url: String,
    env_file: String,
}

impl Report for Ready {
    /// What a newcomer needs: the URL, and one line to try each flow with.
    fn for_people(&self) -> String {
        let program = env::args().next().unwrap_or_else(|| "latchkey".to_owned());
        let Self { url, env_file } = self;
        let token = r#"sed 's/.*"access_token":"\([^"]*\)".*/\1/'"#;
        let refresh = token.replace("access_token", "refresh_token");
        format!(
            r#"listening on {url}

In a browser: {url}/docs

In another shell, first:
  source {env_file}

API key:
  curl -H "x-api-key: $DEMO_API_KEY" $LATCHKEY_URL/users
User name and password as JSON:
  TOKEN=$(curl -s $LATCHKEY_URL/login -H 'content-type: application/json' -d "{{\"username\":\"$DEMO_USERNAME\",\"password\":\"$DEMO_PASSWORD\"}}" | {token}); curl -H "Authorization: Bearer $TOKEN" $LATCHKEY_URL/profile
User name and password as a form:
  TOKEN=$(curl -s $LATCHKEY_URL/token -d username=$DEMO_USERNAME -d password=$DEMO_PASSWORD | {token}); curl -H "Authorization: Bearer $TOKEN" $LATCHKEY_URL/todo
Client credentials:
  TOKEN=$(curl -s $LATCHKEY_URL/oauth2/authorize -u "$DEMO_CLIENT_ID:$DEMO_CLIENT_SECRET" -d grant_type=client_credentials | {token}); curl -H "Authorization: Bearer $TOKEN" $LATCHKEY_URL/get/clientinfo
Refresh, without a client:
  REFRESH=$(curl -s $LATCHKEY_URL/token -d username=$DEMO_USERNAME -d password=$DEMO_PASSWORD | {refresh}); curl $LATCHKEY_URL/oauth2/token -d grant_type=refresh_token -d refresh_token=$REFRESH
Revoke and introspect:
  TOKEN=$(curl -s $LATCHKEY_URL/oauth2/token -u "$DEMO_CLIENT_ID:$DEMO_CLIENT_SECRET" -d grant_type=client_credentials | {token}); for ENDPOINT in introspect revoke; do curl $LATCHKEY_URL/oauth2/$ENDPOINT -u "$DEMO_CLIENT_ID:$DEMO_CLIENT_SECRET" -d token=$TOKEN; done
Google:
  TOKEN=$(curl -s -X POST $LATCHKEY_URL/google -H "Authorization: Bearer $({program} google-token --email ada@example.com)" | {token}); curl -H "Authorization: Bearer $TOKEN" $LATCHKEY_URL/profile

Ctrl-C stops it.
"#
        )
    }
}
