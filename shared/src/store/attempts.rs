//! Attempts to sign in: reserved before the password is looked at, given back when it was right.
//!
//! Three things are counted, so that neither one source, nor one account, nor many sources together can
//! guess for long: tries at one account from one source, tries from one source at whatever account, and
//! tries at one account from wherever. A reservation is the addition of an id to a set: adding it twice,
//! as a retry does, changes nothing. The first and the last are two sets of one item, the account's: what
//! is added to one is added to both, or to none.

use std::net::IpAddr;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::identity::secrets::{hex_digest, random_id};
use crate::identity::usernames::canonicalize;
use crate::store::table::{Key, StoreError, Table, condition_failed, unreachable};

/// The prefix of their keys.
const PREFIX: &str = "ATTEMPT#";

/// How many tries there are in how many seconds. Invariant: an attacker at one source gets nowhere near
/// the account's own limit, so the owner's right password goes on working from elsewhere; NIST SP
/// 800-63B §5.2.2 wants at most 100 for an account.
const PER_ACCOUNT_AND_SOURCE: Limit = Limit { tries: 10, seconds: 900 };
const PER_SOURCE: Limit = Limit { tries: 100, seconds: 900 };
const PER_ACCOUNT: Limit = Limit { tries: 100, seconds: 3600 };

/// A source's own set in an account's item ends with the item: its windows fill the account's.
const _: () = assert!(PER_ACCOUNT.seconds.is_multiple_of(PER_ACCOUNT_AND_SOURCE.seconds));

/// How many characters of a source's digest name its set. Invariant: sources that share a set share its
/// tries, so nobody may find another that shares theirs by chance; and with a set for each of its 100 tries
/// an account's item is still a few kilobytes, which every further try pays for.
const SOURCE_DIGITS: usize = 16;

#[derive(Clone, Copy)]
struct Limit {
    tries: usize,
    seconds: u64,
}

impl Limit {
    /// When the window began that we are in.
    fn window(self, now: u64) -> u64 {
        now - now % self.seconds
    }

    /// The key of what is counted by this name in that window.
    fn key(self, name: &str, now: u64) -> Key {
        Key::new(PREFIX, name, format!("WINDOW#{}", self.window(now)))
    }

    /// How much of it is left, in seconds.
    fn left(self, now: u64) -> u64 {
        self.seconds - now % self.seconds
    }
}

/// The attempts in the table.
#[derive(Clone)]
pub struct Attempts(Table);

/// A try that is counted until it is given back.
pub struct Reservation {
    id: String,
    source: Key,
    account: Key,
    /// The name of the source's own set in the account's item.
    from: String,
}

/// What came of asking for a try.
pub enum AttemptOutcome {
    /// It may be taken.
    Reserved(Reservation),
    /// Not at this account, for a while.
    Locked,
    /// Not from this source, for so many seconds.
    TooMany(u64),
}

impl Attempts {
    /// In this table.
    pub fn new(table: Table) -> Self {
        Self(table)
    }

    /// Reserves a try at an account, which need not exist, from a source.
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
        // Only now: what one source may not even try can't use up the account's own tries.
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

    /// Gives a try back whose password was right: it was no guess, and those before it from the same
    /// source were slips of the finger.
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
        tokio::try_join!(at_source.send(), at_account.send()).map(drop).map_err(unreachable)
    }

    /// Forgets every try at an account.
    pub async fn forget(&self, username: &str) -> Result<(), StoreError> {
        let name = account_key(username);
        for item in self.0.partition(&format!("{PREFIX}{name}")).await? {
            if let Some(Ok(sort_key)) = item.get("sk").map(AttributeValue::as_s) {
                self.0.delete(Key::new(PREFIX, &name, sort_key)).await?;
            }
        }
        Ok(())
    }

    /// An update that can add an id to the tries of a window, which ends in time.
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

/// Whether an update's condition held, and it was made.
async fn applied(update: UpdateItemFluentBuilder) -> Result<bool, StoreError> {
    match update.send().await {
        Ok(_) => Ok(true),
        Err(error) => condition_failed(error).map(|_| false),
    }
}

fn number(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// A name that was typed may be a password in the wrong field: only its digest is stored.
fn account_key(username: &str) -> String {
    format!("account#{}", hex_digest(&canonicalize(username)))
}

/// Whoever has one IPv6 address has the other 2^64 of its network too (RFC 6177 §2).
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
    fn a_source_is_an_address_or_a_network() {
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
    fn an_account_is_one_however_it_is_written() {
        assert_eq!(account_key("Ada"), account_key("aDA"));
        assert!(!account_key("hunter2").contains("hunter2"));
    }
}
