//! What an administrator chooses about a client beside its scopes, for a new one and for one that changes.

use std::path::PathBuf;

use clap::Args;
use shared::store::clients::{ClientKeys, GrantType, Quota};

use crate::admin::rules;

#[derive(Args)]
pub(super) struct SettingsArgs {
    /// Audiences that it may ask for, the first being its default; a client without any has the deployment's
    #[arg(long = "audience", value_name = "AUDIENCE", num_args = 1..)]
    pub audiences: Vec<String>,
    /// Life of its tokens in seconds; a client without one has the deployment's
    #[arg(long, value_name = "SECONDS", value_parser = rules::seconds)]
    pub token_ttl: Option<u64>,
    /// Claims that its tokens carry
    #[arg(long = "claim", value_name = "NAME=VALUE", num_args = 1.., value_parser = claim)]
    pub claims: Vec<(String, String)>,
    /// File with the public keys that authenticate it, a JWKS or one JWK (RFC 7523)
    #[arg(long, value_name = "FILE", conflicts_with = "jwks_url")]
    pub public_key: Option<PathBuf>,
    /// URL of the JWKS with its public keys
    #[arg(long, value_name = "URL")]
    pub jwks_url: Option<String>,
    /// Subject of the certificate that authenticates it, as API Gateway writes it (RFC 8705)
    #[arg(long, value_name = "DN")]
    pub certificate_subject: Option<String>,
    /// Grants that it may use: client_credentials, refresh_token, token-exchange; a client without any has
    /// client_credentials
    #[arg(long = "grant", value_name = "GRANT", num_args = 1.., value_parser = rules::grant)]
    pub grants: Vec<GrantType>,
    /// How many tokens it may have in how long, for example 1000/1h or 10/s; a client without one has no limit
    #[arg(long, value_name = "TOKENS/DURATION", value_parser = rules::quota)]
    pub quota: Option<Quota>,
}

fn claim(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("a claim is written NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl SettingsArgs {
    /// Its public keys, read from the file that the options name, or the URL where they are.
    ///
    /// # Errors
    /// A file or a URL that breaks a rule.
    pub fn public_keys(&self) -> anyhow::Result<Option<ClientKeys>> {
        Ok(match (&self.public_key, &self.jwks_url) {
            (Some(file), _) => Some(ClientKeys::Jwks(rules::public_keys(file)?)),
            (None, Some(url)) => Some(ClientKeys::Url(rules::jwks_url(url.clone())?)),
            (None, None) => None,
        })
    }
}
