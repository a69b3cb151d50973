//! Demo data: a signing key, a client, a user and an API key.
//!
//! Their secrets are random, generated at the first start, and kept in `dev.env` only. Each start writes to the stores
//! what that file says.

use secrecy::{ExposeSecret, SecretString};
use shared::identity::secrets::{SecretDigest, SecretKind, generate, random_id};
use shared::identity::subjects::new_user_subject;
use shared::jose::algorithm::Algorithm;
use shared::oauth::scope::Scopes;
use shared::passwords::hash::{PasswordHash, Verification};
use shared::signing::rotation::Rotation;
use shared::store::api_keys::{ApiKey, ApiKeys};
use shared::store::clients::{Client, ClientSecret, Clients};
use shared::store::table::Table;
use shared::store::users::{User, Users};

use super::env_file::Environment;

const CLIENT_ID: &str = "demo-client";
const USERNAME: &str = "demo";
const OWNER: &str = "demo";
const SCOPES: &str = "todo:read todo:write";
const API_KEY_SCOPES: &str = "todo:read";

/// Creates and publishes a signing key, unless there is an active one. One of the two stores may be new and the other
/// old, because DynamoDB can be replaced by another engine.
///
/// # Errors
/// A store that does not answer.
pub async fn create_signing_key(rotation: &Rotation, now: u64) -> anyhow::Result<()> {
    if !rotation.signs(now).await? {
        // The template's default algorithm.
        rotation.rotate(Algorithm::Rs256, 0, now).await?;
    }
    Ok(())
}

/// Creates or updates client, user and API key, with the secrets of `before` or new ones, and returns their part of the
/// environment.
///
/// # Errors
/// A store that does not answer.
pub async fn create_identities(table: &Table, before: &Environment, now: u64) -> anyhow::Result<Environment> {
    let kept = |name: &str| before.get(name).map(|value| SecretString::from(value.as_str()));
    let client_secret = create_client(table, kept("DEMO_CLIENT_SECRET"), now).await?;
    let password = create_user(table, kept("DEMO_PASSWORD"), now).await?;
    let api_key = create_api_key(table, kept("DEMO_API_KEY"), now).await?;
    let pairs = [
        ("DEMO_API_KEY", api_key.expose_secret()),
        ("DEMO_CLIENT_ID", CLIENT_ID),
        ("DEMO_CLIENT_SECRET", client_secret.expose_secret()),
        ("DEMO_PASSWORD", password.expose_secret()),
        ("DEMO_USERNAME", USERNAME),
    ];
    Ok(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

async fn create_client(table: &Table, kept: Option<SecretString>, now: u64) -> anyhow::Result<SecretString> {
    let (secret, digest) = restored_or_new(SecretKind::ClientSecret, kept);
    let clients = Clients::new(table.clone());
    if let Some(client) = clients.get(CLIENT_ID).await? {
        if client.secrets.iter().any(|secret| secret.digest.matches(&digest) && secret.expires_at.is_none()) {
            return Ok(secret);
        }
        clients.delete(CLIENT_ID).await?;
    }
    let client = Client {
        secrets: vec![ClientSecret { digest, created_at: now, expires_at: None }],
        ..Client::new(CLIENT_ID.to_owned(), Scopes::parse(SCOPES)?, now)
    };
    clients.create(&client).await?;
    Ok(secret)
}

async fn create_user(table: &Table, kept: Option<SecretString>, now: u64) -> anyhow::Result<SecretString> {
    let users = Users::new(table.clone());
    let user = users.get(USERNAME).await?;
    let stored = user.as_ref().and_then(|user| user.password_hash.as_ref());
    if let (Some(stored), Some(kept)) = (stored, &kept)
        && PasswordHash::verify(Some(stored), kept) != Verification::Wrong
    {
        return Ok(kept.clone());
    }
    let kept = kept.and_then(|kept| Some((PasswordHash::new(USERNAME, &kept).ok()?, kept)));
    let (hash, password) = match kept {
        Some(kept) => kept,
        None => {
            let password = SecretString::from(random_id(""));
            (PasswordHash::new(USERNAME, &password)?, password)
        }
    };
    match user {
        Some(_) => users.set_password(USERNAME, &hash).await?,
        None => {
            let user = User {
                username: USERNAME.to_owned(),
                sub: new_user_subject(),
                password_hash: Some(hash),
                email: Some("demo@example.com".to_owned()),
                scopes: Scopes::parse(SCOPES)?,
                disabled: false,
                epoch: random_id(""),
                created_at: now,
            };
            users.create(&user).await?;
        }
    }
    Ok(password)
}

async fn create_api_key(table: &Table, kept: Option<SecretString>, now: u64) -> anyhow::Result<SecretString> {
    let (secret, digest) = restored_or_new(SecretKind::ApiKey, kept);
    let api_keys = ApiKeys::new(table.clone());
    if api_keys.get(&digest).await?.is_none() {
        let api_key = ApiKey {
            id: ApiKey::id_of(&digest),
            digest,
            owner: OWNER.to_owned(),
            scopes: Scopes::parse(API_KEY_SCOPES)?,
            key_expires_at: None,
            disabled: false,
            created_at: now,
        };
        api_keys.create(&api_key).await?;
    }
    Ok(secret)
}

/// The kept secret, if it is of this kind, or a new one.
fn restored_or_new(kind: SecretKind, kept: Option<SecretString>) -> (SecretString, SecretDigest) {
    let digest = kept.as_ref().and_then(|kept| SecretDigest::of(kind, kept));
    kept.zip(digest).unwrap_or_else(|| generate(kind))
}
