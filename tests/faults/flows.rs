//! One kind of request at a time, through a separate proxy to the shared store.

use std::time::{Duration, Instant};

use local::google::CLIENT_ID;
use serde_json::{Value, json};
use shared::runtime::clock;
use test_support::events::{basic, call, form_event, http_event, status_and_body};
use test_support::faults::{READ_OFTEN, authorized, refresh};
use test_support::proxy::Proxy;
use test_support::{PASSWORD, Stack};

/// A function with a proxy to the store, and the credentials for its requests.
pub struct Flow {
    pub kind: Kind,
    pub proxy: Proxy,
    function: Function,
    /// Issues the tokens that requests present. It bypasses the proxy.
    issuer: Box<token::Deps>,
    client: (String, String),
    user: String,
    /// The refresh token, access token, ID token or API key of the next request.
    pub token: String,
}

/// The kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    ClientCredentials,
    Refresh,
    Login,
    Google,
    Introspect,
    Revoke,
    Bearer,
    ApiKey,
}

impl Kind {
    pub const ALL: [Self; 8] = [
        Self::ClientCredentials,
        Self::Refresh,
        Self::Login,
        Self::Google,
        Self::Introspect,
        Self::Revoke,
        Self::Bearer,
        Self::ApiKey,
    ];

    /// Whether the authorizer decides. It can't respond with 503, so it fails.
    pub fn is_authorizers(self) -> bool {
        matches!(self, Self::Bearer | Self::ApiKey)
    }
}

/// The longest token lifetime, because some tests simulate hours.
const LONG_LIVED: (&str, &str) = ("ACCESS_TOKEN_TTL_SECONDS", "86400");
/// The number of tokens that one client revokes. Invariant: below the daily limit, after which one entry revokes all
/// tokens of the client and further revocations write nothing.
const TOKENS_OF_A_CLIENT: usize = 500;

enum Function {
    Token(Box<token::Deps>),
    Login(login::Deps),
    Google(google::Deps),
    Introspect(introspect::Deps),
    Revoke(revoke::Deps),
    Authorizer(authorizer::Deps),
}

/// An access token of a client.
async fn access_token(issuer: &token::Deps, client: &str, secret: &str) -> String {
    let event = client_credentials(client, secret);
    let answer = call(&event, |request| token::handle(issuer, request, clock::now())).await;
    status_and_body(&answer).1["access_token"].as_str().expect("an access token").to_owned()
}

fn client_credentials(client: &str, secret: &str) -> Value {
    form_event("/oauth2/token", basic(client, secret), &[("grant_type", "client_credentials")])
}

/// The outcome of a request.
#[derive(Debug)]
pub struct Answer {
    /// The status. For the authorizer: 200 for allow, 403 for deny, 500 for an error.
    pub status: u64,
    pub body: Value,
    pub took: Duration,
}

impl Answer {
    pub fn text(&self, name: &str) -> String {
        self.body[name].as_str().unwrap_or_else(|| panic!("no {name} in {self:?}")).to_owned()
    }
}

impl Flow {
    /// Creates a separate client and user with this number.
    pub async fn start(stack: &Stack, kind: Kind, number: usize) -> Self {
        let proxy = Proxy::start(&stack.running.environment["AWS_ENDPOINT_URL_DYNAMODB"]).await;
        let google_keys = stack.running.environment.get("GOOGLE_JWKS_URL").cloned().unwrap_or_default();
        let settings = stack.settings(&[
            ("AWS_ENDPOINT_URL_DYNAMODB", &proxy.url),
            ("GOOGLE_CLIENT_IDS", CLIENT_ID),
            ("GOOGLE_JWKS_URL", &google_keys),
            READ_OFTEN,
        ]);
        let issuer = Box::new(token::Deps::from_settings(&stack.settings(&[LONG_LIVED])).unwrap());
        let client = format!("client-{number}");
        let secret = stack.client(&client, "a").await;
        let user = format!("user-{number}");
        stack.user(&user, "a").await;
        let token = match kind {
            Kind::Refresh => stack.refresh_token(&user, PASSWORD).await,
            Kind::Google => stack.id_token(&format!("{user}@example.com")),
            Kind::ApiKey => stack.api_key("a", None).await,
            _ => access_token(&issuer, &client, &secret).await,
        };
        let function = match kind {
            Kind::ClientCredentials | Kind::Refresh => {
                Function::Token(Box::new(token::Deps::from_settings(&settings).unwrap()))
            }
            Kind::Login => Function::Login(login::Deps::from_settings(&settings).unwrap()),
            Kind::Google => Function::Google(google::Deps::from_settings(&settings).unwrap()),
            Kind::Introspect => Function::Introspect(introspect::Deps::from_settings(&settings).unwrap()),
            Kind::Revoke => Function::Revoke(revoke::Deps::from_settings(&settings).unwrap()),
            Kind::Bearer | Kind::ApiKey => {
                Function::Authorizer(authorizer::Deps::from_settings(&settings).unwrap())
            }
        };
        Self { kind, proxy, function, issuer, client: (client, secret), user, token }
    }

