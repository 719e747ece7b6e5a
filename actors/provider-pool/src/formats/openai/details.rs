//! `reasoning_details`: the proof of thinking that must go back, put together from its pieces.
//!
//! Their text repeats what `reasoning` already told, so it is never handed on as text. A detail that came in one piece goes back byte for byte.

use crate::formats::MAX_EVENT;
use bytes::Bytes;
use contract::chat::OpaquePart;
use contract::failure::{Failure, FailureClass};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The details of one answer.
pub struct Details {
    format: &'static str,
    parts: Vec<Part>,
    bytes: usize,
}

struct Part {
    detail: Map<String, Value>,
    /// As it came, if it came in one piece.
    raw: Option<Bytes>,
}

impl Details {
    /// For the proofs of this format.
    pub fn new(format: &'static str) -> Self {
        Self { format, parts: Vec::new(), bytes: 0 }
    }

    /// Whether none came.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Takes one detail as it came: pieces of one text or summary are joined, everything else stands for itself.
    ///
    /// # Errors
    /// `Truncated` if they grow beyond what an answer may hold.
    pub fn take(&mut self, detail: &RawValue) -> Result<(), Failure> {
        self.bytes += detail.get().len();
        if self.bytes > MAX_EVENT {
            return Err(Failure::new(
                FailureClass::Truncated,
                "the provider sent more reasoning details than can be kept",
            ));
        }
        let raw = detail.get();
        let Ok(detail) = serde_json::from_str::<Map<String, Value>>(raw) else { return Ok(()) };
        let same = |key: &str, part: &Part| part.detail.get(key) == detail.get(key);
        let joins = matches!(detail.get("type").and_then(Value::as_str), Some("reasoning.text" | "reasoning.summary"));
        let Some(part) = self.parts.last_mut().filter(|part| joins && same("type", part) && same("index", part)) else {
            self.parts.push(Part { detail, raw: Some(Bytes::copy_from_slice(raw.as_bytes())) });
            return Ok(());
        };
        part.raw = None;
        for (key, value) in detail {
            match (part.detail.get_mut(&key), value) {
                (_, Value::Null) => {}
                (Some(Value::String(text)), Value::String(more)) if key == "text" || key == "summary" => {
                    text.push_str(&more)
                }
                (Some(_), Value::String(text)) if text.is_empty() => {}
                (_, value) => {
                    part.detail.insert(key, value);
                }
            }
        }
        Ok(())
    }

    /// Hands over what came together.
    pub fn end(&mut self, mut tell: impl FnMut(OpaquePart)) {
        for Part { detail, raw } in self.parts.drain(..) {
            tell(opaque(self.format, raw.unwrap_or_else(|| Value::Object(detail).to_string().into())));
        }
    }
}

/// A detail as it goes back.
pub fn opaque(format: &'static str, json: Bytes) -> OpaquePart {
    OpaquePart { format, json, call: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_joined() {
        let mut details = Details::new("openrouter");
        for json in [
            r#"{"type":"reasoning.text","text":"","signature":"","index":0,"format":"f"}"#,
            r#"{"type":"reasoning.text","text":"a","index":0,"format":"f"}"#,
            r#"{"type":"reasoning.text","text":"b","index":0,"format":null}"#,
            r#"{"type":"reasoning.text","text":"","signature":"sig","index":0}"#,
            r#"{"type":"reasoning.text", "text":"c","index":1.0}"#,
            r#"{"type":"reasoning.encrypted","data":"x","index":1}"#,
            r#"{"type":"reasoning.encrypted","data":"y","index":1}"#,
            r#""odd""#,
        ] {
            details.take(&RawValue::from_string(json.to_owned()).expect("JSON")).expect("small");
        }
        let mut parts = Vec::new();
        details.end(|part| parts.push(String::from_utf8(part.json.to_vec()).expect("text")));
        assert_eq!(
            parts,
            [
                r#"{"format":"f","index":0,"signature":"sig","text":"ab","type":"reasoning.text"}"#,
                r#"{"type":"reasoning.text", "text":"c","index":1.0}"#,
                r#"{"type":"reasoning.encrypted","data":"x","index":1}"#,
                r#"{"type":"reasoning.encrypted","data":"y","index":1}"#,
            ]
        );
    }
}
