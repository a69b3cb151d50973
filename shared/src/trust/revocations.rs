//! Revocations of tokens, token families, clients and subjects.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::jose::jwt::LEEWAY;
use crate::runtime::settings::MAX_ACCESS_TOKEN_TTL;
use crate::store::table::{Item, Key, StoreError, condition_failed, number};
use crate::trust::access_token::AccessClaims;
use crate::trust::snapshot::TrustSnapshot;
use crate::trust::store::{PARTITION, TrustStore};

/// Prefix of the sort key of revocations.
const REVOKED: &str = "REVOKED#";

/// How much later than a revocation a last token may be issued, in seconds: by a sign-in in progress, or because the
/// clock of the revoking process is slow.
const UNDER_WAY: u64 = 300;

/// How long a revocation of tokens issued before `moment` must be stored.
fn stored_until(moment: u64) -> u64 {
    moment + MAX_ACCESS_TOKEN_TTL + LEEWAY + UNDER_WAY
}

/// A stored revocation.
///
/// The policy of a function names the attributes that it may write here. None of them is an attribute of the keys.
#[derive(Serialize, Deserialize)]
pub(super) struct Revocation {
    /// Tokens with an earlier `iat` are revoked, in seconds since 1970. [`BLOCKED`] revokes all.
    pub(super) not_before: u64,
    /// `not_before` from before the subject was blocked. Unblocking does not set an earlier one.
    #[serde(default, skip_serializing)]
    mark: u64,
    /// When the last revoked token has expired, in seconds since 1970, and DynamoDB may delete the item.
    pub(super) expires_at: u64,
}

/// `not_before` of a blocked subject and of a revoked token or token family.
const BLOCKED: u64 = u64::MAX;

