//! Families of refresh tokens: one item for each sign-in that can be refreshed.

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

/// The prefix of their keys.
const PREFIX: &str = "REFRESH#";
const HEAD: &str = "HEAD";

/// How long the same token yields the same successor once more, in seconds. Invariant: longer than a
/// function may take, so that a client whose answer was lost can ask again; short, because until then a
/// thief could too.
const GRACE: u64 = 60;

/// A family: a sign-in, and where its chain of tokens stands.
#[derive(Clone, Serialize, Deserialize)]
pub struct Family {
    /// `sid` of its access tokens. Not the family's own id, which only refresh tokens hold.
    pub session_id: String,
    /// The client that the tokens were issued to.
    pub client_id: String,
    /// Who signed in.
    pub username: String,
    /// The user's `sub`.
    pub sub: String,
    /// The user's epoch at the sign-in: in another one the family is dead.
    pub epoch: String,
    /// Who vouched for the user, if it was not a password.
    pub issuer: Option<String>,
    /// The scopes of the sign-in: a refresh gets these or fewer.
    pub scopes: Scopes,
    /// The audience of the sign-in.
    pub audience: Option<String>,
    /// The client's epoch at the sign-in: to a client that was created again the family is dead. Empty for
    /// first-party sign-in; none of a family that began before there were epochs of clients.
    #[serde(default)]
    pub client_epoch: Option<String>,
    /// The email address of the sign-in, if it was known and, of a federated user, verified.
    #[serde(default)]
    pub email: Option<String>,
    /// When the sign-in was, in seconds since 1970; none of a family that began before this was kept.
    #[serde(default)]
    pub created_at: Option<u64>,
    /// The key that a public client must prove to hold (RFC 9449 §5): the one that it began the session with.
    pub key: Option<String>,
    /// The token that is good.
    pub current: SecretDigest,
    /// The one that it follows.
    pub previous: Option<SecretDigest>,
    /// With the previous token it makes the current one.
    pub salt: Option<String>,
    /// When the current token was made, in seconds since 1970.
    pub rotated_at: u64,
    /// When the family ends, however much it is used: see [`Family::ends_at`].
    pub ends_at: u64,
    /// When the family ends if it isn't used: DynamoDB may drop the item then.
    pub expires_at: u64,
    /// A revoked family is dead.
    pub revoked: bool,
}

/// How long a token family lasts, by today's settings.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    /// After the sign-in, in seconds; none issues no refresh tokens.
    pub ttl: Option<u64>,
    /// Without being used, in seconds.
    pub idle: u64,
}

impl Life {
    /// Reads `REFRESH_TOKEN_TTL_SECONDS` and `REFRESH_TOKEN_IDLE_SECONDS`.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        Ok(Self { ttl: settings.refresh_token_ttl()?, idle: settings.refresh_token_idle()? })
    }
}

/// What a token is to its family.
#[derive(Debug, PartialEq, Eq)]
pub enum TokenStatus {
    /// It is the good one.
    Current,
    /// It is the one before, and may be asking again: this salt makes the successor it should have got.
    Retry(String),
    /// Its time is over.
    Dead,
    /// It was used long ago: somebody has a copy.
    Reused,
}

impl Family {
    /// The time by which all its tokens were issued: now, or later if the clock of whoever refreshed it last is ahead
    /// of ours.
    pub fn latest_use(&self, now: u64) -> u64 {
        now.max(self.rotated_at)
    }

    /// Whether the user is still who they were at the sign-in, and signed in the way in which they can: a federated
    /// user at an issuer, every other with a password.
    pub fn belongs_to(&self, account: &Account) -> bool {
        account.sub == self.sub
            && !account.disabled
            && account.epoch == self.epoch
            && account.is_federated() == self.issuer.is_some()
    }

    /// Whether this is still the client that the user signed in through.
    pub fn is_of_client(&self, client: &Client) -> bool {
        client.client_id == self.client_id && client.epoch == self.client_epoch.as_deref().unwrap_or_default()
    }

    /// The email address that a refreshed token holds: the sign-in's. A family from before that was kept has the
    /// user's.
    pub fn email(&self, account: &Account) -> Option<String> {
        match self.created_at {
            Some(_) => self.email.clone(),
            None => account.email.clone(),
        }
    }

    /// When the sign-in was. A family from before that was kept is taken to have begun as late as it can have.
    fn began_at(&self, ttl: u64) -> u64 {
        self.created_at.unwrap_or_else(|| self.ends_at.saturating_sub(ttl))
    }

    /// When the family ends, however much it is used: what its item says, and no later than a family that began then
    /// may last today.
    pub fn ends_at(&self, life: Life) -> u64 {
        life.ttl.map_or(0, |ttl| self.ends_at.min(self.began_at(ttl).saturating_add(ttl)))
    }

    /// When the family ends if it isn't used.
    pub fn idle_ends_at(&self, life: Life) -> u64 {
        let idle = self.rotated_at.saturating_add(life.idle);
        self.ends_at(life).min(self.expires_at).min(idle)
    }

    /// Whether the family has not begun by our clock: no sign-in has made it.
    fn is_of_the_future(&self, life: Life, now: u64) -> bool {
        life.ttl.is_some_and(|ttl| self.began_at(ttl) > now.saturating_add(LEEWAY))
    }

    /// What a token is to this family now.
    pub fn token_status(&self, token: &RefreshToken, life: Life, now: u64) -> TokenStatus {
        if self.revoked || now >= self.idle_ends_at(life) || self.is_of_the_future(life, now) {
            return TokenStatus::Dead;
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

/// The families in the table.
#[derive(Clone)]
pub struct TokenFamilies(Table);

/// The step from one token to the next.
pub struct RotateRequest<'a> {
    /// The token that is current.
    pub from: &'a RefreshToken,
    /// The token that is to be.
    pub to: &'a RefreshToken,
    /// With the first it makes the second.
    pub salt: &'a str,
    /// When the family ends if it isn't used.
    pub expires_at: u64,
}

impl TokenFamilies {
    /// In this table.
    pub fn new(table: Table) -> Self {
        Self(table)
    }

    /// The family of that id.
    pub async fn get(&self, id: &str) -> Result<Option<Family>, StoreError> {
        self.0.get(key(id)).await
    }

    /// Stores a new family.
    pub async fn create(&self, id: &str, family: &Family) -> Result<(), StoreError> {
        self.0.create(key(id), family, None).await
    }

    /// Takes one step, if nobody has taken it. If somebody has, even an earlier try of this very call,
    /// the family as it is now comes back.
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

    /// Kills a family.
    pub async fn revoke(&self, id: &str) -> Result<(), StoreError> {
        match self.0.set(key(id), &json!({"revoked": true})).await {
            // Expired and dropped meanwhile: as dead as can be.
            Err(StoreError::Missing) => Ok(()),
            result => result,
        }
    }
}

fn key(id: &str) -> Key {
    Key::new(PREFIX, id, HEAD)
}
