//! Sign-in attempts. An attempt is reserved before the password is verified, and released if the password is right.
//!
//! There are three limits, against guessing from one source, at one account, and from many sources together:
//!
//! - attempts at one account from one source,
//! - attempts from one source at all accounts,
//! - attempts at one account from all sources.
//!
//! A reservation adds an id to a set, so that a retry changes nothing. The first and the last limit are two sets of the
//! account's item, and one update writes both.

use std::net::IpAddr;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::identity::secrets::{hex_digest, random_id};
use crate::identity::usernames::canonicalize;
use crate::store::table::{Key, StoreError, Table, condition_failed, number, store_unavailable};

/// Prefix of the partition key.
const PREFIX: &str = "ATTEMPT#";

/// Attempts in a window of seconds. Invariant: an attacker at one source stays far below the limit of the account, so
/// that the owner can sign in from elsewhere. NIST SP 800-63B §5.2.2 allows at most 100 for an account.
const PER_ACCOUNT_AND_SOURCE: Limit = Limit { tries: 10, seconds: 900 };
const PER_SOURCE: Limit = Limit { tries: 100, seconds: 900 };
const PER_ACCOUNT: Limit = Limit { tries: 100, seconds: 3600 };

/// The set of a source expires with the account's item. Its windows must therefore divide those of the account.
const _: () = assert!(PER_ACCOUNT.seconds.is_multiple_of(PER_ACCOUNT_AND_SOURCE.seconds));

/// Length of the digest that names the set of a source. Invariant: long enough that two sources don't share a set, and
/// short enough that the account's item stays at a few kilobytes with a set for each of its 100 attempts, because each
/// attempt is charged by the size of the item.
const SOURCE_DIGITS: usize = 16;

#[derive(Clone, Copy)]
struct Limit {
    tries: usize,
    seconds: u64,
}

impl Limit {
    /// Start of the current window.
    fn window(self, now: u64) -> u64 {
        now - now % self.seconds
    }

    /// The item's key for this name in the current window.
    fn key(self, name: &str, now: u64) -> Key {
        Key::new(PREFIX, name, format!("WINDOW#{}", self.window(now)))
    }

    /// Seconds until the window ends.
    fn left(self, now: u64) -> u64 {
        self.seconds - now % self.seconds
    }
}

/// The attempts in the table.
#[derive(Clone)]
pub struct Attempts(Table);

/// A counted attempt, which can be released.
pub struct Reservation {
    id: String,
    source: Key,
    account: Key,
    /// The name of the source's set in the account's item.
    from: String,
}

/// The result of a reservation.
pub enum AttemptOutcome {
    /// The attempt is allowed.
    Reserved(Reservation),
    /// The account is locked for attempts from this source.
    Locked,
    /// The source has used up its attempts for this number of seconds.
    TooMany(u64),
}

impl Attempts {
    /// The attempts of this table.
    pub fn new(table: Table) -> Self {
        Self(table)
    }

    /// Reserves an attempt at an account, which need not exist, from a source.
    pub async fn reserve(
        &self,
        username: &str,
        source: &str,
        now: u64,
    ) -> Result<AttemptOutcome, StoreError> {
        let digest = hex_digest(&network(source));
        let short = digest.get(..SOURCE_DIGITS).unwrap_or(&digest);
        let reservation = Reservation {
            id: random_id(""),
            source: PER_SOURCE.key(&format!("source#{digest}"), now),
            account: PER_ACCOUNT.key(&account_key(username), now),
            from: format!("{short}#{}", PER_ACCOUNT_AND_SOURCE.window(now)),
        };
        let from_here = self
            .adding(&reservation.source, PER_SOURCE, &reservation.id, now)?
            .update_expression("SET expires_at = :end ADD tries :set")
            .condition_expression(
                "contains(tries, :id) OR attribute_not_exists(tries) OR size(tries) < :limit",
            );
        if !applied(from_here).await? {
            return Ok(AttemptOutcome::TooMany(PER_SOURCE.left(now)));
        }
        // After the limit of the source, so that a source over its limit can't use up the attempts of an account.
        let here = self
            .adding(&reservation.account, PER_ACCOUNT, &reservation.id, now)?
            .update_expression("SET expires_at = :end ADD tries :set, #from :set")
            .condition_expression(
                "contains(tries, :id) OR ((attribute_not_exists(tries) OR size(tries) < :limit) \
                 AND (attribute_not_exists(#from) OR size(#from) < :from_limit))",
            )
            .expression_attribute_names("#from", &reservation.from)
            .expression_attribute_values(":from_limit", number(PER_ACCOUNT_AND_SOURCE.tries));
        Ok(if applied(here).await? { AttemptOutcome::Reserved(reservation) } else { AttemptOutcome::Locked })
    }

