//! JSON objects as a token has to hold them: header and claims.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Error, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// A JSON object with each name once. serde reads a struct from an array as well, and of a name that is there twice it
/// takes one; another parser of the same token might take the other.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Object(pub Map<String, Value>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Object, A::Error> {
        let mut object = Map::new();
        while let Some((name, value)) = entries.next_entry::<String, Value>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a name that is there twice"));
            }
        }
        Ok(Object(object))
    }
}

impl Object {
    /// The text of this name; nothing where it is not there, and an error where it is no text.
    pub fn text(&self, name: &str) -> Result<Option<&str>, NotAText> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(NotAText),
        }
    }
}

/// A `T` that was read from a JSON object with each name once. Costs less than an [`Object`] that a `T` is made of.
#[derive(Debug)]
pub(super) struct Strict<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Strict<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(StrictVisitor(PhantomData))
    }
}

struct StrictVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for StrictVisitor<T> {
    type Value = Strict<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Strict<T>, A::Error> {
        let unique = Unique { entries, names: Vec::new() };
        T::deserialize(MapAccessDeserializer::new(unique)).map(Strict)
    }
}

/// The entries of an object, of which none may have the name of another.
struct Unique<A> {
    entries: A,
    names: Vec<String>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Unique<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let Some(name) = self.entries.next_key::<String>()? else { return Ok(None) };
        if self.names.contains(&name) {
            return Err(A::Error::custom("a name that is there twice"));
        }
        let key = seed.deserialize(name.as_str().into_deserializer())?;
        self.names.push(name);
        Ok(Some(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.entries.next_value_seed(seed)
    }
}

/// Error for a value that is not a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotAText;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_object_with_each_name_once_is_read() {
        assert!(serde_json::from_str::<Object>(r#"{"a":1,"b":{"a":2}}"#).is_ok());
        for text in [r#"{"a":1,"a":1}"#, r#"["a"]"#, "null", "5", r#""a""#, r#"{"a":1}x"#] {
            assert!(serde_json::from_str::<Object>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_struct_is_read_as_strictly() {
        #[derive(Debug, Deserialize)]
        struct One {
            #[serde(rename = "a")]
            _a: u64,
        }
        assert!(serde_json::from_str::<Strict<One>>(r#"{"b":[2],"a":1}"#).is_ok());
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":1,"b":1,"b":2}"#, "[1]", "1", r#"{"a":"1"}"#, "{}"] {
            assert!(serde_json::from_str::<Strict<One>>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_text_is_a_text() {
        let object: Object = serde_json::from_str(r#"{"a":"x","b":null}"#).expect("is one");
        assert_eq!(object.text("a"), Ok(Some("x")));
        assert_eq!(object.text("b"), Err(NotAText));
        assert_eq!(object.text("c"), Ok(None));
    }
}
