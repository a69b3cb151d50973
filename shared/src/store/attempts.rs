//! Attempts to sign in: reserved before the password is looked at, given back when it was right.
//!
//! Three things are counted, so that neither one source, nor one account, nor many sources together can
//! guess for long: tries at one account from one source, tries from one source at whatever account, and
//! tries at one account from wherever. A reservation is the addition of an id to a set: adding it twice,
//! as a retry does, changes nothing.

use std::net::IpAddr;

use aws_sdk_dynamodb::types::AttributeValue;

use super::table::{Key, StoreError, Table, condition_failed, unreachable};
use super::usernames::fold;
use crate::identity::secrets::{hex_digest, random_id};

/// The prefix of their keys.
const PREFIX: &str = "ATTEMPT#";
const WINDOW: &str = "WINDOW#";

/// How many tries there are in how many seconds. Invariant: an attacker at one source gets nowhere near
/// the account's own limit, so the owner's right password goes on working from elsewhere; NIST SP
/// 800-63B §5.2.2 wants at most 100 for an account.
const PER_ACCOUNT_AND_SOURCE: Limit = Limit { tries: 10, seconds: 900 };
const PER_SOURCE: Limit = Limit { tries: 100, seconds: 900 };
const PER_ACCOUNT: Limit = Limit { tries: 100, seconds: 3600 };

#[derive(Clone, Copy)]
struct Limit {
    tries: usize,
    seconds: u64,
}

/// The attempts in the table.
#[derive(Clone)]
pub struct Attempts(Table);

/// A try that is counted until it is given back.
pub struct Reservation {
    id: String,
    account_and_source: Key,
    source: Key,
    account: Key,
}

/// What came of asking for a try.
pub enum Turn {
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
    pub async fn reserve(&self, username: &str, source: &str, now: u64) -> Result<Turn, StoreError> {
        let (account, source) = (account_key(username), hex_digest(&network(source)));
        let window = |limit: Limit| format!("{WINDOW}{}", now - now % limit.seconds);
        let key = |name: String, sort_key: String| Key::new(PREFIX, &name, sort_key);
        let reservation = Reservation {
            id: random_id(""),
            account_and_source: key(account.clone(), format!("{}#{source}", window(PER_ACCOUNT_AND_SOURCE))),
            source: key(format!("source#{source}"), window(PER_SOURCE)),
            account: key(account, window(PER_ACCOUNT)),
        };
        let id = &reservation.id;
        let (here, from_here) = tokio::try_join!(
            self.add(&reservation.account_and_source, PER_ACCOUNT_AND_SOURCE, id, now),
            self.add(&reservation.source, PER_SOURCE, id, now),
        )?;
        if !from_here {
            return Ok(Turn::TooMany(PER_SOURCE.seconds - now % PER_SOURCE.seconds));
        }
        // Only now: what one source may not even try can't use up the account's own tries.
        if !here || !self.add(&reservation.account, PER_ACCOUNT, id, now).await? {
            return Ok(Turn::Locked);
        }
        Ok(Turn::Reserved(reservation))
    }

    /// Gives a try back whose password was right: it was no guess, and those before it from the same
    /// source were slips of the finger.
    pub async fn give_back(&self, reservation: Reservation) -> Result<(), StoreError> {
        let Reservation { id, account_and_source, source, account } = reservation;
        tokio::try_join!(
            self.0.delete(account_and_source),
            self.remove(source, &id),
            self.remove(account, &id)
        )
        .map(drop)
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

    async fn add(&self, key: &Key, limit: Limit, id: &str, now: u64) -> Result<bool, StoreError> {
        let end = now - now % limit.seconds + limit.seconds;
        let update = self
            .0
            .update(key.clone())?
            .update_expression("SET expires_at = :end ADD tries :set")
            .condition_expression(
                "attribute_not_exists(tries) OR size(tries) < :limit OR contains(tries, :id)",
            )
            .expression_attribute_values(":set", AttributeValue::Ss(vec![id.to_owned()]))
            .expression_attribute_values(":id", AttributeValue::S(id.to_owned()))
            .expression_attribute_values(":limit", AttributeValue::N(limit.tries.to_string()))
            .expression_attribute_values(":end", AttributeValue::N(end.to_string()));
        match update.send().await {
            Ok(_) => Ok(true),
            Err(error) => condition_failed(error).map(|_| false),
        }
    }

    async fn remove(&self, key: Key, id: &str) -> Result<(), StoreError> {
        let update = self
            .0
            .update(key)?
            .update_expression("DELETE tries :set")
            .expression_attribute_values(":set", AttributeValue::Ss(vec![id.to_owned()]));
        update.send().await.map(drop).map_err(unreachable)
    }
}

/// A name that was typed may be a password in the wrong field: only its digest is stored.
fn account_key(username: &str) -> String {
    format!("account#{}", hex_digest(&fold(username)))
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
