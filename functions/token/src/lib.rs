//! The OAuth 2.0 token endpoint (RFC 6749 §3.2), at `/oauth2/token` and, for existing callers of the
//! client credentials grant, at `/oauth2/authorize`.

use lambda_http::{Body, Request, Response};
use shared::aws::Aws;
use shared::config::{ConfigError, Settings};
use shared::grants::client_auth::{Authenticated, Caller, ClientAuth};
use shared::grants::client_credentials;
use shared::grants::dpop::Possession;
use shared::grants::mint::Mint;
use shared::grants::refresh_token::{Presented, Refreshing};
use shared::grants::response::respond;
use shared::grants::sessions::Sessions;
use shared::grants::token_exchange::{Exchange, Exchanged, issued_token_type};
use shared::identity::secrets::random_id;
use shared::store::clients::Client;
use shared::store::identities::Identities;
use shared::store::quotas::{Charge, Quotas};
use shared::store::seen::Seen;
use shared::store::table::Table;
use shared::telemetry::Telemetry;
use shared::token::confirmation::Confirmation;
use shared::token::issue::Issued;
use shared::token::issuers::TrustedIssuers;
use shared::wire::context::{domain, route_path};
use shared::wire::http::{Form, refuse_in_query};
use shared::wire::oauth::{CLIENT_CREDENTIALS, ErrorKind, OAuthError, REFRESH_TOKEN, TOKEN_EXCHANGE};

/// What this function needs: it recognises clients, carries sessions on, takes other issuers' word, and
/// signs tokens.
pub struct Deps {
    clients: ClientAuth,
    quotas: Quotas,
    seen: Seen,
    sessions: Sessions,
    refreshing: Refreshing,
    issuers: TrustedIssuers,
    identities: Identities,
    mint: Mint,
    telemetry: Telemetry,
}

impl Deps {
    /// From the environment.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let aws = Aws::from_settings(settings)?;
        let table = Table::new(aws.dynamodb(), settings.table_name()?);
        Ok(Self {
            clients: ClientAuth::from_settings(settings, &table)?,
            quotas: Quotas::of_tokens(table.clone()),
            seen: Seen::new(table.clone()),
            sessions: Sessions::from_settings(settings, &table)?,
            refreshing: Refreshing::new(&table),
            issuers: TrustedIssuers::from_settings(settings)?,
            identities: Identities::new(table.clone()),
            mint: Mint::from_settings(settings, &aws, &table)?,
            telemetry: Telemetry::from_settings("token", settings),
        })
    }

    /// Opens the connections and loads the signing keys before the first request.
    pub async fn warm_up(&self, now: u64) {
        self.mint.warm_up(now).await;
    }
}

/// Answers one request for a token.
pub async fn handle(deps: &Deps, request: Request, now: u64) -> Response<Body> {
    let mut watch = deps.telemetry.watch(now);
    let result = issue(deps, &request, now).await;
    watch.keys_age = deps.mint.keys_age(now);
    respond(&watch, &request, result, Issued::to_json)
}

/// What is asked; who asks; what they may have; the token.
async fn issue(deps: &Deps, request: &Request, now: u64) -> Result<Issued, OAuthError> {
    refuse_in_query(
        request,
        &["client_id", "client_secret", "client_assertion", "password", "refresh_token", "subject_token"],
    )?;
    let mut form = Form::read(request)?;
    let only_client_credentials = route_path(request) == "/oauth2/authorize";
    match form.text("grant_type") {
        Some(CLIENT_CREDENTIALS) => client_credentials(deps, request, &mut form, now).await,
        Some(REFRESH_TOKEN) if !only_client_credentials => refresh(deps, request, &mut form, now).await,
        Some(TOKEN_EXCHANGE) if !only_client_credentials => exchange(deps, request, &mut form, now).await,
        Some(_) => Err(OAuthError::new(ErrorKind::UnsupportedGrantType, "the grant type is not supported")),
        None => Err(OAuthError::invalid_request("grant_type is missing")),
    }
}

