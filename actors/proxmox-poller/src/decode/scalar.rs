//! Scalars as Proxmox VE really sends them: numbers as numbers or as text, booleans as 0, 1, "1", true or "", text as numbers, and
//! null, lists and objects where nothing of the kind belongs. Whatever cannot be read is absent; nothing here fails.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// A value that reads itself from any JSON scalar.
pub(crate) trait FromScalar: Sized {
    fn from_u64(number: u64) -> Option<Self>;
    fn from_i64(number: i64) -> Option<Self>;
    fn from_f64(number: f64) -> Option<Self>;
    fn from_text(text: &str) -> Option<Self>;
    fn from_bool(truth: bool) -> Option<Self>;
}

/// An optional scalar.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Loose<T>(pub(crate) Option<T>);

impl<T> Default for Loose<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Copy> Loose<T> {
    pub(crate) fn get(&self) -> Option<T> {
        self.0
    }
}

/// A fraction or another number with digits after the point.
pub(crate) type Number = Loose<f64>;
/// A count, a size or a time, never negative.
pub(crate) type Whole = Loose<u64>;
/// A number that may be negative.
pub(crate) type Signed = Loose<i64>;
/// A yes or no.
pub(crate) type Flag = Loose<bool>;
/// A text.
pub(crate) type Text = Loose<Arc<str>>;

impl Text {
    /// The text, unless there is none or it is empty.
    pub(crate) fn filled(self) -> Option<Arc<str>> {
        self.0.filter(|text| !text.is_empty())
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

impl Whole {
    /// As a smaller number; absent when it does not fit.
    pub(crate) fn small(&self) -> Option<u32> {
        self.0.and_then(|number| u32::try_from(number).ok())
    }
}

impl FromScalar for f64 {
    fn from_u64(number: u64) -> Option<Self> {
        Some(number as f64)
    }
    fn from_i64(number: i64) -> Option<Self> {
        Some(number as f64)
    }
    fn from_f64(number: f64) -> Option<Self> {
        number.is_finite().then_some(number)
    }
    fn from_text(text: &str) -> Option<Self> {
        text.trim().parse().ok().filter(|number: &f64| number.is_finite())
    }
    fn from_bool(truth: bool) -> Option<Self> {
        Some(f64::from(u8::from(truth)))
    }
}

impl FromScalar for i64 {
    fn from_u64(number: u64) -> Option<Self> {
        i64::try_from(number).ok()
    }
    fn from_i64(number: i64) -> Option<Self> {
        Some(number)
    }
    fn from_f64(number: f64) -> Option<Self> {
        // Beyond this a float has no ones any more.
        (number.is_finite() && number.abs() < 9.0e18).then_some(number as i64)
    }
    fn from_text(text: &str) -> Option<Self> {
        let text = text.trim();
        text.parse().ok().or_else(|| f64::from_text(text).and_then(Self::from_f64))
    }
    fn from_bool(truth: bool) -> Option<Self> {
        Some(i64::from(truth))
    }
}

impl FromScalar for u64 {
    fn from_u64(number: u64) -> Option<Self> {
        Some(number)
    }
    fn from_i64(number: i64) -> Option<Self> {
        u64::try_from(number).ok()
    }
    fn from_f64(number: f64) -> Option<Self> {
        (number.is_finite() && (0.0..1.8e19).contains(&number)).then_some(number as u64)
    }
    fn from_text(text: &str) -> Option<Self> {
        let text = text.trim();
        text.parse().ok().or_else(|| f64::from_text(text).and_then(Self::from_f64))
    }
    fn from_bool(truth: bool) -> Option<Self> {
        Some(u64::from(truth))
    }
}

impl FromScalar for bool {
    fn from_u64(number: u64) -> Option<Self> {
        Some(number != 0)
    }
    fn from_i64(number: i64) -> Option<Self> {
        Some(number != 0)
    }
    fn from_f64(number: f64) -> Option<Self> {
        Some(number != 0.0)
    }
    fn from_text(text: &str) -> Option<Self> {
        match text.trim() {
            "" | "0" | "false" | "no" | "off" => Some(false),
            "1" | "true" | "yes" | "on" => Some(true),
            _ => None,
        }
    }
    fn from_bool(truth: bool) -> Option<Self> {
        Some(truth)
    }
}

impl FromScalar for Arc<str> {
    fn from_u64(number: u64) -> Option<Self> {
        Some(number.to_string().into())
    }
    fn from_i64(number: i64) -> Option<Self> {
        Some(number.to_string().into())
    }
    fn from_f64(number: f64) -> Option<Self> {
        Some(number.to_string().into())
    }
    fn from_text(text: &str) -> Option<Self> {
        Some(text.into())
    }
    fn from_bool(truth: bool) -> Option<Self> {
        Some(if truth { "1" } else { "0" }.into())
    }
}

struct LooseVisitor<T>(PhantomData<T>);

impl<'de, T: FromScalar> Visitor<'de> for LooseVisitor<T> {
    type Value = Loose<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_bool<E>(self, truth: bool) -> Result<Self::Value, E> {
        Ok(Loose(T::from_bool(truth)))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Loose(T::from_i64(number)))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Loose(T::from_u64(number)))
    }
    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Loose(T::from_f64(number)))
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Loose(T::from_text(text)))
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Loose(None))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Loose(None))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Loose(None))
    }
}

impl<'de, T: FromScalar> Deserialize<'de> for Loose<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseVisitor(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: FromScalar>(json: &str) -> Option<T> {
        serde_json::from_str::<Loose<T>>(json).unwrap().0
    }

    #[test]
    fn numbers_come_in_every_form() {
        for json in ["7", "7.0", "\"7\"", "\" 7 \"", "\"7.0\"", "7.9"] {
            assert_eq!(read::<u64>(json), Some(7), "{json}");
            assert_eq!(read::<i64>(json), Some(7), "{json}");
        }
        for json in ["null", "\"N/A\"", "\"\"", "[1]", "{\"a\":1}", "-1"] {
            assert_eq!(read::<u64>(json), None, "{json}");
        }
        assert_eq!(read::<f64>("\"0.25\""), Some(0.25));
        assert_eq!(read::<f64>("\"NaN\""), None);
        assert_eq!(read::<i64>("\"-3\""), Some(-3));
        assert_eq!(read::<u64>("1e300"), None);
        assert_eq!(read::<u64>("18446744073709551615"), Some(u64::MAX));
    }

    #[test]
    fn booleans_come_in_every_form() {
        for json in ["1", "true", "\"1\"", "\"yes\"", "2", "1.0"] {
            assert_eq!(read::<bool>(json), Some(true), "{json}");
        }
        for json in ["0", "false", "\"0\"", "\"\"", "0.0"] {
            assert_eq!(read::<bool>(json), Some(false), "{json}");
        }
        assert_eq!(read::<bool>("\"perhaps\""), None);
        assert_eq!(read::<bool>("null"), None);
    }

    #[test]
    fn text_may_be_a_number() {
        assert_eq!(read::<Arc<str>>("100").as_deref(), Some("100"));
        assert_eq!(read::<Arc<str>>("\"a\\\"b\"").as_deref(), Some("a\"b"));
        assert_eq!(read::<Arc<str>>("[]"), None);
    }
}
