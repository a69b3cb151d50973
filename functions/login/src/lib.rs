//! Signs people in with a user name and a password: as JSON at `/login`, as a form at `/token`.

use lambda_http::{Body, Request, Response};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use shared::aws::Aws;
use shared::config::{ConfigError, Settings};
use shared::grants::password::{self, SignIn};
use shared::grants::response::respond;
use shared::store::table::Table;
use shared::store::users::Users;
use shared::token::issue::{Issued, Mint};
use shared::wire::context::{domain, route_path};
use shared::wire::http::{Form, read_json, refuse_in_query};
use shared::wire::oauth::{ErrorKind, OAuthError, PASSWORD};

/// What this function needs: it reads users, renews their hashes and signs tokens.
pub struct Deps {
    users: Users,
    mint: Mint,
}

impl Deps {
    /// From the environment.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let aws = Aws::from_settings(settings)?;
        let table = Table::new(aws.dynamodb(), settings.table_name()?);
        Ok(Self { users: Users::new(table), mint: Mint::from_settings(settings, &aws)? })
    }

    /// Opens the connections and loads the keys before the first request.
    pub async fn warm_up(&self, now: u64) {
        tokio::join!(self.users.warm_up(), self.mint.warm_up(now));
    }
}

/// Answers one sign-in.
pub async fn handle(deps: &Deps, request: Request, now: u64) -> Response<Body> {
    let (sign_in, body): (_, fn(&Issued) -> Value) = match route_path(&request) {
        "/login" => (from_json(&request), login_response),
        "/token" => (from_form(&request), Issued::to_json),
        _ => (Err(OAuthError::new(ErrorKind::NotFound, "there is nothing here")), Issued::to_json),
    };
    let result = match sign_in {
        Ok(sign_in) => issue(deps, sign_in, domain(&request), now).await,
        Err(error) => Err(error),
    };
    respond("login", &request, result, body)
}

async fn issue(deps: &Deps, sign_in: SignIn, domain: Option<&str>, now: u64) -> Result<Issued, OAuthError> {
    let grant = password::grant(sign_in, &deps.users).await?;
    deps.mint.issue(grant, domain, now).await
}

/// The JSON sign-in. Whatever else stands in the object has no effect.
fn from_json(request: &Request) -> Result<SignIn, OAuthError> {
    #[derive(Deserialize)]
    struct Body {
        username: String,
        password: SecretString,
    }
    refuse_credentials_in_query(request)?;
    let Body { username, password } = read_json(request)?;
    complete(Some(username).filter(|name| !name.is_empty()), Some(password), None)
}

/// The form sign-in, as FastAPI's clients and Swagger UI send it (RFC 6749 §4.3.2, without a client).
fn from_form(request: &Request) -> Result<SignIn, OAuthError> {
    refuse_credentials_in_query(request)?;
    let mut form = Form::read(request)?;
    if form.text("grant_type").is_some_and(|grant_type| grant_type != PASSWORD) {
        return Err(OAuthError::new(
            ErrorKind::UnsupportedGrantType,
            "this is the login form: see /oauth2/token",
        ));
    }
    let (username, scope) = (form.text("username").map(str::to_owned), form.text("scope").map(str::to_owned));
    complete(username, form.secret("password"), scope)
}

fn refuse_credentials_in_query(request: &Request) -> Result<(), OAuthError> {
    refuse_in_query(request, &["username", "password"])
}

fn complete(
    username: Option<String>,
    password: Option<SecretString>,
    scope: Option<String>,
) -> Result<SignIn, OAuthError> {
    match (username, password.filter(|password| !password.expose_secret().is_empty())) {
        (Some(username), Some(password)) => Ok(SignIn { username, password, scope }),
        _ => Err(OAuthError::invalid_request("username and password are needed")),
    }
}

/// The answer of `/login`: the token response, and what existing callers look for.
fn login_response(issued: &Issued) -> Value {
    let mut body = issued.to_json();
    body["message"] = "Login success".into();
    body["token"] = body["access_token"].clone();
    body
}