    /// Replaces a credential that causes writes only once: a first sign-in with Google writes the most, and a second
    /// revocation writes nothing. `name` is unique to the test.
    pub async fn renew(&mut self, stack: &Stack, name: &str, round: usize, now: u64) {
        match self.kind {
            Kind::Google => self.token = stack.id_token_of(&format!("{name}-{round}@example.com"), now),
            Kind::Revoke => {
                if round.is_multiple_of(TOKENS_OF_A_CLIENT) {
                    let client = format!("{name}-{round}");
                    self.client = (client.clone(), stack.client(&client, "a").await);
                }
                self.token = access_token(&self.issuer, &self.client.0, &self.client.1).await;
            }
            _ => {}
        }
    }

    /// Runs what a process does before its first event.
    pub async fn warm_up(&self, now: u64) {
        match &self.function {
            Function::Token(deps) => deps.warm_up(now).await,
            Function::Login(deps) => deps.warm_up(now).await,
            Function::Google(deps) => deps.warm_up(now).await,
            Function::Introspect(deps) => deps.warm_up(now).await,
            Function::Revoke(deps) => deps.warm_up(now).await,
            Function::Authorizer(deps) => deps.warm_up(now).await,
        }
    }

    /// Sends a request with valid credentials.
    pub async fn ask(&self, now: u64) -> Answer {
        let (client, secret) = &self.client;
        let token = self.token.as_str();
        let event = match self.kind {
            Kind::ClientCredentials => client_credentials(client, secret),
            Kind::Refresh => refresh(token),
            Kind::Login => {
                form_event("/token", json!({}), &[("username", &self.user), ("password", PASSWORD)])
            }
            Kind::Google => {
                http_event("POST", "/google", json!({"authorization": format!("Bearer {token}")}), None)
            }
            Kind::Introspect => form_event("/oauth2/introspect", basic(client, secret), &[("token", token)]),
            Kind::Revoke => form_event("/oauth2/revoke", basic(client, secret), &[("token", token)]),
            Kind::Bearer => authorized(json!({"authorization": format!("Bearer {token}")})),
            Kind::ApiKey => authorized(json!({"x-api-key": token})),
        };
        self.send(event, now).await
    }

    /// Sends the function an event.
    pub async fn send(&self, event: Value, now: u64) -> Answer {
        let started = Instant::now();
        let answer = match &self.function {
            Function::Token(deps) => call(&event, |request| token::handle(deps, request, now)).await,
            Function::Login(deps) => call(&event, |request| login::handle(deps, request, now)).await,
            Function::Google(deps) => call(&event, |request| google::handle(deps, request, now)).await,
            Function::Introspect(deps) => {
                call(&event, |request| introspect::handle(deps, request, now)).await
            }
            Function::Revoke(deps) => call(&event, |request| revoke::handle(deps, request, now)).await,
            Function::Authorizer(deps) => {
                let event = serde_json::from_value(event).expect("an event");
                let status = match authorizer::handle(deps, event, now).await {
                    Ok(answer) if serde_json::to_value(&answer).unwrap()["isAuthorized"] == true => 200,
                    Ok(_) => 403,
                    Err(_) => 500,
                };
                json!({"statusCode": status})
            }
        };
        let (status, body) = status_and_body(&answer);
        Answer { status, body, took: started.elapsed() }
    }
}
