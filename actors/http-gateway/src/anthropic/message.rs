//! An answer as Anthropic's message object: for requests that are not streamed, and the pieces that the stream is made of.

use crate::encoder::{WholeEncoder, unfinished};
use bytes::Bytes;
use contract::chat::{Event, EventSink, FinishReason, Head, OpaquePart, Stop, Usage};
use contract::failure::Failure;
use contract::ids::SharedIds;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::rc::Rc;

/// What an encoder must know of its request.
pub(crate) struct Asked {
    /// The model id that was asked for.
    pub(crate) model: Rc<str>,
    /// Where ids come from.
    pub(crate) ids: SharedIds,
    /// The stop sequences that it named.
    pub(crate) stops: Vec<String>,
}

impl Asked {
    /// The id of an answer: the provider's own if it is one of this format's.
    pub(crate) fn id(&self, head: &Head) -> String {
        let own = head.id.as_deref().filter(|id| id.starts_with("msg_"));
        own.map_or_else(|| format!("msg_{}", self.ids.unique()), str::to_owned)
    }

    /// The id of a call.
    pub(crate) fn call_id(&self, id: Option<&str>) -> String {
        id.filter(|id| !id.is_empty()).map_or_else(|| format!("toolu_{}", self.ids.unique()), str::to_owned)
    }
}

/// Why a model stopped, as far as it is known.
#[derive(Default)]
pub(crate) struct End {
    pub(crate) reason: Option<FinishReason>,
    /// What is known beyond.
    pub(crate) stopped: Option<Stop>,
}

impl End {
    /// `stop_reason` and `stop_sequence`. Most providers do not tell a stop sequence from an end; then it is an end.
    pub(crate) fn print(&self, asked: &Asked, calls: bool) -> Result<(&'static str, Option<&str>), Failure> {
        Ok(match (self.reason.ok_or_else(unfinished)?, &self.stopped) {
            (FinishReason::Length, _) => ("max_tokens", None),
            (FinishReason::ContentFilter, _) => ("refusal", None),
            (FinishReason::Stop | FinishReason::ToolCalls, _) if calls => ("tool_use", None),
            // One that the caller did not name is none of its own: some servers put other words there.
            (_, Some(Stop::Sequence(met))) if asked.stops.iter().any(|stop| **stop == **met) => {
                ("stop_sequence", Some(met))
            }
            (_, Some(Stop::Paused)) => ("pause_turn", None),
            _ => ("end_turn", None),
        })
    }
}

/// Anthropic's counts: what came from the cache stands beside the rest. Clients want the first two members always; null is unknown.
pub(crate) fn usage(usage: &Usage) -> Value {
    let fresh = usage.input.map(|input| input.saturating_sub(usage.cached_input.unwrap_or(0)));
    let mut counts = json!({ "input_tokens": fresh, "output_tokens": usage.output });
    if let Some(cached) = usage.cached_input {
        counts["cache_read_input_tokens"] = json!(cached);
    }
    counts
}

/// What a proof of thinking says: `(type, signature)`, if it is Anthropic's.
pub(crate) fn proof(part: &OpaquePart) -> Option<(Value, Box<RawValue>)> {
    if part.format != "anthropic" {
        return None;
    }
    let raw: Box<RawValue> = serde_json::from_slice(&part.json).ok()?;
    Some((serde_json::from_str(raw.get()).ok()?, raw))
}

enum Block {
    Text(String),
    Thinking { text: String, signature: String },
    Redacted(Box<RawValue>),
    Call { index: u32, id: String, name: String, input: String },
}

/// Collects an answer.
pub(crate) struct Whole {
    asked: Asked,
    head: Head,
    blocks: Vec<Block>,
    usage: Usage,
    end: End,
}

impl Whole {
    pub(crate) fn new(asked: Asked) -> Self {
        Self { asked, head: Head::default(), blocks: Vec::new(), usage: Usage::default(), end: End::default() }
    }

    fn text(&mut self, more: &str) {
        match self.blocks.last_mut() {
            Some(Block::Text(text)) => text.push_str(more),
            _ => self.blocks.push(Block::Text(more.to_owned())),
        }
    }

    fn thinking(&mut self, more: &str) {
        match self.blocks.last_mut() {
            Some(Block::Thinking { text, signature }) if signature.is_empty() => text.push_str(more),
            _ => self.blocks.push(Block::Thinking { text: more.to_owned(), signature: String::new() }),
        }
    }

    fn opaque(&mut self, part: &OpaquePart) {
        let Some((told, raw)) = proof(part) else { return };
        if told["type"] == "redacted_thinking" {
            self.blocks.push(Block::Redacted(raw));
            return;
        }
        let Some(proof) = told["signature"].as_str() else { return };
        if !matches!(self.blocks.last(), Some(Block::Thinking { signature, .. }) if signature.is_empty()) {
            let text = told["thinking"].as_str().unwrap_or_default().to_owned();
            self.blocks.push(Block::Thinking { text, signature: String::new() });
        }
        if let Some(Block::Thinking { signature, .. }) = self.blocks.last_mut() {
            proof.clone_into(signature);
        }
    }
}

impl EventSink for Whole {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Head(head) => self.head = head,
            Event::Text(text) | Event::Refusal(text) if !text.is_empty() => self.text(text),
            Event::Thinking(text) if !text.is_empty() => self.thinking(text),
            Event::Opaque(part) => self.opaque(&part),
            Event::ToolStart { index, id, name } => {
                let id = self.asked.call_id(id);
                self.blocks.push(Block::Call { index, id, name: name.to_owned(), input: String::new() });
            }
            Event::ToolArguments { index: wanted, json } => {
                let calls = self.blocks.iter_mut().rev();
                let mut found = calls.filter_map(|block| match block {
                    Block::Call { index, input, .. } if *index == wanted => Some(input),
                    _ => None,
                });
                if let Some(input) = found.next() {
                    input.push_str(json);
                }
            }
            Event::Usage(usage) => self.usage.update(usage),
            Event::Stopped(stop) => self.end.stopped = Some(stop),
            Event::Finish(reason) => self.end.reason = Some(reason),
            _ => {}
        }
    }
}

impl WholeEncoder for Whole {
    fn complete(self) -> Result<Bytes, Failure> {
        let calls = self.blocks.iter().any(|block| matches!(block, Block::Call { .. }));
        let (stop_reason, stop_sequence) = self.end.print(&self.asked, calls)?;
        let id = self.asked.id(&self.head);
        let content: Vec<Value> = self.blocks.into_iter().map(print).collect();
        let message = json!({
            "id": id,
            "type": "message",
            "role": "assistant",
            "model": &*self.asked.model,
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": stop_sequence,
            "usage": usage(&self.usage),
        });
        Ok(message.to_string().into())
    }
}

fn print(block: Block) -> Value {
    match block {
        Block::Text(text) => json!({ "type": "text", "text": text }),
        Block::Thinking { text, signature } => json!({ "type": "thinking", "thinking": text, "signature": signature }),
        Block::Redacted(raw) => serde_json::from_str(raw.get()).unwrap_or_default(),
        Block::Call { id, name, input, .. } => {
            // Text that is no object is kept, so that the caller sees what the model wrote.
            let object = serde_json::from_str::<Value>(&input).ok().filter(Value::is_object);
            let none = || if input.trim().is_empty() { json!({}) } else { json!({ "INVALID_JSON": input }) };
            json!({ "type": "tool_use", "id": id, "name": name, "input": object.unwrap_or_else(none) })
        }
    }
}
