//! JSON objects read strictly: as an object and nothing else, with nothing after it.
//!
//! Serde's derived readers also take an array for a struct (members by position). A signed or
//! sealed envelope must have one spelling of its structure, so that way in is shut here. Members
//! that are missing, doubled or unknown are refused by the derived reader itself, given
//! `deny_unknown_fields`.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

/// Reads one JSON object from all of `json`; `None` if it is anything else.
pub(crate) fn from_object<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    serde_json::from_slice::<Object<T>>(json).ok().map(|Object(value)| value)
}

/// A value that stands in JSON as an object and is read from an object only.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Object)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, PartialEq, Debug)]
    #[serde(deny_unknown_fields)]
    struct Pair {
        a: u8,
        b: u8,
    }

    #[test]
    fn only_an_object_with_exactly_the_members_is_read() {
        assert_eq!(from_object::<Pair>(br#"{"b":2,"a":1}"#), Some(Pair { a: 1, b: 2 }));
        for other in [
            "[1,2]",
            r#"{"a":1}"#,
            r#"{"a":1,"b":2,"c":3}"#,
            r#"{"a":1,"a":1,"b":2}"#,
            r#"{"a":1,"b":2} x"#,
            "",
        ] {
            assert_eq!(from_object::<Pair>(other.as_bytes()), None, "{other}");
        }
    }
}