    /// Releases an attempt with the right password, together with the earlier ones at this account from the same
    /// source.
    pub async fn release(&self, reservation: Reservation) -> Result<(), StoreError> {
        let Reservation { id, source, account, from } = reservation;
        let set = AttributeValue::Ss(vec![id]);
        let at_source = self
            .0
            .update(source)?
            .update_expression("DELETE tries :set")
            .expression_attribute_values(":set", set.clone());
        let at_account = self
            .0
            .update(account)?
            .update_expression("DELETE tries :set REMOVE #from")
            .expression_attribute_names("#from", from)
            .expression_attribute_values(":set", set);
        tokio::try_join!(at_source.send(), at_account.send()).map(drop).map_err(store_unavailable)
    }

    /// Resets the attempts at an account.
    pub async fn reset(&self, username: &str) -> Result<(), StoreError> {
        let name = account_key(username);
        for item in self.0.partition(&format!("{PREFIX}{name}")).await? {
            if let Some(Ok(sort_key)) = item.get("sk").map(AttributeValue::as_s) {
                self.0.delete(Key::new(PREFIX, &name, sort_key)).await?;
            }
        }
        Ok(())
    }

    /// The update that adds an id to the attempts of a window.
    fn adding(
        &self,
        key: &Key,
        limit: Limit,
        id: &str,
        now: u64,
    ) -> Result<UpdateItemFluentBuilder, StoreError> {
        let update = self.0.update(key.clone())?;
        Ok(update
            .expression_attribute_values(":set", AttributeValue::Ss(vec![id.to_owned()]))
            .expression_attribute_values(":id", AttributeValue::S(id.to_owned()))
            .expression_attribute_values(":limit", number(limit.tries))
            .expression_attribute_values(":end", number(now + limit.left(now))))
    }
}

/// Whether the condition of an update held and the update was applied.
async fn applied(update: UpdateItemFluentBuilder) -> Result<bool, StoreError> {
    match update.send().await {
        Ok(_) => Ok(true),
        Err(error) => condition_failed(error).map(|_| false),
    }
}

/// Stored as a digest, because a caller may have typed the password in the field of the username.
fn account_key(username: &str) -> String {
    format!("account#{}", hex_digest(&canonicalize(username)))
}

/// An IPv6 source counts as its network, because a caller with one address has all 2^64 of them (RFC 6177 §2).
fn network(source: &str) -> String {
    match source.parse().map(|address: IpAddr| address.to_canonical()) {
        Ok(IpAddr::V6(address)) => {
            let [one, two, three, four, ..] = address.segments();
            format!("{one:x}:{two:x}:{three:x}:{four:x}::/64")
        }
        Ok(address) => address.to_string(),
        Err(_) => source.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_an_ipv4_address_or_an_ipv6_network() {
        for (source, name) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
            ("", ""),
        ] {
            assert_eq!(network(source), name, "{source}");
        }
    }

    #[test]
    fn spellings_of_a_username_are_one_account() {
        assert_eq!(account_key("Ada"), account_key("aDA"));
        assert!(!account_key("hunter2").contains("hunter2"));
    }
}
