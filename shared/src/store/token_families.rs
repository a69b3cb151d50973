//! Token families: one item for each sign-in that can be refreshed.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::identity::refresh_token::RefreshToken;
use crate::identity::secrets::SecretDigest;
use crate::jose::jwt::LEEWAY;
use crate::oauth::scope::Scopes;
use crate::runtime::settings::{ConfigError, Settings};
use crate::store::clients::Client;
use crate::store::table::{CONDITION_FAILED_ITEM, Key, StoreError, Table, condition_failed, read};
use crate::store::users::Account;

/// Prefix of the partition key.
const PREFIX: &str = "REFRESH#";
const HEAD: &str = "HEAD";

/// The grace period in seconds, in which the previous token yields the same successor. Invariant: longer than a
/// function may run, so that a client can repeat a request whose response was lost. Short, because a thief could use it
/// too.
const GRACE: u64 = 60;

/// A token family: a sign-in and the state of its refresh tokens.
#[derive(Clone, Serialize, Deserialize)]
pub struct Family {
    /// `sid` of its access tokens. It is not the id of the family, which only the refresh tokens contain.
    pub session_id: String,
    /// Client that the tokens were issued to.
    pub client_id: String,
    /// Username.
    pub username: String,
    /// `sub` of the user.
    pub sub: String,
    /// Epoch of the user at the sign-in. The family ends with it.
    pub epoch: String,
    /// The trusted issuer of a federated sign-in. None after a password.
    pub issuer: Option<String>,
    /// Scopes of the sign-in. A refresh gets these or fewer.
    pub scopes: Scopes,
    /// Audience of the sign-in.
    pub audience: Option<String>,
    /// Epoch of the client at the sign-in. The family ends with it. Empty for first-party sign-in. None for a family
    /// from before epochs of clients.
    #[serde(default)]
    pub client_epoch: Option<String>,
    /// Email address of the sign-in. Of a federated user, only if verified.
    #[serde(default)]
    pub email: Option<String>,
    /// Time of the sign-in, in seconds since 1970. None for a family from before it was stored.
    #[serde(default)]
    pub created_at: Option<u64>,
    /// Thumbprint of the key that a public client must prove (RFC 9449 §5), set at the sign-in.
    pub key: Option<String>,
    /// Digest of the current refresh token.
    pub current: SecretDigest,
    /// Digest of the previous refresh token.
    pub previous: Option<SecretDigest>,
    /// The salt that derives the current token from the previous one.
    pub salt: Option<String>,
    /// When the current token was issued, in seconds since 1970.
    pub rotated_at: u64,
    /// When the family ends even if it is used. See [`Family::ends_at`].
    pub ends_at: u64,
    /// When the family ends without further use, and DynamoDB may delete the item.
    pub expires_at: u64,
    /// Whether the family is revoked.
    pub revoked: bool,
}

/// Lifetimes of token families, by the current settings.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    /// Seconds after the sign-in. If none, no refresh tokens are issued.
    pub ttl: Option<u64>,
    /// Seconds without use.
    pub idle: u64,
}

impl Life {
    /// Reads `REFRESH_TOKEN_TTL_SECONDS` and `REFRESH_TOKEN_IDLE_SECONDS`.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        Ok(Self { ttl: settings.refresh_token_ttl()?, idle: settings.refresh_token_idle()? })
    }
}

/// The status of a refresh token in its family.
#[derive(Debug, PartialEq, Eq)]
pub enum TokenStatus {
    /// The current token.
    Current,
    /// The previous token, within its grace period. This salt derives the successor again.
    Retry(String),
    /// The family has expired or is revoked.
    Ended,
    /// An earlier token, which was used before: reuse.
    Reused,
}

impl Family {
    /// The time by which all tokens of the family were issued. It is later than now if the clock of the function that
    /// refreshed it last is ahead of ours.
    pub fn latest_use(&self, now: u64) -> u64 {
        now.max(self.rotated_at)
    }

    /// Whether the user is unchanged since the sign-in and still signs in the same way: federated or with a password.
    pub fn belongs_to(&self, account: &Account) -> bool {
        account.sub == self.sub
            && !account.disabled
            && account.epoch == self.epoch
            && account.is_federated() == self.issuer.is_some()
    }

    /// Whether this is the client of the sign-in, and was not created again since.
    pub fn is_of_client(&self, client: &Client) -> bool {
        client.client_id == self.client_id && client.epoch == self.client_epoch.as_deref().unwrap_or_default()
    }

