//! JSON pointers (RFC 6901) into answers.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// A place in a JSON document, like `/file/size`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer(Vec<String>);

/// Error for a text that is not a JSON pointer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a JSON pointer; write / before each name, like /file/size")]
pub struct NotAPointer(String);

impl Pointer {
    /// A member of the document's outermost object.
    pub fn of_member(name: &str) -> Self {
        Self(vec![name.to_owned()])
    }
}

impl FromStr for Pointer {
    type Err = NotAPointer;

    fn from_str(text: &str) -> Result<Self, NotAPointer> {
        let Some(names) = text.strip_prefix('/') else { return Err(NotAPointer(text.to_owned())) };
        // In this order: `~01` stands for `~1` (RFC 6901, 4).
        let unescaped = names.split('/').map(|name| name.replace("~1", "/").replace("~0", "~"));
        Ok(Self(unescaped.collect()))
    }
}

impl fmt::Display for Pointer {
    /// A member of the outermost object by its name, everything else as a pointer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [name] = self.0.as_slice() {
            return f.write_str(name);
        }
        for name in &self.0 {
            write!(f, "/{}", name.replace('~', "~0").replace('/', "~1"))?;
        }
        Ok(())
    }
}

/// A JSON document. Unlike those of `serde_json`, its objects keep members whose name is there twice.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// An object's members in their order.
    Object(Vec<(String, Json)>),
    /// An array's elements.
    Array(Vec<Json>),
    /// A text.
    Text(String),
    /// A number.
    Number(Number),
    /// `true` or `false`.
    Bool(bool),
    /// `null`.
    Other,
}

impl Json {
    /// Every value at this place: several where a name is there twice.
    pub fn at(&self, pointer: &Pointer) -> Vec<&Self> {
        let mut found = vec![self];
        for name in &pointer.0 {
            found = found.into_iter().flat_map(|value| value.members(name)).collect();
        }
        found
    }

    fn members(&self, name: &str) -> Vec<&Self> {
        match self {
            Self::Object(members) => {
                members.iter().filter(|(member, _)| member == name).map(|(_, value)| value).collect()
            }
            Self::Array(elements) => {
                // RFC 6901, section 4: an element is named by its index.
                let element = name.parse().ok().and_then(|index: usize| elements.get(index));
                element.into_iter().collect()
            }
            _ => Vec::new(),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfAny;
        impl<'de> Visitor<'de> for OfAny {
            type Value = Json;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Json, E> {
                Ok(Json::Bool(flag))
            }

            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Other)
            }

            fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
                Ok(Json::Number(number.into()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
                Ok(Json::Number(number.into()))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
                // JSON has no infinite numbers.
                Ok(Number::from_f64(number).map_or(Json::Other, Json::Number))
            }

            fn visit_str<E>(self, text: &str) -> Result<Json, E> {
                Ok(Json::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = seq.next_element()? {
                    elements.push(element);
                }
                Ok(Json::Array(elements))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
                // A list and not a map: of two members with one name, a map would keep only the last.
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Json::Object(members))
            }
        }
        deserializer.deserialize_any(OfAny)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, pointer: &str) -> Vec<Json> {
        let json: Json = serde_json::from_str(text).expect("is JSON");
        json.at(&pointer.parse().expect("is a pointer")).into_iter().cloned().collect()
    }

    /// A pointer as messages have it.
    fn printed(text: &str) -> String {
        text.parse::<Pointer>().expect("is a pointer").to_string()
    }

    #[test]
    fn a_pointer_leads_through_objects_and_arrays() {
        let text = r#"{"files": [{"size": 1}, {"size": 2.5}], "a/b": "x", "m~n": true}"#;
        assert_eq!(found(text, "/files/1/size"), [Json::Number(Number::from_f64(2.5).expect("is finite"))]);
        assert_eq!(found(text, "/a~1b"), [Json::Text("x".to_owned())]);
        assert_eq!(found(text, "/m~0n"), [Json::Bool(true)]);
        assert_eq!(found(text, "/files/2/size"), []);
        assert_eq!(found(text, "/a~1b/c"), []);
    }

    #[test]
    fn a_name_that_is_there_twice_leads_to_both() {
        assert_eq!(found(r#"{"n": 1, "n": 2}"#, "/n"), [Json::Number(1.into()), Json::Number(2.into())]);
    }

    #[test]
    fn a_pointer_begins_with_a_slash() {
        assert!("size".parse::<Pointer>().is_err() && "".parse::<Pointer>().is_err());
        assert_eq!(printed("/size"), "size");
        assert_eq!(printed("/a~1b/c"), "/a~1b/c");
    }
}