async fn client_credentials(
    deps: &Deps,
    request: &Request,
    form: &mut Form,
    now: u64,
) -> Result<Issued, OAuthError> {
    let authenticated = deps.clients.authenticate(request, form, now).await?;
    let client_id = authenticated.client.client_id.clone();
    let issued = async {
        let possession = Possession::of(request, deps.mint.issuer(), now)?;
        let certificate = authenticated.certificate.clone();
        let confirmation = Confirmation { key: possession.key(), certificate };
        let client = authenticated.client.clone();
        let grant = client_credentials::grant(client, confirmation, form, deps.mint.audiences())?;
        charge(deps, &authenticated.client, now).await?;
        possession.record_use(&deps.seen).await?;
        deps.mint.issue(grant, domain(request), now).await
    };
    let issued = issued.await.map_err(|error| error.from_client(&client_id))?;
    deps.clients.note_use(&authenticated, now).await;
    Ok(issued)
}

async fn refresh(deps: &Deps, request: &Request, form: &mut Form, now: u64) -> Result<Issued, OAuthError> {
    let client = optional_client(deps, request, form, now).await?;
    let token = form
        .secret("refresh_token")
        .ok_or_else(|| OAuthError::invalid_request("refresh_token is missing"))?;
    let of_client = |error| of_client(error, client.as_ref());
    let presented = Presented {
        token,
        client: client.as_ref(),
        scope: form.text("scope"),
        resource: form.target().map_err(of_client)?,
        possession: Possession::of(request, deps.mint.issuer(), now).map_err(of_client)?,
    };
    if let Some(client) = &client {
        charge(deps, &client.client, now).await?;
    }
    let issued =
        deps.refreshing.refresh(presented, &deps.sessions, &deps.issuers, &deps.mint, domain(request), now);
    let issued = issued.await.map_err(of_client)?;
    if let Some(client) = &client {
        deps.clients.note_use(client, now).await;
    }
    Ok(issued)
}

async fn exchange(deps: &Deps, request: &Request, form: &mut Form, now: u64) -> Result<Issued, OAuthError> {
    let client = optional_client(deps, request, form, now).await?;
    let of_client = |error| of_client(error, client.as_ref());
    let possession = Possession::of(request, deps.mint.issuer(), now).map_err(of_client)?;
    let exchange = Exchange {
        issuers: &deps.issuers,
        identities: &deps.identities,
        clients: &deps.clients,
        audiences: deps.mint.audiences(),
        own_issuer: deps.mint.issuer().resolve(domain(request)),
    };
    let exchanged =
        exchange.exchange(client.as_ref(), form, possession.key(), now).await.map_err(of_client)?;
    let mut issued = match exchanged {
        Exchanged::Client(client, grant) => {
            charge(deps, &client, now).await?;
            possession.record_use(&deps.seen).await.map_err(of_client)?;
            deps.mint.issue(grant, domain(request), now).await?
        }
        Exchanged::Person(signed_in, terms) => {
            if let Some(client) = &client {
                charge(deps, &client.client, now).await?;
            }
            possession.record_use(&deps.seen).await.map_err(of_client)?;
            deps.sessions.begin(signed_in, terms, &deps.mint, domain(request), now).await?
        }
    };
    issued.issued_token_type = Some(issued_token_type(form)?);
    if let Some(client) = &client {
        deps.clients.note_use(client, now).await;
    }
    Ok(issued)
}

/// The client, for grants that people use without one.
async fn optional_client(
    deps: &Deps,
    request: &Request,
    form: &mut Form,
    now: u64,
) -> Result<Option<Authenticated>, OAuthError> {
    match deps.clients.caller(request, form, now).await? {
        Caller::Client(client) => Ok(Some(*client)),
        Caller::FirstParty | Caller::Nobody => Ok(None),
    }
}

/// Notes for the log which client has authenticated.
fn of_client(error: OAuthError, client: Option<&Authenticated>) -> OAuthError {
    match client {
        Some(authenticated) => error.from_client(&authenticated.client.client_id),
        None => error,
    }
}

/// Counts one token of a client that has a quota.
async fn charge(deps: &Deps, client: &Client, now: u64) -> Result<(), OAuthError> {
    let Some(quota) = client.quota else { return Ok(()) };
    let charge = deps.quotas.charge(&client.client_id, &random_id(""), quota, now).await;
    match charge.map_err(OAuthError::unavailable)? {
        Charge::Counted => Ok(()),
        Charge::Spent(seconds) => {
            let error = OAuthError::too_many_requests("the client has had all its tokens for now", seconds);
            Err(error.from_client(&client.client_id))
        }
    }
}