    /// Email address for refreshed tokens: that of the sign-in. A family from before it was stored has the user's
    /// address.
    pub fn email(&self, account: &Account) -> Option<String> {
        match self.created_at {
            Some(_) => self.email.clone(),
            None => account.email.clone(),
        }
    }

    /// Time of the sign-in. If it is not stored, the latest possible one.
    fn began_at(&self, ttl: u64) -> u64 {
        self.created_at.unwrap_or_else(|| self.ends_at.saturating_sub(ttl))
    }

    /// When the family ends even if it is used: as stored, and no later than the current settings allow.
    pub fn ends_at(&self, life: Life) -> u64 {
        life.ttl.map_or(0, |ttl| self.ends_at.min(self.began_at(ttl).saturating_add(ttl)))
    }

    /// When the family ends without further use.
    pub fn idle_ends_at(&self, life: Life) -> u64 {
        let idle = self.rotated_at.saturating_add(life.idle);
        self.ends_at(life).min(self.expires_at).min(idle)
    }

    /// Whether the family begins in the future by our clock. No sign-in creates such a family.
    fn is_of_the_future(&self, life: Life, now: u64) -> bool {
        life.ttl.is_some_and(|ttl| self.began_at(ttl) > now.saturating_add(LEEWAY))
    }

    /// The status of a token now.
    pub fn token_status(&self, token: &RefreshToken, life: Life, now: u64) -> TokenStatus {
        if self.revoked || now >= self.idle_ends_at(life) || self.is_of_the_future(life, now) {
            return TokenStatus::Ended;
        }
        if self.current.matches(token.digest()) {
            return TokenStatus::Current;
        }
        let is_previous = self.previous.as_ref().is_some_and(|previous| previous.matches(token.digest()));
        match &self.salt {
            Some(salt) if is_previous && now <= self.rotated_at.saturating_add(GRACE) => {
                TokenStatus::Retry(salt.clone())
            }
            _ => TokenStatus::Reused,
        }
    }
}

/// The token families in the table.
#[derive(Clone)]
pub struct TokenFamilies(Table);

/// A rotation from one refresh token to its successor.
pub struct RotateRequest<'a> {
    /// The current token.
    pub from: &'a RefreshToken,
    /// The successor.
    pub to: &'a RefreshToken,
    /// The salt that derives the successor.
    pub salt: &'a str,
    /// When the family ends without further use.
    pub expires_at: u64,
}

impl TokenFamilies {
    /// The token families of this table.
    pub fn new(table: Table) -> Self {
        Self(table)
    }

    /// The family with this id.
    pub async fn get(&self, id: &str) -> Result<Option<Family>, StoreError> {
        self.0.get(key(id)).await
    }

    /// Stores a new family.
    pub async fn create(&self, id: &str, family: &Family) -> Result<(), StoreError> {
        self.0.create(key(id), family, None).await
    }

    /// Rotates the current token. If it was rotated before, even by an earlier attempt of this call, the family is
    /// returned as it is now.
    pub async fn rotate(&self, step: RotateRequest<'_>, now: u64) -> Result<Option<Family>, StoreError> {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let number = |number: u64| AttributeValue::N(number.to_string());
        let update = self
            .0
            .update(key(step.from.family()))?
            .update_expression(
                "SET #current = :to, previous = :from, salt = :salt, rotated_at = :now, expires_at = :end",
            )
            .condition_expression("#current = :from AND revoked = :no")
            .return_values_on_condition_check_failure(CONDITION_FAILED_ITEM)
            .expression_attribute_names("#current", "current")
            .expression_attribute_values(":from", text(step.from.digest().as_str()))
            .expression_attribute_values(":to", text(step.to.digest().as_str()))
            .expression_attribute_values(":salt", text(step.salt))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":end", number(step.expires_at))
            .expression_attribute_values(":no", AttributeValue::Bool(false));
        match update.send().await {
            Ok(_) => Ok(None),
            Err(error) => match condition_failed(error)? {
                Some(item) => read(item).map(Some),
                None => Err(StoreError::Missing),
            },
        }
    }

    /// Revokes a family.
    pub async fn revoke(&self, id: &str) -> Result<(), StoreError> {
        match self.0.set(key(id), &json!({"revoked": true})).await {
            // The item has expired and was deleted, which is as good as revoked.
            Err(StoreError::Missing) => Ok(()),
            result => result,
        }
    }
}

fn key(id: &str) -> Key {
    Key::new(PREFIX, id, HEAD)
}
