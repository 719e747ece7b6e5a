//! The response object, and the items of its output: built as the answer comes, printed whole or piece by piece.

use contract::chat::{FinishReason, Head, Usage};
use contract::ids::SharedIds;
use serde_json::{Map, Value, json};
use std::rc::Rc;

/// What an encoder must know of its request.
pub(crate) struct Asked {
    /// The model id that was asked for.
    pub(crate) model: Rc<str>,
    /// The members that the response repeats.
    pub(crate) echo: Map<String, Value>,
    /// Now, in Unix seconds.
    pub(crate) created: i64,
    /// Where ids come from.
    pub(crate) ids: SharedIds,
}

impl Asked {
    /// A new id of that kind.
    pub(crate) fn id(&self, kind: &str) -> String {
        format!("{kind}_{}", self.ids.unique())
    }
}

/// One item of the output.
pub(crate) enum Item {
    /// Thinking, as a summary of one part: clients show summaries.
    Reasoning { id: String, text: String },
    /// What is said, part by part.
    Message { id: String, parts: Vec<Part> },
    /// A call of the caller's tool.
    Call { id: String, call_id: String, name: String, arguments: String },
}

/// A part of what is said.
pub(crate) enum Part {
    Text(String),
    Refusal(String),
}

impl Part {
    /// The part as clients know it.
    pub(crate) fn print(&self) -> Value {
        match self {
            Part::Text(text) => json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] }),
            Part::Refusal(text) => json!({ "type": "refusal", "refusal": text }),
        }
    }
}

impl Item {
    /// The item's id.
    pub(crate) fn id(&self) -> &str {
        match self {
            Item::Reasoning { id, .. } | Item::Message { id, .. } | Item::Call { id, .. } => id,
        }
    }

    /// The item as clients know it.
    pub(crate) fn print(&self, status: &str) -> Value {
        match self {
            Item::Reasoning { id, text } => {
                let summary = if text.is_empty() { json!([]) } else { json!([summary(text)]) };
                json!({ "id": id, "type": "reasoning", "summary": summary, "status": status })
            }
            Item::Message { id, parts } => {
                let content: Vec<Value> = parts.iter().map(Part::print).collect();
                json!({ "id": id, "type": "message", "role": "assistant", "status": status, "content": content })
            }
            Item::Call { id, call_id, name, arguments } => json!({
                "id": id, "type": "function_call", "status": status, "call_id": call_id, "name": name,
                "arguments": arguments,
            }),
        }
    }
}

/// A part of a summary.
pub(crate) fn summary(text: &str) -> Value {
    json!({ "type": "summary_text", "text": text })
}

/// Why a response is not complete, in its words; `None` if it is.
pub(crate) fn incomplete(reason: FinishReason) -> Option<&'static str> {
    match reason {
        FinishReason::Stop | FinishReason::ToolCalls => None,
        FinishReason::Length => Some("max_output_tokens"),
        FinishReason::ContentFilter => Some("content_filter"),
    }
}

/// The response object. Without a finish reason it is still in progress.
pub(crate) fn response(
    asked: &Asked,
    id: &str,
    head: &Head,
    items: &[Item],
    usage: &Usage,
    finish: Option<FinishReason>,
) -> Value {
    let cut = finish.and_then(incomplete);
    let status = match (finish, cut) {
        (None, _) => "in_progress",
        (Some(_), None) => "completed",
        (Some(_), Some(_)) => "incomplete",
    };
    let last = items.len().saturating_sub(1);
    let output: Vec<Value> = items
        .iter()
        .enumerate()
        .map(|(at, item)| item.print(if cut.is_some() && at == last { "incomplete" } else { "completed" }))
        .collect();
    let mut members = asked.echo.clone();
    for (name, value) in [
        ("id", json!(id)),
        ("object", json!("response")),
        ("created_at", json!(head.created.unwrap_or(asked.created))),
        ("status", json!(status)),
        ("model", json!(&*asked.model)),
        ("output", json!(output)),
        ("error", Value::Null),
        ("incomplete_details", cut.map_or(Value::Null, |reason| json!({ "reason": reason }))),
        ("previous_response_id", Value::Null),
        ("store", json!(false)),
        ("background", json!(false)),
        ("truncation", json!("disabled")),
        ("usage", counts(usage)),
    ] {
        members.insert(name.to_owned(), value);
    }
    Value::Object(members)
}

/// The counts; null where what was read or written is unknown. Of the details the format knows no such word: its clients want whole numbers,
/// and what no provider told of is counted as none.
fn counts(usage: &Usage) -> Value {
    let Some((input, output)) = usage.input.zip(usage.output) else { return Value::Null };
    json!({
        "input_tokens": input,
        "input_tokens_details": { "cached_tokens": usage.cached_input.unwrap_or_default() },
        "output_tokens": output,
        "output_tokens_details": { "reasoning_tokens": usage.reasoning.unwrap_or_default() },
        "total_tokens": input.saturating_add(output),
    })
}
