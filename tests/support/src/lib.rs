//! What the tests of the whole bundle share: a local stack for each test, clients and users to try it with, the
//! Lambda Runtime API for the functions' processes, proxies that make a store fail, and the recorded events.
//!
//! It depends on `local` and `sam-template`. It must not depend on the command line, and no function may depend on it,
//! because `local` links every function.

#![expect(missing_docs, reason = "the names of helpers say what they do")]

pub mod events;
pub mod faults;
pub mod lambda;
pub mod proofs;
pub mod proxy;
pub mod role;
pub mod secrets;
pub mod stores;

use std::collections::BTreeMap;

use aws_sdk_secretsmanager::types::RotationRulesType;
use local::google::{CLIENT_ID, GoogleAccount, KEY_VARIABLE, parse_key};
use local::{Options, Running};
use reqwest::{Client as Http, RequestBuilder, Response};
use secrecy::ExposeSecret;
use serde_json::Value;
use shared::identity::secrets::{SecretKind, generate, random_id};
use shared::jose::algorithm::Algorithm;
use shared::oauth::scope::Scopes;
use shared::passwords::hash::PasswordHash;
use shared::runtime::aws::Aws;
use shared::runtime::clock;
use shared::runtime::settings::Settings;
use shared::signing::private_key::PrivateKey;
use shared::signing::rotation::Rotation;
use shared::signing::signing_secret::SigningSecret;
use shared::store::api_keys::{ApiKey, ApiKeys};
use shared::store::clients::{Client, ClientSecret, Clients};
use shared::store::table::Table;
use shared::store::users::{User, Users};
use shared::trust::key_schedule::KeySchedule;
use shared::trust::published_keys::PublishedKey;
use shared::trust::store::TrustStore;
use tempfile::TempDir;

/// The password of [`Stack::user`].
pub const PASSWORD: &str = "correct horse battery staple";

/// A local stack with its data folder.
pub struct Stack {
    pub running: Running,
    pub http: Http,
    pub data: TempDir,
}

