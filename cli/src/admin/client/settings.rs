//! The options that `client create` and `client update` share.

use std::path::PathBuf;

use clap::Args;
use shared::store::clients::{ClientKeys, GrantType, Quota};

use crate::admin::validation;

#[derive(Args)]
pub(super) struct SettingsArgs {
    /// Audiences that the client may request, the default first [default: the deployment's]
    #[arg(long = "audience", value_name = "AUDIENCE", num_args = 1..)]
    pub audiences: Vec<String>,
    /// Lifetime of access tokens in seconds [default: the deployment's]
    #[arg(long, value_name = "SECONDS", value_parser = validation::seconds)]
    pub token_ttl: Option<u64>,
    /// Custom claims of access tokens
    #[arg(long = "claim", value_name = "NAME=VALUE", num_args = 1.., value_parser = claim)]
    pub claims: Vec<(String, String)>,
    /// File with the public keys for private_key_jwt, a JWKS or one JWK (RFC 7523)
    #[arg(long, value_name = "FILE", conflicts_with = "jwks_url")]
    pub public_key: Option<PathBuf>,
    /// URL of the JWKS with the public keys for private_key_jwt
    #[arg(long, value_name = "URL")]
    pub jwks_url: Option<String>,
    /// Certificate subject for tls_client_auth, as API Gateway writes it (RFC 8705)
    #[arg(long, value_name = "DN")]
    pub certificate_subject: Option<String>,
    /// Grants that the client may use: client_credentials, refresh_token, token-exchange
    /// [default: client_credentials]
    #[arg(long = "grant", value_name = "GRANT", num_args = 1.., value_parser = validation::grant)]
    pub grants: Vec<GrantType>,
    /// Token quota, for example 1000/1h or 10/s [default: no limit]
    #[arg(long, value_name = "TOKENS/DURATION", value_parser = validation::quota)]
    pub quota: Option<Quota>,
}

fn claim(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("give NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl SettingsArgs {
    /// The public keys of `--public-key`, or the URL of `--jwks-url`.
    ///
    /// # Errors
    /// An invalid file or URL.
    pub fn public_keys(&self) -> anyhow::Result<Option<ClientKeys>> {
        Ok(match (&self.public_key, &self.jwks_url) {
            (Some(file), _) => Some(ClientKeys::Jwks(validation::public_keys(file)?)),
            (None, Some(url)) => Some(ClientKeys::Url(validation::jwks_url(url.clone())?)),
            (None, None) => None,
        })
    }
}
