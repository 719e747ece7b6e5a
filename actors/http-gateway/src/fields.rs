//! The members of a request's JSON object, each read as what it must be: whoever reads one wrong member learns its path.

use contract::failure::{Failure, FailureClass};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The members, unread. Null counts as absent; of a name given twice the last one counts.
pub(crate) struct Fields<'a>(BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'a> Fields<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// `InvalidRequest` if it is no JSON object.
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, Failure> {
        #[derive(Deserialize)]
        #[serde(transparent)]
        struct Members<'a>(#[serde(borrow)] BTreeMap<Cow<'a, str>, &'a RawValue>);
        let Members(mut members) = serde_json::from_slice(body).map_err(|error| {
            Failure::new(FailureClass::InvalidRequest, format!("the body is not a JSON object: {error}"))
        })?;
        members.retain(|_, raw| raw.get() != "null");
        Ok(Self(members))
    }

    /// A member as it stands there.
    pub(crate) fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.0.get(name).copied()
    }

    /// A member, if it is there.
    ///
    /// # Errors
    /// `InvalidRequest` with the path of what is wrong.
    pub(crate) fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Failure> {
        self.raw(name).map(|raw| typed(name, raw)).transpose()
    }

    /// A member that must be there.
    ///
    /// # Errors
    /// `InvalidRequest` with the path of what is wrong or missing.
    pub(crate) fn need<T: DeserializeOwned>(&self, name: &str) -> Result<T, Failure> {
        self.get(name)?.ok_or_else(|| Failure::invalid(name, format!("the field {name:?} is missing")))
    }
}

/// Reads the JSON at `path`.
///
/// # Errors
/// `InvalidRequest` with the path of what is wrong in it.
pub(crate) fn typed<T: DeserializeOwned>(path: &str, raw: &RawValue) -> Result<T, Failure> {
    let mut json = serde_json::Deserializer::from_str(raw.get());
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let inner = error.path().to_string();
        let param = match inner.as_str() {
            "." => path.to_owned(),
            inner if inner.starts_with('[') => format!("{path}{inner}"),
            inner => format!("{path}.{inner}"),
        };
        let reason = error.inner().to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default().to_owned();
        let message = format!("\"{param}\" is wrong: {reason}");
        Failure::invalid(param, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_members_are_named_by_their_path() {
        #[derive(Debug, Deserialize)]
        struct Inner {
            #[serde(rename = "b")]
            _b: Vec<u64>,
        }
        let fields = Fields::read(br#"{"a":{"b":[1,"x"]},"n":null,"t":"\u00e9","l":["x"]}"#).expect("an object");
        let wrong = fields.need::<Inner>("a").expect_err("wrong");
        assert_eq!(wrong.param.as_deref(), Some("a.b[1]"));
        assert!(!wrong.message.contains("line"), "{wrong}");
        assert_eq!(fields.need::<Vec<u64>>("l").expect_err("wrong").param.as_deref(), Some("l[0]"));
        assert_eq!(fields.get::<u64>("n"), Ok(None), "null is absent");
        assert_eq!(fields.need::<u64>("n").expect_err("missing").message, "the field \"n\" is missing");
        assert_eq!(fields.get::<String>("t").expect("text").as_deref(), Some("é"));
        for odd in [&b""[..], b"[]", b"5", b"{"] {
            assert_eq!(Fields::read(odd).err().map(|failure| failure.class), Some(FailureClass::InvalidRequest));
        }
    }
}
