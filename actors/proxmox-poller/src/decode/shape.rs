//! Lists, objects and tables as Proxmox VE really sends them: an empty list where an object belongs and the other way round, null for
//! nothing, rows that are no rows. What does not fit is left out; only what is no JSON at all fails.

use super::scalar::Text;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// The answer is not what the API sends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer is not Proxmox VE's JSON ({0})")]
pub struct DecodeError(pub String);

/// An object, if it is one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Object<T>(pub(crate) Option<T>);

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(None)
    }
}

/// The objects of a list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// The members of an object, in their order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Table<T>(pub(crate) Vec<(String, T)>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

macro_rules! scalars_are {
    ($nothing:expr) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any value")
        }
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($nothing)
        }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($nothing)
        }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok($nothing)
        }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($nothing)
        }
        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok($nothing)
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($nothing)
        }
    };
}

fn skip_list<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<(), A::Error> {
    while seq.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

fn skip_object<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;
    scalars_are!(Object(None));
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        skip_list(seq).map(|()| Object(None))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|value| Object(Some(value)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ObjectVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;
    scalars_are!(List(Vec::new()));
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut rows = Vec::new();
        while let Some(Object(row)) = seq.next_element()? {
            rows.extend(row);
        }
        Ok(List(rows))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        skip_object(map).map(|()| List(Vec::new()))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

struct TableVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for TableVisitor<T> {
    type Value = Table<T>;
    scalars_are!(Table(Vec::new()));
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        skip_list(seq).map(|()| Table(Vec::new()))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Table(entries))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TableVisitor(PhantomData))
    }
}

/// Around every answer.
#[derive(serde::Deserialize)]
struct Envelope<T> {
    #[serde(default = "none", bound(deserialize = "T: Deserialize<'de>"))]
    data: Option<T>,
}

fn none<T>() -> Option<T> {
    None
}

fn unwrap<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, DecodeError> {
    // Names and comments of guests are not always UTF-8; a broken letter must not cost the whole poll.
    let text = String::from_utf8_lossy(body);
    if text.trim_start().starts_with('<') {
        return Err(DecodeError("it is a web page: is there a proxy or another service at this address?".to_owned()));
    }
    let answer: Object<Envelope<T>> = serde_json::from_str(&text).map_err(|error| DecodeError(error.to_string()))?;
    let envelope = answer.0.ok_or_else(|| DecodeError("it is no object".to_owned()))?;
    Ok(envelope.data.unwrap_or_default())
}

/// The rows of an answer whose data is a list.
pub(crate) fn list<T: DeserializeOwned>(body: &[u8]) -> Result<Vec<T>, DecodeError> {
    unwrap::<List<T>>(body).map(|list| list.0)
}

/// An answer whose data is an object; everything absent when it is none.
pub(crate) fn object<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, DecodeError> {
    unwrap::<Object<T>>(body).map(|object| object.0.unwrap_or_default())
}

/// An answer whose data is a text; absent when it is none.
pub(crate) fn text(body: &[u8]) -> Result<Text, DecodeError> {
    unwrap::<Text>(body)
}

/// The members of an answer whose data is an object.
pub(crate) fn table<T: DeserializeOwned>(body: &[u8]) -> Result<Vec<(String, T)>, DecodeError> {
    unwrap::<Table<T>>(body).map(|table| table.0)
}

/// Checks that an answer is one, whatever it holds.
///
/// # Errors
/// It is no JSON object.
pub fn check(body: &[u8]) -> Result<(), DecodeError> {
    #[derive(Default, serde::Deserialize)]
    struct Anything {}
    unwrap::<Object<Anything>>(body).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::scalar::Whole;

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(default)]
    struct Row {
        a: Whole,
    }

    fn row(a: u64) -> Row {
        Row { a: super::super::scalar::Loose(Some(a)) }
    }

    #[test]
    fn rows_that_are_no_rows_are_left_out() {
        let rows = list::<Row>(br#"{"data":[{"a":1,"b":[{}]},null,7,"x",[],{"a":"2"}],"total":3}"#).unwrap();
        assert_eq!(rows, [row(1), row(2)]);
        for nothing in ["{\"data\":null}", "{\"data\":{}}", "{}", "{\"data\":\"\"}", "{\"data\":[]}"] {
            assert_eq!(list::<Row>(nothing.as_bytes()), Ok(Vec::new()), "{nothing}");
            assert_eq!(object::<Row>(nothing.as_bytes()), Ok(Row::default()), "{nothing}");
            assert_eq!(table::<Whole>(nothing.as_bytes()), Ok(Vec::new()), "{nothing}");
        }
    }

    #[test]
    fn what_is_no_answer_says_so() {
        for (body, said) in [("<html>", "a web page"), ("", "EOF"), ("{\"data\":[", "EOF"), ("[1]", "no object")] {
            let error = list::<Row>(body.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(said), "{body}: {error}");
        }
    }

    #[test]
    fn a_broken_letter_costs_nothing() {
        assert_eq!(list::<Row>(b"{\"data\":[{\"n\":\"\xff\",\"a\":1}]}"), Ok(vec![row(1)]));
    }
}
