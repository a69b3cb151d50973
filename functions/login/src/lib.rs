//! Sign-in with username and password, as JSON at `/login` and as a form at `/token`.

use lambda_http::{Body, Request, Response};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use shared::identity::subjects::FIRST_PARTY_CLIENT_ID;
use shared::jose::confirmation::Confirmation;
use shared::oauth::body::{read_json, reject_in_query};
use shared::oauth::error::{ErrorKind, OAuthError};
use shared::oauth::form::Form;
use shared::oauth::identifiers::PASSWORD;
use shared::oauth::sign_in::{LoginRequest, LoginResponse};
use shared::oauth::token_request::{restrict_scopes, select_audience};
use shared::passwords::sign_in::{self, SignIn};
use shared::runtime::aws::Aws;
use shared::runtime::call::Call;
use shared::runtime::proxy::{self, TrustedProxy};
use shared::runtime::settings::{ConfigError, Settings};
use shared::runtime::telemetry::Telemetry;
use shared::sessions::{RefreshPolicy, Sessions, TokenRequest};
use shared::signing::issue::{IssuedToken, token_response};
use shared::store::attempts::Attempts;
use shared::store::table::Table;
use shared::store::users::Users;
use shared::trust::proof_of_possession::Possession;

/// Dependencies of this function. It reads users, updates password hashes, counts attempts, begins token families and
/// signs access tokens.
pub struct Deps {
    users: Users,
    attempts: Attempts,
    sessions: Sessions,
    proxy: Option<TrustedProxy>,
    telemetry: Telemetry,
}

impl Deps {
    /// Builds the dependencies from the settings.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let aws = Aws::from_settings(settings)?;
        let table = Table::new(aws.dynamodb(), settings.table_name()?);
        Ok(Self {
            users: Users::new(table.clone()),
            attempts: Attempts::new(table.clone()),
            sessions: Sessions::from_settings(settings, &aws, &table)?,
            proxy: settings.trusted_proxy()?,
            telemetry: Telemetry::from_settings("login", settings),
        })
    }

    /// Opens the connections and loads the signing keys before the first request.
    pub async fn warm_up(&self, now: u64) {
        self.sessions.signer().warm_up(now).await;
    }
}

/// Handles one request.
pub async fn handle(deps: &Deps, request: Request, now: u64) -> Response<Body> {
    let mut request_log = deps.telemetry.begin(now);
    let call = Call::new(&request, now);
    let (request_parameters, body): (_, fn(&IssuedToken) -> Value) = match call.route_path() {
        "/login" => (from_json(&request), login_response),
        "/token" => (from_form(&request), IssuedToken::to_json),
        _ => (Err(OAuthError::new(ErrorKind::NotFound, "not found")), IssuedToken::to_json),
    };
    let result = match request_parameters {
        Ok(request_parameters) => issue(deps, request_parameters, call).await,
        Err(error) => Err(error),
    };
    request_log.keys_age = deps.sessions.signer().keys_age(now);
    token_response(&request_log, call, result, body)
}

/// The parameters of a sign-in request.
struct SignInRequest {
    username: String,
    password: SecretString,
    scope: Option<String>,
    resource: Option<String>,
}

async fn issue(
    deps: &Deps,
    request_parameters: SignInRequest,
    call: Call<'_>,
) -> Result<IssuedToken, OAuthError> {
    let SignInRequest { username, password, scope, resource: target } = request_parameters;
    let possession = Possession::of(call, deps.sessions.signer().issuer())?;
    let source = proxy::source(call, deps.proxy.as_ref());
    let attempt = SignIn { username, password, source };
    let signed_in = sign_in::sign_in(attempt, &deps.users, &deps.attempts, call.now).await?;
    let sub = signed_in.account.sub.clone();
    let issued = async {
        let key = possession.key();
        let token_request = TokenRequest {
            client_id: FIRST_PARTY_CLIENT_ID.to_owned(),
            audience: select_audience(target.as_deref(), deps.sessions.signer().audiences())?,
            scopes: restrict_scopes(&signed_in.scopes, scope.as_deref())?,
            ttl: None,
            confirmation: Confirmation { key: key.clone(), certificate: None },
            refresh: RefreshPolicy::for_public_client(key),
        };
        // After the attempt limits and the password check: a rejected sign-in must not write to the replay store.
        deps.sessions.record_use(&possession).await?;
        deps.sessions.begin(signed_in, token_request, call).await
    };
    issued.await.map_err(|error| error.with_subject(&sub))
}

/// Parses the JSON body.
fn from_json(request: &Request) -> Result<SignInRequest, OAuthError> {
    reject_credentials_in_query(request)?;
    let LoginRequest { username, password } = read_json(request)?;
    let username = required(Some(username).filter(|name| !name.is_empty()))?;
    let password = required(Some(password).filter(|password| !password.expose_secret().is_empty()))?;
    Ok(SignInRequest { username, password, scope: None, resource: None })
}

/// Parses the form of FastAPI clients and Swagger UI (RFC 6749 §4.3.2, without a client).
fn from_form(request: &Request) -> Result<SignInRequest, OAuthError> {
    reject_credentials_in_query(request)?;
    let mut form = Form::read(request)?;
    if form.text("grant_type").is_some_and(|grant_type| grant_type != PASSWORD) {
        return Err(OAuthError::new(
            ErrorKind::UnsupportedGrantType,
            "only grant_type=password is supported here; use /oauth2/token",
        ));
    }
    let password = required(form.secret("password"))?;
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Ok(SignInRequest {
        username: required(owned(form.text("username")))?,
        password,
        scope: owned(form.text("scope")),
        resource: owned(form.target()?),
    })
}

fn reject_credentials_in_query(request: &Request) -> Result<(), OAuthError> {
    reject_in_query(request, &["username", "password"])
}

fn required<T>(value: Option<T>) -> Result<T, OAuthError> {
    value.ok_or_else(|| OAuthError::invalid_request("missing username or password"))
}

/// The response of `/login`: the token response with the members that existing callers read.
fn login_response(issued: &IssuedToken) -> Value {
    let response = issued.response();
    json!(LoginResponse { message: "Login success", token: response.access_token, response })
}
