//! Exchanges a Google ID token for an access token.

use lambda_http::http::header;
use lambda_http::{Body, Request, Response};
use secrecy::{ExposeSecret, SecretString};
use shared::clients::remote_keys::IssuerError;
use shared::federation::issuers::TrustedIssuers;
use shared::federation::sign_in;
use shared::identity::subjects::FIRST_PARTY_CLIENT_ID;
use shared::jose::confirmation::Confirmation;
use shared::oauth::body::{is_content_type, read_json, reject_in_query};
use shared::oauth::credentials::Credentials;
use shared::oauth::error::{ErrorKind, OAuthError};
use shared::oauth::form::Form;
use shared::oauth::identifiers::ID_TOKEN_TYPE;
use shared::oauth::sign_in::GoogleRequest;
use shared::oauth::token_request::select_audience;
use shared::runtime::aws::Aws;
use shared::runtime::call::Call;
use shared::runtime::settings::{ConfigError, Settings};
use shared::runtime::telemetry::Telemetry;
use shared::sessions::{RefreshPolicy, Sessions, TokenRequest};
use shared::signing::issue::{IssuedToken, token_response};
use shared::store::identities::Identities;
use shared::store::table::Table;
use shared::trust::proof_of_possession::Possession;

/// Form field and cookie of the CSRF check of Google Identity Services
/// (developers.google.com/identity/gsi/web/guides/verify-google-id-token).
const CSRF_TOKEN: &str = "g_csrf_token";

/// Dependencies of this function. It verifies Google ID tokens, stores federated identities, begins token families and
/// signs access tokens.
pub struct Deps {
    google: TrustedIssuers,
    identities: Identities,
    sessions: Sessions,
    telemetry: Telemetry,
}

impl Deps {
    /// Builds the dependencies from the settings.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let aws = Aws::from_settings(settings)?;
        let table = Table::new(aws.dynamodb(), settings.table_name()?);
        Ok(Self {
            google: TrustedIssuers::google_only(settings)?,
            identities: Identities::new(table.clone()),
            sessions: Sessions::from_settings(settings, &aws, &table)?,
            telemetry: Telemetry::from_settings("google", settings),
        })
    }

    /// Opens the connections and loads our signing keys and Google's keys before the first request.
    pub async fn warm_up(&self, now: u64) {
        tokio::join!(self.google.warm_up(now), self.sessions.signer().warm_up(now));
    }
}

/// Handles one request.
pub async fn handle(deps: &Deps, request: Request, now: u64) -> Response<Body> {
    let mut request_log = deps.telemetry.begin(now);
    let call = Call::new(&request, now);
    let result = issue(deps, call).await;
    request_log.keys_age = deps.sessions.signer().keys_age(now);
    token_response(&request_log, call, result, IssuedToken::to_json)
}

async fn issue(deps: &Deps, call: Call<'_>) -> Result<IssuedToken, OAuthError> {
    let id_token = presented(call.request)?;
    let possession = Possession::of(call, deps.sessions.signer().issuer())?;
    let federated = match deps.google.verify(id_token.expose_secret(), ID_TOKEN_TYPE, call.now).await {
        Ok(federated) if federated.may_be_exchanged_by(None) => federated,
        Ok(_) => {
            return Err(rejected()
                .with_cause("GOOGLE_CLIENT_IDS reserves the token's audience for registered clients"));
        }
        Err(IssuerError::Keys(error)) => return Err(error.into()),
        Err(error) => return Err(rejected().with_cause(error)),
    };
    let signed_in = sign_in::sign_in(&deps.identities, federated, rejected, call.now).await?;
    let key = possession.key();
    let token_request = TokenRequest {
        client_id: FIRST_PARTY_CLIENT_ID.to_owned(),
        audience: select_audience(None, deps.sessions.signer().audiences())?,
        scopes: signed_in.scopes.clone(),
        ttl: None,
        confirmation: Confirmation { key: key.clone(), certificate: None },
        refresh: RefreshPolicy::for_public_client(key),
    };
    // After the verification of the ID token, because the rate limit of the route is the only other limit here.
    deps.sessions.record_use(&possession).await?;
    deps.sessions.begin(signed_in, token_request, call).await
}

/// The ID token from the header, the JSON body or the form.
fn presented(request: &Request) -> Result<SecretString, OAuthError> {
    reject_in_query(request, &["id_token", "credential"])?;
    if let Credentials::Bearer(token) = Credentials::read(request.headers())? {
        return Ok(token);
    }
    if is_content_type(request, "application/json") {
        return match read_json(request)? {
            GoogleRequest { id_token: Some(token), credential: None }
            | GoogleRequest { id_token: None, credential: Some(token) } => Ok(token),
            _ => Err(OAuthError::invalid_request("send the ID token in either id_token or credential")),
        };
    }
    if is_content_type(request, "application/x-www-form-urlencoded") {
        let mut form = Form::read(request)?;
        check_csrf(request, form.text(CSRF_TOKEN))?;
        return form
            .secret("credential")
            .ok_or_else(|| OAuthError::invalid_request("missing credential form field"));
    }
    if request.headers().contains_key(header::CONTENT_TYPE) {
        return Err(OAuthError::new(
            ErrorKind::UnsupportedMediaType,
            "unsupported content type; send application/json or application/x-www-form-urlencoded",
        ));
    }
    Err(OAuthError::invalid_request(
        "missing ID token; send it as a bearer token, JSON id_token or form credential",
    ))
}

/// The double-submit check: the field and exactly one cookie must be present and equal.
fn check_csrf(request: &Request, field: Option<&str>) -> Result<(), OAuthError> {
    let cookies = request.headers().get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let values: Vec<&str> = pairs.filter(|(name, _)| *name == CSRF_TOKEN).map(|(_, value)| value).collect();
    match (field, values.as_slice()) {
        (Some(field), [cookie]) if field == *cookie => Ok(()),
        _ => Err(OAuthError::invalid_request("g_csrf_token form field and cookie do not match")),
    }
}

fn rejected() -> OAuthError {
    OAuthError::new(ErrorKind::SignInFailed, "ID token rejected")
}
