//! `latchkey google-token`: an ID token of the local stand-in issuer for Google.

use std::env;

use anyhow::Context;
use clap::Args;
use local::google::{CLIENT_ID, GoogleAccount, KEY_VARIABLE, parse_key};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use shared::runtime::clock;

use crate::admin::output::{Format, Report, show_once};

/// The age of an expired ID token, in seconds: an hour of lifetime and an hour since.
const LONG_AGO: u64 = 7200;

/// The account of the ID token.
#[derive(Args)]
pub struct GoogleTokenArgs {
    /// Email address of the account
    #[arg(long)]
    email: String,
    /// Google Workspace domain of the account
    #[arg(long)]
    hd: Option<String>,
    /// Print an ID token that expired an hour ago
    #[arg(long)]
    expired: bool,
}

/// The ID token.
#[derive(Serialize)]
struct Issued {
    #[serde(serialize_with = "show_once")]
    id_token: SecretString,
}

impl Report for Issued {
    fn render_text(&self) -> String {
        format!("{}\n", self.id_token.expose_secret())
    }
}

impl GoogleTokenArgs {
    /// Prints the ID token.
    ///
    /// # Errors
    /// An environment without `dev.env`.
    pub fn run(self, format: Format) -> anyhow::Result<()> {
        let key = env::var(KEY_VARIABLE).ok().with_context(|| {
            format!("{KEY_VARIABLE} is not set. Start `latchkey dev` and run `source .latchkey/dev.env`")
        })?;
        let key = parse_key(&key.into()).with_context(|| {
            format!(
                "{KEY_VARIABLE} is not a key of `latchkey dev`. Run `source .latchkey/dev.env` again. Cause"
            )
        })?;
        let issued_at = clock::now().saturating_sub(if self.expired { LONG_AGO } else { 0 });
        let person = GoogleAccount { email: self.email, hosted_domain: self.hd };
        format.print(&Issued { id_token: person.id_token(&key, CLIENT_ID, issued_at)? })
    }
}
