//! The members of a JSON object, none of them twice.
//!
//! RFC 7515 §4 lets a parser take the last of two equal names; two parsers that choose differently can
//! be played against each other, so a second one is refused.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};

/// A JSON object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Members(BTreeMap<String, Value>);

impl Members {
    /// A member, whatever it is.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A member that is a string.
    pub fn string(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// A member that is an integer of at least 0. `1.0` and `1e9` are not integers here.
    pub fn integer(&self, name: &str) -> Option<u64> {
        self.get(name)?.as_u64()
    }

    /// A member of a member, by its JSON pointer (RFC 6901).
    pub fn pointer(&self, pointer: &str) -> Option<Value> {
        self.clone().into_object().pointer(pointer).cloned()
    }

    /// All members.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// All members, as an object again.
    pub fn into_object(self) -> Value {
        Value::Object(self.0.into_iter().collect())
    }
}

impl From<Map<String, Value>> for Members {
    fn from(object: Map<String, Value>) -> Self {
        Self(object.into_iter().collect())
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members, M::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if members.insert(name, value).is_some() {
                        return Err(M::Error::custom("a member stands twice"));
                    }
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(json: &str) -> Option<Members> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn a_member_that_stands_twice_is_refused() {
        assert!(members(r#"{"a":1,"b":2}"#).is_some());
        for bad in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, "[]", "null", "1", ""] {
            assert!(members(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn an_integer_is_written_as_one() {
        for (text, number) in [("1", Some(1)), ("1.0", None), ("1e18", None), ("-1", None), ("\"1\"", None)] {
            assert_eq!(members(&format!(r#"{{"n":{text}}}"#)).unwrap().integer("n"), number, "{text}");
        }
    }
}
