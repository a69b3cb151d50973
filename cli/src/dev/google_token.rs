//! `latchkey google-token`: an ID token from the local stand-in for Google.

use std::env;

use anyhow::Context;
use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use shared::runtime::clock;

use super::google::{CLIENT_ID, KEY_VARIABLE, Person, parse_key};
use crate::admin::output::{Format, Report, show_once};

/// How long ago an expired token was issued, in seconds: an hour of life, and an hour ago.
const LONG_AGO: u64 = 7200;

/// Whose token it is.
#[derive(Args)]
pub struct GoogleTokenArgs {
    /// Email address of the account
    #[arg(long)]
    email: String,
    /// Google Workspace domain of the account
    #[arg(long)]
    hd: Option<String>,
    /// Make a token that expired an hour ago
    #[arg(long)]
    expired: bool,
}

/// The token.
#[derive(Serialize)]
struct Minted {
    #[serde(serialize_with = "show_once")]
    id_token: SecretString,
}

impl Report for Minted {
    fn for_people(&self) -> String {
        format!("{}\n", self.id_token.expose_secret())
    }
}

impl GoogleTokenArgs {
    /// Prints the token.
    ///
    /// # Errors
    /// An environment without `dev.env`.
    pub fn run(self, format: Format) -> anyhow::Result<()> {
        let key = env::var(KEY_VARIABLE).ok().with_context(|| {
            format!("{KEY_VARIABLE} is not set: start `latchkey dev`, then `source .latchkey/dev.env`")
        })?;
        let key = parse_key(&key.into()).with_context(|| {
            format!("{KEY_VARIABLE} is not what `latchkey dev` wrote: `source .latchkey/dev.env` again")
        })?;
        let issued_at = clock::now().saturating_sub(if self.expired { LONG_AGO } else { 0 });
        let person = Person { email: self.email, hosted_domain: self.hd };
        format.print(&Minted { id_token: person.id_token(&key, CLIENT_ID, issued_at)? })
    }
}
