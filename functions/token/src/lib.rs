//! The OAuth 2.0 token endpoint (RFC 6749 §3.2) at `/oauth2/token`. Existing callers of the client credentials grant
//! use `/oauth2/authorize`.

use lambda_http::{Body, Request, Response};
use shared::clients::authentication::{Authenticated, ClientAuth, ClientIdentity};
use shared::federation::issuers::TrustedIssuers;
use shared::grants::client_credentials;
use shared::grants::token_exchange::{Exchange, Exchanged, issued_token_type};
use shared::identity::secrets::random_id;
use shared::jose::confirmation::Confirmation;
use shared::oauth::body::reject_in_query;
use shared::oauth::error::{ErrorKind, OAuthError};
use shared::oauth::form::Form;
use shared::oauth::identifiers::{CLIENT_CREDENTIALS, REFRESH_TOKEN, TOKEN_EXCHANGE};
use shared::runtime::aws::Aws;
use shared::runtime::call::Call;
use shared::runtime::settings::{ConfigError, Settings};
use shared::runtime::telemetry::Telemetry;
use shared::sessions::{RefreshRequest, Sessions};
use shared::signing::issue::{IssuedToken, token_response};
use shared::store::clients::Client;
use shared::store::identities::Identities;
use shared::store::rate_limits::{Charge, RateLimits};
use shared::store::table::Table;
use shared::trust::proof_of_possession::Possession;

/// Dependencies of this function. It authenticates clients, refreshes token families, exchanges tokens of trusted
/// issuers and signs access tokens.
pub struct Deps {
    clients: ClientAuth,
    quotas: RateLimits,
    sessions: Sessions,
    issuers: TrustedIssuers,
    identities: Identities,
    telemetry: Telemetry,
}

impl Deps {
    /// Builds the dependencies from the settings.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let aws = Aws::from_settings(settings)?;
        let table = Table::new(aws.dynamodb(), settings.table_name()?);
        Ok(Self {
            clients: ClientAuth::from_settings(settings, &table)?,
            quotas: RateLimits::for_tokens(table.clone()),
            sessions: Sessions::from_settings(settings, &aws, &table)?,
            issuers: TrustedIssuers::from_settings(settings)?,
            identities: Identities::new(table),
            telemetry: Telemetry::from_settings("token", settings),
        })
    }

    /// Opens the connections and loads the signing keys before the first request.
    pub async fn warm_up(&self, now: u64) {
        self.sessions.signer().warm_up(now).await;
    }
}

/// Handles one token request.
pub async fn handle(deps: &Deps, request: Request, now: u64) -> Response<Body> {
    let mut request_log = deps.telemetry.begin(now);
    let call = Call::new(&request, now);
    let result = issue(deps, call).await;
    request_log.keys_age = deps.sessions.signer().keys_age(now);
    token_response(&request_log, call, result, IssuedToken::to_json)
}

/// Dispatches by grant type.
async fn issue(deps: &Deps, call: Call<'_>) -> Result<IssuedToken, OAuthError> {
    reject_in_query(
        call.request,
        &["client_id", "client_secret", "client_assertion", "password", "refresh_token", "subject_token"],
    )?;
    let mut form = Form::read(call.request)?;
    let only_client_credentials = call.route_path() == "/oauth2/authorize";
    match form.text("grant_type") {
        Some(CLIENT_CREDENTIALS) => client_credentials(deps, &mut form, call).await,
        Some(REFRESH_TOKEN) if !only_client_credentials => refresh(deps, &mut form, call).await,
        Some(TOKEN_EXCHANGE) if !only_client_credentials => exchange(deps, &mut form, call).await,
        Some(_) => {
            Err(OAuthError::new(ErrorKind::UnsupportedGrantType, "unsupported grant_type for this endpoint"))
        }
        None => Err(OAuthError::invalid_request("missing grant_type")),
    }
}