/// What a revocation applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Revoked<'a> {
    /// All tokens of a client or of a subject, or an API key.
    Subject(&'a str),
    /// All tokens of a subject from one client. The stored subject is a value that no subject has, which earlier
    /// releases ignore.
    SubjectAtClient { subject: &'a str, client_id: &'a str },
    /// All access tokens of a token family (`sid`).
    Session(&'a str),
    /// One token (`jti`).
    Token(&'a str),
}

impl<'a> Revoked<'a> {
    fn sort_key(self) -> String {
        match self {
            Self::Subject(id) => format!("{REVOKED}sub#{id}"),
            Self::SubjectAtClient { subject, client_id } => format!("{REVOKED}sub#{subject}#{client_id}"),
            Self::Session(id) => format!("{REVOKED}sid#{id}"),
            Self::Token(id) => format!("{REVOKED}jti#{id}"),
        }
    }

    fn key(self) -> Key {
        Key::new(PARTITION, "", self.sort_key())
    }

    /// Parses a sort key.
    pub(super) fn parse(sort_key: &'a str) -> Option<Self> {
        let (kind, id) = sort_key.strip_prefix(REVOKED)?.split_once('#')?;
        match kind {
            "sub" => Some(match id.split_once('#') {
                Some((subject, client_id)) => Self::SubjectAtClient { subject, client_id },
                None => Self::Subject(id),
            }),
            "sid" => Some(Self::Session(id)),
            "jti" => Some(Self::Token(id)),
            _ => None,
        }
    }
}

impl TrustStore {
    /// Reads the revocations that can apply to this token.
    pub(super) async fn revocations_of(&self, claims: &AccessClaims) -> Result<Vec<Item>, StoreError> {
        let AccessClaims { subject, client_id, .. } = claims;
        let item = async |revoked: Option<Revoked<'_>>| match revoked {
            Some(revoked) => self.0.get_item(revoked.key()).await,
            None => Ok(None),
        };
        let another = Some(Revoked::Subject(client_id)).filter(|_| client_id != subject);
        let (subject, client, grant, session, token) = tokio::try_join!(
            item(Some(Revoked::Subject(subject))),
            item(another),
            item(Some(Revoked::SubjectAtClient { subject, client_id })),
            item(claims.session_id.as_deref().map(Revoked::Session)),
            item(Some(Revoked::Token(&claims.token_id))),
        )?;
        Ok([subject, client, grant, session, token].into_iter().flatten().collect())
    }

    /// Whether a token is revoked now.
    pub async fn is_revoked(&self, claims: &AccessClaims, now: u64) -> Result<bool, StoreError> {
        Ok(TrustSnapshot::read(self.revocations_of(claims).await?, now)?.is_revoked(claims))
    }

    /// Whether a token family is revoked.
    pub async fn is_session_revoked(&self, session_id: &str) -> Result<bool, StoreError> {
        let revocation = self.0.get::<Revocation>(Revoked::Session(session_id).key()).await?;
        Ok(revocation.is_some())
    }

    /// Blocks a subject: all its tokens are rejected until [`TrustStore::unblock`].
    pub async fn block(&self, subject: &str, now: u64) -> Result<(), StoreError> {
        let update = self
            .0
            .update(Revoked::Subject(subject).key())?
            .update_expression(
                "SET mark = if_not_exists(not_before, :none), not_before = :blocked, expires_at = :end",
            )
            .condition_expression("attribute_not_exists(not_before) OR not_before < :blocked")
            .expression_attribute_values(":none", number(0))
            .expression_attribute_values(":blocked", number(BLOCKED))
            .expression_attribute_values(":end", number(stored_until(now)));
        match update.send().await {
            Ok(_) => Ok(()),
            // The subject is already blocked. Only the expiry is extended.
            Err(error) => {
                condition_failed(error)?;
                let end = json!({"expires_at": stored_until(now)});
                self.0.set(Revoked::Subject(subject).key(), &end).await
            }
        }
    }

    /// Unblocks a subject, and returns whether it was blocked. Tokens issued before `not_before` stay revoked, or
    /// before the mark from before the block, if that is later.
    pub async fn unblock(&self, subject: &str, not_before: u64) -> Result<bool, StoreError> {
        let found = self.0.get::<Revocation>(Revoked::Subject(subject).key()).await?;
        let Some(blocked) = found.filter(|revocation| revocation.not_before == BLOCKED) else {
            return Ok(false);
        };
        let not_before = not_before.max(blocked.mark);
        let unblocked = Revocation { not_before, mark: 0, expires_at: stored_until(not_before) };
        let update = self
            .0
            .setting(Revoked::Subject(subject).key(), &unblocked)?
            .condition_expression("not_before = :blocked OR not_before = :unblocked")
            .expression_attribute_values(":blocked", number(BLOCKED))
            // A retry of an applied write finds this value.
            .expression_attribute_values(":unblocked", number(not_before));
        match update.send().await {
            Ok(_) => Ok(true),
            Err(error) => condition_failed(error).and(Err(StoreError::Changed)),
        }
    }

    /// Revokes the tokens of a subject that were issued before a time. A blocked subject stays blocked.
    pub async fn revoke_earlier(&self, subject: &str, not_before: u64) -> Result<(), StoreError> {
        self.set_not_before(Revoked::Subject(subject), not_before).await
    }

    /// Revokes the tokens of a subject from one client that were issued before a time.
    pub async fn revoke_earlier_at_client(
        &self,
        subject: &str,
        client_id: &str,
        not_before: u64,
    ) -> Result<(), StoreError> {
        self.set_not_before(Revoked::SubjectAtClient { subject, client_id }, not_before).await
    }

    /// Sets the time before which tokens are revoked, unless a later one is set.
    async fn set_not_before(&self, revoked: Revoked<'_>, not_before: u64) -> Result<(), StoreError> {
        let revocation = Revocation { not_before, mark: 0, expires_at: stored_until(not_before) };
        let update = self
            .0
            .setting(revoked.key(), &revocation)?
            .condition_expression("attribute_not_exists(not_before) OR not_before < :not_before")
            .expression_attribute_values(":not_before", number(not_before));
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error) => condition_failed(error).map(drop),
        }
    }

    /// Revokes the access tokens of a token family.
    pub async fn revoke_session(&self, session_id: &str, now: u64) -> Result<(), StoreError> {
        self.revoke(Revoked::Session(session_id), stored_until(now)).await
    }

    /// Revokes one token, which expires at `expires_at`.
    pub async fn revoke_token(&self, token_id: &str, expires_at: u64) -> Result<(), StoreError> {
        self.revoke(Revoked::Token(token_id), expires_at.saturating_add(LEEWAY)).await
    }

    async fn revoke(&self, revoked: Revoked<'_>, expires_at: u64) -> Result<(), StoreError> {
        self.0.upsert(revoked.key(), &Revocation { not_before: BLOCKED, mark: 0, expires_at }).await
    }
}
