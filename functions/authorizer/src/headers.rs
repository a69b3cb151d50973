//! The headers of an event that the authorizer reads.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use shared::trust::proof_of_possession;

/// Their names. Most requests have a dozen other headers: those are skipped, not stored.
const READ: [&str; 3] = ["authorization", "x-api-key", proof_of_possession::HEADER];

/// Headers by lower-case names. API Gateway keeps the caller's case, and names may differ in case alone.
pub struct Headers<V>(Vec<(&'static str, V)>);

impl<V> Headers<V> {
    /// All values of a header.
    pub fn get(&self, name: &str) -> impl Iterator<Item = &V> {
        debug_assert!(READ.contains(&name), "the header {name} is not in READ");
        self.0.iter().filter(move |(found, _)| *found == name).map(|(_, value)| value)
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Headers<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for All<V> {
            type Value = Headers<V>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("headers")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Headers<V>, M::Error> {
                let mut headers = Vec::new();
                while let Some(Name(name)) = map.next_key()? {
                    match name {
                        Some(name) => headers.push((name, map.next_value()?)),
                        None => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(Headers(headers))
            }
        }

        deserializer.deserialize_map(All(PhantomData))
    }
}

/// The name of a header, if it is one of [`READ`].
struct Name(Option<&'static str>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Name;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the name of a header")
            }

            fn visit_str<E: Error>(self, sent: &str) -> Result<Name, E> {
                Ok(Name(READ.into_iter().find(|name| name.eq_ignore_ascii_case(sent))))
            }
        }

        deserializer.deserialize_str(Text)
    }
}