impl Stack {
    pub async fn start() -> Self {
        let data = tempfile::tempdir().expect("a temporary folder");
        let options = Options { port: 0, data: data.path().to_owned(), ephemeral: true, dynamodb: None };
        let running = local::start(options).await.expect("the stack starts");
        let http = Http::builder().no_proxy().build().expect("an HTTP client");
        Self { running, http, data }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.running.url)
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(self.url(path))
    }

    pub fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(self.url(path))
    }

    /// The environment of a function: the stack's variables, those that every function needs, and `more`.
    pub fn environment(&self, more: &[(&str, &str)]) -> BTreeMap<String, String> {
        let mut pairs = self.running.environment.clone();
        let fixed = [("AUDIENCE", "latchkey"), ("ISSUER", self.running.url.as_str())];
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.extend(fixed.iter().chain(more).map(own));
        pairs
    }

    /// The same as settings.
    pub fn settings(&self, more: &[(&str, &str)]) -> Settings {
        self.environment(more).into_iter().collect()
    }

    fn aws(&self) -> Aws {
        Aws::from_settings(&self.settings(&[])).expect("the stack's environment")
    }

    /// The stack's DynamoDB, for items as they are stored.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        self.aws().dynamodb()
    }

    pub fn table(&self) -> Table {
        Table::new(self.aws().dynamodb(), self.settings(&[]).table_name().expect("TABLE_NAME"))
    }

    /// The same table behind another endpoint.
    pub fn table_at(&self, url: &str) -> Table {
        let settings = self.settings(&[("AWS_ENDPOINT_URL_DYNAMODB", url)]);
        let aws = Aws::from_settings(&settings).expect("the stack's environment");
        Table::new(aws.dynamodb(), settings.table_name().expect("TABLE_NAME"))
    }

    pub fn secret(&self) -> SigningSecret {
        let settings = self.settings(&[]);
        SigningSecret::new(
            self.aws().secrets_manager(),
            settings.signing_secret_id().expect("SIGNING_SECRET_ID"),
        )
    }

    /// Replaces the signing secret's text.
    pub async fn put_secret(&self, text: &str) {
        let secret_id = &self.running.environment["SIGNING_SECRET_ID"];
        let put = self.aws().secrets_manager().put_secret_value().secret_id(secret_id).secret_string(text);
        put.send().await.expect("a secret");
    }

    /// Schedules the secret's rotation every so many days.
    pub async fn rotate_every(&self, days: i64) {
        let client = self.aws().secrets_manager();
        let rules = RotationRulesType::builder().automatically_after_days(days).build();
        let secret_id = &self.running.environment["SIGNING_SECRET_ID"];
        client.rotate_secret().secret_id(secret_id).rotation_rules(rules).send().await.expect("a schedule");
    }

    /// The same secret behind another endpoint.
    pub fn secret_at(&self, url: &str) -> SigningSecret {
        let settings = self.settings(&[("AWS_ENDPOINT_URL_SECRETS_MANAGER", url)]);
        let aws = Aws::from_settings(&settings).expect("the stack's environment");
        SigningSecret::new(aws.secrets_manager(), settings.signing_secret_id().expect("SIGNING_SECRET_ID"))
    }

    pub fn rotation(&self) -> Rotation {
        Rotation::new(self.secret(), TrustStore::new(self.table()))
    }

    pub async fn key_schedule(&self) -> KeySchedule<PublishedKey> {
        TrustStore::new(self.table()).key_schedule().await.expect("the published keys")
    }

    pub async fn rotate(&self, algorithm: Algorithm, lead: u64) {
        let rotated = self.rotation().rotate(algorithm, lead, clock::now()).await;
        rotated.expect("a new signing key");
    }

    /// Creates a client and returns its secret.
    pub async fn client(&self, client_id: &str, scopes: &str) -> String {
        self.client_with(client_id, scopes, |_| {}).await
    }

    pub async fn client_with(
        &self,
        client_id: &str,
        scopes: &str,
        change: impl FnOnce(&mut Client),
    ) -> String {
        let (secret, digest) = generate(SecretKind::ClientSecret);
        let (scopes, now) = (Scopes::parse(scopes).expect("scopes"), clock::now());
        let mut client = Client {
            secrets: vec![ClientSecret { digest, created_at: now, expires_at: None }],
            ..Client::new(client_id.to_owned(), scopes, now)
        };
        change(&mut client);
        Clients::new(self.table()).create(&client).await.expect("a new client");
        secret.expose_secret().to_owned()
    }

    /// Creates a user with [`PASSWORD`] and returns the subject.
    pub async fn user(&self, username: &str, scopes: &str) -> String {
        let hash = PasswordHash::new(username, &PASSWORD.into()).expect("a good password");
        self.user_with(username, scopes, hash).await
    }

    pub async fn user_with(&self, username: &str, scopes: &str, hash: PasswordHash) -> String {
        let user = User {
            username: username.to_owned(),
            sub: random_id("usr_"),
            password_hash: Some(hash),
            email: None,
            scopes: Scopes::parse(scopes).expect("scopes"),
            disabled: false,
            epoch: random_id(""),
            created_at: clock::now(),
        };
        Users::new(self.table()).create(&user).await.expect("a new user");
        user.sub
    }

    /// Creates an API key.
    pub async fn api_key(&self, scopes: &str, expires_at: Option<u64>) -> String {
        let (key, digest) = generate(SecretKind::ApiKey);
        let api_key = ApiKey {
            id: ApiKey::id_of(&digest),
            digest,
            owner: "tests".to_owned(),
            scopes: Scopes::parse(scopes).expect("scopes"),
            key_expires_at: expires_at,
            disabled: false,
            created_at: clock::now(),
        };
        ApiKeys::new(self.table()).create(&api_key).await.expect("a new API key");
        key.expose_secret().to_owned()
    }

    /// The signing key of the stand-in issuer for Google.
    pub fn google_key(&self) -> PrivateKey {
        parse_key(&self.running.environment[KEY_VARIABLE].as_str().into()).expect("the stand-in's key")
    }

    /// An ID token of the stand-in issuer for Google.
    pub fn id_token(&self, email: &str) -> String {
        self.id_token_of(email, clock::now())
    }

    /// An ID token that was issued at `now`.
    pub fn id_token_of(&self, email: &str, now: u64) -> String {
        let person = GoogleAccount { email: email.to_owned(), hosted_domain: None };
        let token = person.id_token(&self.google_key(), CLIENT_ID, now).expect("an ID token");
        token.expose_secret().to_owned()
    }

    /// Signs in with the password form and returns the response.
    pub async fn sign_in(&self, username: &str, password: &str) -> Value {
        let form = [("username", username), ("password", password)];
        let (status, body) = read(self.post("/token").form(&form)).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    /// Signs in and returns the refresh token.
    pub async fn refresh_token(&self, username: &str, password: &str) -> String {
        self.sign_in(username, password).await["refresh_token"].as_str().expect("a refresh token").to_owned()
    }

    /// An access token of a client with all its scopes.
    pub async fn token(&self, client_id: &str, secret: &str) -> String {
        let form = [("grant_type", "client_credentials")];
        let answer = self.post("/oauth2/token").basic_auth(client_id, Some(secret)).form(&form);
        let (status, body) = read(answer).await;
        assert_eq!(status, 200, "{body}");
        body["access_token"].as_str().expect("an access token").to_owned()
    }
}

/// Sends a request and returns its status and JSON body, null if it has none.
pub async fn read(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), json(answer).await)
}

pub async fn json(answer: Response) -> Value {
    serde_json::from_str(&answer.text().await.expect("a body")).unwrap_or_default()
}

/// The claims of a token, unverified.
pub fn claims(token: &str) -> Value {
    use base64::Engine;
    let payload = token.split('.').nth(1).expect("three parts");
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}
