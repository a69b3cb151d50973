//! Signs people in with a user name and a password: as JSON at `/login`, as a form at `/token`.

use lambda_http::{Body, Request, Response};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use shared::aws::Aws;
use shared::config::{ConfigError, Settings};
use shared::grants::FIRST_PARTY;
use shared::grants::dpop::Possession;
use shared::grants::mint::Mint;
use shared::grants::password::{self, SignIn};
use shared::grants::requests::{narrowed, resource};
use shared::grants::response::respond;
use shared::grants::sessions::{Refresh, Sessions, Terms};
use shared::store::attempts::Attempts;
use shared::store::seen::Seen;
use shared::store::table::Table;
use shared::store::users::Users;
use shared::telemetry::Telemetry;
use shared::token::confirmation::Confirmation;
use shared::token::issue::Issued;
use shared::wire::context::{domain, route_path};
use shared::wire::http::{Form, read_json, refuse_in_query};
use shared::wire::oauth::{ErrorKind, OAuthError, PASSWORD};
use shared::wire::proxy::{self, TrustedProxy};
use shared::wire::sign_in::{LoginRequest, LoginResponse};

/// What this function needs: it reads users, renews their hashes, counts attempts, begins sessions and
/// signs tokens.
pub struct Deps {
    users: Users,
    attempts: Attempts,
    sessions: Sessions,
    seen: Seen,
    mint: Mint,
    proxy: Option<TrustedProxy>,
    telemetry: Telemetry,
}

impl Deps {
    /// From the environment.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let aws = Aws::from_settings(settings)?;
        let table = Table::new(aws.dynamodb(), settings.table_name()?);
        Ok(Self {
            users: Users::new(table.clone()),
            attempts: Attempts::new(table.clone()),
            sessions: Sessions::from_settings(settings, &table)?,
            seen: Seen::new(table.clone()),
            mint: Mint::from_settings(settings, &aws, &table)?,
            proxy: settings.trusted_proxy()?,
            telemetry: Telemetry::from_settings("login", settings),
        })
    }

    /// Opens the connections and loads the keys before the first request.
    pub async fn warm_up(&self, now: u64) {
        self.mint.warm_up(now).await;
    }
}

/// Answers one sign-in.
pub async fn handle(deps: &Deps, request: Request, now: u64) -> Response<Body> {
    let mut watch = deps.telemetry.watch(now);
    let (asked, body): (_, fn(&Issued) -> Value) = match route_path(&request) {
        "/login" => (from_json(&request), login_response),
        "/token" => (from_form(&request), Issued::to_json),
        _ => (Err(OAuthError::new(ErrorKind::NotFound, "there is nothing here")), Issued::to_json),
    };
    let result = match asked {
        Ok(asked) => issue(deps, asked, &request, now).await,
        Err(error) => Err(error),
    };
    watch.keys_age = deps.mint.keys_age(now);
    respond(&watch, &request, result, body)
}

/// What a person asks for, and what they show.
struct Asked {
    username: String,
    password: SecretString,
    scope: Option<String>,
    resource: Option<String>,
}

async fn issue(deps: &Deps, asked: Asked, request: &Request, now: u64) -> Result<Issued, OAuthError> {
    let Asked { username, password, scope, resource: target } = asked;
    let possession = Possession::of(request, deps.mint.issuer(), now)?;
    let source = proxy::source(request, deps.proxy.as_ref());
    let sign_in = SignIn { username, password, source };
    let signed_in = password::sign_in(sign_in, &deps.users, &deps.attempts, now).await?;
    let sub = signed_in.account.sub.clone();
    let issued = async {
        let key = possession.key();
        let terms = Terms {
            client_id: FIRST_PARTY.to_owned(),
            audience: resource(target.as_deref(), deps.mint.audiences())?,
            scopes: narrowed(&signed_in.scopes, scope.as_deref())?,
            ttl: None,
            confirmation: Confirmation { key: key.clone(), certificate: None },
            refresh: Refresh::for_public_client(key),
        };
        // After the attempt limits and the password: a rejected sign-in records no proof.
        possession.record_use(&deps.seen).await?;
        deps.sessions.begin(signed_in, terms, &deps.mint, domain(request), now).await
    };
    issued.await.map_err(|error| error.concerning(&sub))
}

/// The JSON sign-in.
fn from_json(request: &Request) -> Result<Asked, OAuthError> {
    refuse_credentials_in_query(request)?;
    let LoginRequest { username, password } = read_json(request)?;
    let username = needed(Some(username).filter(|name| !name.is_empty()))?;
    let password = needed(Some(password).filter(|password| !password.expose_secret().is_empty()))?;
    Ok(Asked { username, password, scope: None, resource: None })
}

/// The form sign-in, as FastAPI's clients and Swagger UI send it (RFC 6749 §4.3.2, without a client).
fn from_form(request: &Request) -> Result<Asked, OAuthError> {
    refuse_credentials_in_query(request)?;
    let mut form = Form::read(request)?;
    if form.text("grant_type").is_some_and(|grant_type| grant_type != PASSWORD) {
        return Err(OAuthError::new(
            ErrorKind::UnsupportedGrantType,
            "this is the login form: see /oauth2/token",
        ));
    }
    let password = needed(form.secret("password"))?;
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Ok(Asked {
        username: needed(owned(form.text("username")))?,
        password,
        scope: owned(form.text("scope")),
        resource: owned(form.target()?),
    })
}

fn refuse_credentials_in_query(request: &Request) -> Result<(), OAuthError> {
    refuse_in_query(request, &["username", "password"])
}

fn needed<T>(value: Option<T>) -> Result<T, OAuthError> {
    value.ok_or_else(|| OAuthError::invalid_request("username and password are needed"))
}

/// The answer of `/login`: the token response, and what existing callers look for.
fn login_response(issued: &Issued) -> Value {
    let response = issued.response();
    json!(LoginResponse { message: "Login success", token: response.access_token, response })
}
