//! The error object as Anthropic's clients look for it, which is OpenAI's with a `type` beside it: one body for both.

use crate::openai::error::{ErrorObject, Refusal};
use bytes::Bytes;
use serde::Serialize;

#[derive(Serialize)]
struct Wire<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: ErrorObject<'a>,
}

/// The error as JSON.
pub(crate) fn json(refusal: &Refusal) -> String {
    // Strings and nulls always print.
    serde_json::to_string(&Wire { kind: "error", error: refusal.object() }).unwrap_or_default()
}

/// The error as the last event of a stream.
pub(crate) fn event(refusal: &Refusal) -> Bytes {
    format!("event: error\ndata: {}\n\n", json(refusal)).into()
}

/// Whether the clients of a path expect this shape.
pub(crate) fn is_expected(path: &str) -> bool {
    path == "/v1/messages" || path.starts_with("/v1/messages/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_clients_find_what_they_look_for() {
        let refusal = Refusal::invalid("no").with_param("messages");
        let found: serde_json::Value = serde_json::from_str(&json(&refusal)).expect("JSON");
        assert_eq!((&found["type"], &found["error"]["type"]), (&"error".into(), &"invalid_request_error".into()));
        assert_eq!((&found["error"]["message"], &found["error"]["param"]), (&"no".into(), &"messages".into()));
        assert!(found["error"]["code"].is_null());
        assert!(is_expected("/v1/messages") && is_expected("/v1/messages/count_tokens"));
        assert!(!is_expected("/v1/messagesx") && !is_expected("/v1/models"));
    }
}
