//! The OAuth 2.0 token endpoint (RFC 6749 §3.2), at `/oauth2/token` and, for existing callers of the
//! client credentials grant, at `/oauth2/authorize`.

use lambda_http::{Body, Request, Response};
use shared::aws::Aws;
use shared::config::{ConfigError, Settings};
use shared::grants::client_auth::authenticate;
use shared::grants::client_credentials;
use shared::grants::response::respond;
use shared::store::clients::Clients;
use shared::store::table::Table;
use shared::token::issue::{Issued, Mint};
use shared::wire::context::domain;
use shared::wire::http::{Form, refuse_in_query};
use shared::wire::oauth::{CLIENT_CREDENTIALS, ErrorKind, OAuthError};

/// What this function needs: it reads clients and signs tokens.
pub struct Deps {
    clients: Clients,
    mint: Mint,
}

impl Deps {
    /// From the environment.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let aws = Aws::from_settings(settings)?;
        let table = Table::new(aws.dynamodb(), settings.table_name()?);
        Ok(Self { clients: Clients::new(table), mint: Mint::from_settings(settings, &aws)? })
    }

    /// Opens the connections and loads the keys before the first request.
    pub async fn warm_up(&self, now: u64) {
        tokio::join!(self.clients.warm_up(), self.mint.warm_up(now));
    }
}

/// Answers one request for a token.
pub async fn handle(deps: &Deps, request: Request, now: u64) -> Response<Body> {
    let result = issue(deps, &request, now).await;
    respond("token", &request, result, Issued::to_json)
}

/// What is asked; who asks; what they may have; the token.
async fn issue(deps: &Deps, request: &Request, now: u64) -> Result<Issued, OAuthError> {
    refuse_in_query(
        request,
        &["client_id", "client_secret", "client_assertion", "password", "refresh_token"],
    )?;
    let mut form = Form::read(request)?;
    match form.text("grant_type") {
        Some(CLIENT_CREDENTIALS) => {}
        Some(_) => {
            return Err(OAuthError::new(ErrorKind::UnsupportedGrantType, "the grant type is not supported"));
        }
        None => return Err(OAuthError::invalid_request("grant_type is missing")),
    }
    let client = authenticate(request.headers(), &mut form, &deps.clients, now).await?;
    let client_id = client.client_id.clone();
    let grant = client_credentials::grant(client, &form, deps.mint.audiences());
    let grant = grant.map_err(|error| error.concerning(&client_id))?;
    deps.mint.issue(grant, domain(request), now).await
}
