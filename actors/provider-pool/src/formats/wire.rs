//! Small readers of JSON that providers write loosely: members of any type, borrowed from the event's bytes.
//!
//! A member that is not what it should be reads as absent; nothing here fails on a type.

use contract::failure::{Failure, FailureClass};
use contract::json::Scan;
use serde::de::{Deserialize, Deserializer, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// A value as it stands in the JSON, unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<'a>(&'a str);

impl<'a> Json<'a> {
    /// Its text.
    pub fn get(self) -> &'a str {
        self.0
    }
}

impl<'a> From<&'a RawValue> for Json<'a> {
    fn from(raw: &'a RawValue) -> Self {
        Self(raw.get())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(Self::from)
    }
}

/// A member, unread. Null reads as absent.
pub type Raw<'a> = Option<Json<'a>>;

/// Steps over a member and keeps it unread.
pub fn raw<'a>(scan: &mut Scan<'a>) -> Option<Raw<'a>> {
    scan.value().map(|value| (value != "null").then_some(Json(value)))
}

/// Steps over a member that `read` can read, or that is null.
pub fn optional<'a, T>(scan: &mut Scan<'a>, read: impl FnOnce(&mut Scan<'a>) -> Option<T>) -> Option<Option<T>> {
    match scan.peek()? {
        b'n' => scan.skip().map(|()| None),
        _ => read(scan).map(Some),
    }
}

/// The member's text, if it is a string. Borrowed unless it holds escapes.
pub fn text<'a>(raw: Raw<'a>) -> Option<Cow<'a, str>> {
    let raw = raw?.get();
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    // As bytes first: half a surrogate pair, which servers that cut UTF-16 send, must not lose the rest of the text.
    let bytes: Unescaped = serde_json::from_str(raw).ok()?;
    Some(Cow::Owned(
        String::from_utf8(bytes.0).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
    ))
}

struct Unescaped(Vec<u8>);

impl<'de> Deserialize<'de> for Unescaped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Unescaped;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Unescaped, E> {
                Ok(Unescaped(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// The member's text, if it is a string and not empty.
pub fn filled<'a>(raw: Raw<'a>) -> Option<Cow<'a, str>> {
    text(raw).filter(|text| !text.is_empty())
}

/// The member's figure, if it is a number that counts something.
pub fn count(raw: Raw<'_>) -> Option<u64> {
    let text = raw?.get();
    text.parse().ok().or_else(|| {
        let figure: f64 = text.parse().ok()?;
        // Some servers write counts as floats; what is beyond 2^53 is no count.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
        (figure.is_finite() && (0.0..9.0e15).contains(&figure)).then_some(figure as u64)
    })
}

/// The member's figure, if clients too will read it as a positive whole number.
pub fn positive(raw: Raw<'_>) -> Option<i64> {
    raw?.get().parse().ok().filter(|figure| *figure > 0)
}

/// Arguments of a call as JSON text, whether they came as such a text or as the object itself; `None` for nothing.
pub fn arguments<'a>(raw: Raw<'a>) -> Option<Cow<'a, str>> {
    let json = raw?.get();
    if json.starts_with('"') { filled(raw) } else { Some(Cow::Borrowed(json)) }
}

/// The bytes as text, without a byte order mark before it; what is not UTF-8 is replaced. For a whole event or body only, never for a piece
/// of one.
pub fn utf8(bytes: &[u8]) -> Cow<'_, str> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    // The check alone is many times as quick as the repair, and nearly always all there is to do.
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// Something came that is not of the format.
pub fn not_understood(what: &str) -> Failure {
    Failure::new(FailureClass::Truncated, format!("{what} of the provider was not understood"))
}

/// The stream ended too early.
pub fn cut_off() -> Failure {
    Failure::new(FailureClass::Truncated, "the provider's answer broke off before its end")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Raw<'_> {
        raw(&mut Scan::of(text)).expect("JSON")
    }

    #[test]
    fn members_of_any_type_are_read() {
        assert_eq!(text(json("\"a\\n\\u00e9\"")).as_deref(), Some("a\né"));
        assert!(matches!(text(json("\"a\"")), Some(Cow::Borrowed("a"))));
        let half = text(json("\"a\\ud83d b\"")).expect("text");
        assert!(half.starts_with('a') && half.ends_with(" b"), "{half:?}");
        assert_eq!((text(json("5")), text(None), filled(json("\"\""))), (None, None, None));
        let counts = ["7", "7.0", "-1", "\"7\"", "null", "1e300"].map(|text| count(json(text)));
        assert_eq!(counts, [Some(7), Some(7), None, None, None, None]);
        let read = |text: &str| arguments(json(text)).map(Cow::into_owned);
        assert_eq!(read("{\"a\": 1}").as_deref(), Some("{\"a\": 1}"));
        assert_eq!(read("\"{\\\"a\\\"\"").as_deref(), Some("{\"a\""));
        assert_eq!(read("\"\""), None);
    }
}
