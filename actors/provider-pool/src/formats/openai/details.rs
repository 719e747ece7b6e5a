//! OpenRouter's `reasoning_details`: the proof of thinking that must go back, put together from its pieces.
//!
//! Their text repeats what `reasoning` already told, so it is never handed on as text.

use crate::formats::MAX_EVENT;
use contract::chat::OpaquePart;
use contract::failure::{Failure, FailureClass};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The details of one answer.
#[derive(Default)]
pub struct Details {
    parts: Vec<Map<String, Value>>,
    bytes: usize,
}

impl Details {
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
        let Ok(detail) = serde_json::from_str::<Map<String, Value>>(detail.get()) else { return Ok(()) };
        let same = |key: &str, part: &Map<String, Value>| part.get(key) == detail.get(key);
        let joins = matches!(detail.get("type").and_then(Value::as_str), Some("reasoning.text" | "reasoning.summary"));
        let Some(part) = self.parts.last_mut().filter(|part| joins && same("type", part) && same("index", part)) else {
            self.parts.push(detail);
            return Ok(());
        };
        for (key, value) in detail {
            match (part.get_mut(&key), value) {
                (_, Value::Null) => {}
                (Some(Value::String(text)), Value::String(more)) if key == "text" || key == "summary" => {
                    text.push_str(&more)
                }
                (Some(_), Value::String(text)) if text.is_empty() => {}
                (_, value) => {
                    part.insert(key, value);
                }
            }
        }
        Ok(())
    }

    /// Hands over what came together.
    pub fn end(&mut self, mut tell: impl FnMut(OpaquePart)) {
        for part in self.parts.drain(..) {
            tell(opaque(Value::Object(part).to_string().into()));
        }
    }
}

/// A detail as it goes back.
pub fn opaque(json: bytes::Bytes) -> OpaquePart {
    OpaquePart { format: "openai", json, call: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_joined() {
        let mut details = Details::default();
        for json in [
            r#"{"type":"reasoning.text","text":"","signature":"","index":0,"format":"f"}"#,
            r#"{"type":"reasoning.text","text":"a","index":0,"format":"f"}"#,
            r#"{"type":"reasoning.text","text":"b","index":0,"format":null}"#,
            r#"{"type":"reasoning.text","text":"","signature":"sig","index":0}"#,
            r#"{"type":"reasoning.text","text":"c","index":1}"#,
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
                r#"{"index":1,"text":"c","type":"reasoning.text"}"#,
                r#"{"data":"x","index":1,"type":"reasoning.encrypted"}"#,
                r#"{"data":"y","index":1,"type":"reasoning.encrypted"}"#,
            ]
        );
    }
}
