//! JSON without duplicate members, at any depth.
//!
//! RFC 7515 §4 lets a parser take the last of two equal names. An attacker can exploit two parsers that choose
//! differently, so a duplicate is rejected, in an object within an object too: claim rules read those.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The error of a duplicate member.
const DUPLICATE: &str = "duplicate member";

/// A JSON object without duplicate members.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StrictObject(BTreeMap<String, Value>);

impl StrictObject {
    /// A member of any type.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A string member.
    pub fn string(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// An integer member of at least 0. `1.0` and `1e9` are not integers.
    pub fn integer(&self, name: &str) -> Option<u64> {
        self.get(name)?.as_u64()
    }

    /// A nested member, by its JSON pointer (RFC 6901).
    pub fn pointer(&self, pointer: &str) -> Option<Value> {
        self.clone().into_object().pointer(pointer).cloned()
    }

    /// Removes the members that are `null`.
    pub fn drop_nulls(&mut self) {
        self.0.retain(|_, value| !value.is_null());
    }

    /// Sets a member.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// All members.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// All members as a JSON value.
    pub fn into_object(self) -> Value {
        Value::Object(self.0.into_iter().collect())
    }
}

impl From<Map<String, Value>> for StrictObject {
    fn from(object: Map<String, Value>) -> Self {
        Self(object.into_iter().collect())
    }
}

impl<'de> Deserialize<'de> for StrictObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = StrictObject;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<StrictObject, M::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, Distinct(value))) = map.next_entry::<String, Distinct>()? {
                    if members.insert(name, value).is_some() {
                        return Err(M::Error::custom(DUPLICATE));
                    }
                }
                Ok(StrictObject(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// A JSON value without duplicate members at any depth.
pub struct Distinct(pub Value);

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Value;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON value")
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_string<E>(self, value: String) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut values: S) -> Result<Value, S::Error> {
                let mut array = Vec::new();
                while let Some(Distinct(value)) = values.next_element()? {
                    array.push(value);
                }
                Ok(Value::Array(array))
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Value, M::Error> {
                let mut object = Map::new();
                while let Some((name, Distinct(value))) = map.next_entry::<String, Distinct>()? {
                    if object.insert(name, value).is_some() {
                        return Err(M::Error::custom(DUPLICATE));
                    }
                }
                Ok(Value::Object(object))
            }
        }

        deserializer.deserialize_any(Any).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(json: &str) -> Option<StrictObject> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn duplicate_members_are_rejected() {
        assert!(members(r#"{"a":1,"b":2}"#).is_some());
        for bad in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, "[]", "null", "1", ""] {
            assert!(members(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn duplicates_are_rejected_at_every_depth() {
        let nested = r#"{"a":{"b":1,"c":[{"d":null,"e":[1.5,-2,"f",true]}]}}"#;
        assert_eq!(members(nested).unwrap().into_object(), serde_json::from_str::<Value>(nested).unwrap());
        for bad in [
            r#"{"env":{"name":"dev","name":"prod"}}"#,
            r#"{"env":{"name":"dev","\u006eame":"dev"}}"#,
            r#"{"a":[1,{"b":[{"c":1,"c":1}]}]}"#,
            r#"{"a":[[{"":1,"":2}]]}"#,
        ] {
            assert!(members(bad).is_none(), "{bad}");
            assert!(serde_json::from_str::<Distinct>(&format!("[{bad}]")).is_err(), "{bad}");
        }
    }

    /// `serde_json::Value` reads its private member as JSON in a string.
    #[test]
    fn a_raw_value_marker_is_not_interpreted() {
        let text = r#"{"a":{"$serde_json::private::RawValue":"{\"b\":1}"}}"#;
        assert_eq!(members(text).unwrap().pointer("/a/b"), None);
    }

    #[test]
    fn integers_must_be_written_as_integers() {
        for (text, number) in [("1", Some(1)), ("1.0", None), ("1e18", None), ("-1", None), ("\"1\"", None)] {
            assert_eq!(members(&format!(r#"{{"n":{text}}}"#)).unwrap().integer("n"), number, "{text}");
        }
    }
}