async fn client_credentials(deps: &Deps, form: &mut Form, call: Call<'_>) -> Result<IssuedToken, OAuthError> {
    let signer = deps.sessions.signer();
    let authenticated = deps.clients.authenticate(form, call).await?;
    let client_id = authenticated.client.client_id.clone();
    let issued = async {
        let possession = Possession::of(call, signer.issuer())?;
        let certificate = authenticated.certificate.clone();
        let confirmation = Confirmation { key: possession.key(), certificate };
        let client = authenticated.client.clone();
        let spec = client_credentials::grant(client, confirmation, form, signer.audiences())?;
        charge(deps, &authenticated.client, call.now).await?;
        deps.sessions.record_use(&possession).await?;
        signer.issue(spec, call).await
    };
    let issued = issued.await.map_err(|error| error.with_client_id(&client_id))?;
    deps.clients.record_secret_use(&authenticated, call.now).await;
    Ok(issued)
}

async fn refresh(deps: &Deps, form: &mut Form, call: Call<'_>) -> Result<IssuedToken, OAuthError> {
    let client = optional_client(deps, form, call).await?;
    let token =
        form.secret("refresh_token").ok_or_else(|| OAuthError::invalid_request("missing refresh_token"))?;
    let of_client = |error| of_client(error, client.as_ref());
    let refresh_request = RefreshRequest {
        token,
        client: client.as_ref().map(|client| &client.client),
        certificate: client.as_ref().and_then(|client| client.certificate.clone()),
        scope: form.text("scope"),
        resource: form.target().map_err(of_client)?,
        possession: Possession::of(call, deps.sessions.signer().issuer()).map_err(of_client)?,
        issuer_scopes: &|issuer| deps.issuers.user_scopes(issuer),
    };
    if let Some(client) = &client {
        charge(deps, &client.client, call.now).await?;
    }
    let issued = deps.sessions.refresh(refresh_request, call).await.map_err(of_client)?;
    if let Some(client) = &client {
        deps.clients.record_secret_use(client, call.now).await;
    }
    Ok(issued)
}

async fn exchange(deps: &Deps, form: &mut Form, call: Call<'_>) -> Result<IssuedToken, OAuthError> {
    let signer = deps.sessions.signer();
    let client = optional_client(deps, form, call).await?;
    let of_client = |error| of_client(error, client.as_ref());
    let possession = Possession::of(call, signer.issuer()).map_err(of_client)?;
    let exchange = Exchange {
        issuers: &deps.issuers,
        identities: &deps.identities,
        clients: &deps.clients,
        audiences: signer.audiences(),
        own_issuer: signer.issuer().resolve(call.domain()),
    };
    let exchanged =
        exchange.exchange(client.as_ref(), form, possession.key(), call.now).await.map_err(of_client)?;
    let mut issued = match exchanged {
        Exchanged::Client(client, spec) => {
            charge(deps, &client, call.now).await?;
            deps.sessions.record_use(&possession).await.map_err(of_client)?;
            signer.issue(spec, call).await?
        }
        Exchanged::User(signed_in, request) => {
            if let Some(client) = &client {
                charge(deps, &client.client, call.now).await?;
            }
            deps.sessions.record_use(&possession).await.map_err(of_client)?;
            deps.sessions.begin(signed_in, request, call).await?
        }
    };
    issued.issued_token_type = Some(issued_token_type(form)?);
    if let Some(client) = &client {
        deps.clients.record_secret_use(client, call.now).await;
    }
    Ok(issued)
}

/// The authenticated client. None for first-party sign-in, which has no client authentication.
async fn optional_client(
    deps: &Deps,
    form: &mut Form,
    call: Call<'_>,
) -> Result<Option<Authenticated>, OAuthError> {
    match deps.clients.identify(form, call).await? {
        ClientIdentity::Client(client) => Ok(Some(*client)),
        ClientIdentity::FirstParty | ClientIdentity::Unidentified => Ok(None),
    }
}

/// Adds the authenticated client to the log entry of an error.
fn of_client(error: OAuthError, client: Option<&Authenticated>) -> OAuthError {
    match client {
        Some(authenticated) => error.with_client_id(&authenticated.client.client_id),
        None => error,
    }
}

/// Counts one token against the quota of the client, if it has one.
async fn charge(deps: &Deps, client: &Client, now: u64) -> Result<(), OAuthError> {
    let Some(quota) = client.quota else { return Ok(()) };
    let charge = deps.quotas.charge(&client.client_id, &random_id(""), quota, now).await;
    match charge? {
        Charge::Allowed => Ok(()),
        Charge::Exceeded(seconds) => {
            let error = OAuthError::too_many_requests("token quota exceeded; retry later", seconds);
            Err(error.with_client_id(&client.client_id))
        }
    }
}
