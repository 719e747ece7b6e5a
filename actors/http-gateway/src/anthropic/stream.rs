//! Answers as Anthropic's stream: `message_start`, blocks one after the other, `message_delta`, `message_stop`.
//!
//! One block is open at a time, as clients expect it: what comes for a later call meanwhile waits until the one before it has ended.

use super::error;
use super::message::{Asked, End, proof, usage};
use crate::encoder::StreamEncoder;
use crate::openai::error::Refusal;
use bytes::{BufMut as _, Bytes, BytesMut};
use contract::chat::{Event, EventSink, Head, OpaquePart, Usage};
use contract::failure::Failure;
use contract::json::{put_number, put_string};
use serde_json::{Value, json};

/// The most calls of one answer: decoders number them without gaps.
const MAX_CALLS: usize = 256;

/// Prints events.
pub(crate) struct MessageStream {
    asked: Asked,
    head: Head,
    printed: BytesMut,
    begun: bool,
    /// Blocks that were opened so far.
    blocks: u32,
    open: Open,
    calls: Vec<Call>,
    /// Text and thinking that came while a call was under way.
    later: Vec<(Open, String)>,
    end: End,
    usage: Usage,
}

/// The block that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    None,
    Text,
    Thinking,
    /// The call of that index.
    Call(usize),
}

/// A call.
#[derive(Default)]
struct Call {
    id: String,
    name: String,
    /// The arguments so far.
    input: String,
    started: bool,
    /// Whether its block was opened.
    shown: bool,
    ended: bool,
}

impl Call {
    /// Whether nothing more can come: it was told so, or the arguments are a whole object.
    fn is_complete(&self) -> bool {
        self.ended || serde_json::from_str::<serde::de::IgnoredAny>(&self.input).is_ok()
    }
}

impl MessageStream {
    pub(crate) fn new(asked: Asked) -> Self {
        Self {
            asked,
            head: Head::default(),
            printed: BytesMut::new(),
            begun: false,
            blocks: 0,
            open: Open::None,
            calls: Vec::new(),
            later: Vec::new(),
            end: End::default(),
            usage: Usage::default(),
        }
    }

    fn print(&mut self, name: &str, data: &Value) {
        self.printed.put_slice(format!("event: {name}\ndata: {data}\n\n").as_bytes());
    }

    fn begin(&mut self) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        // Provisional, as in Anthropic's own streams: the counts at the end are those that hold.
        let counts = json!({ "input_tokens": self.usage.input.unwrap_or(0), "output_tokens": 0 });
        let message = json!({
            "id": self.asked.id(&self.head), "type": "message", "role": "assistant", "model": &*self.asked.model,
            "content": [], "stop_reason": null, "stop_sequence": null, "usage": counts,
        });
        self.print("message_start", &json!({ "type": "message_start", "message": message }));
    }

    fn ping(&mut self) {
        self.begin();
        self.printed.put_slice(b"event: ping\ndata: {\"type\":\"ping\"}\n\n");
    }

    /// Opens a block.
    fn start(&mut self, open: Open, block: &Value) {
        self.begin();
        self.stop();
        let index = self.blocks;
        self.blocks += 1;
        self.open = open;
        self.print(
            "content_block_start",
            &json!({ "type": "content_block_start", "index": index, "content_block": block }),
        );
    }

    /// Closes the open block.
    fn stop(&mut self) {
        if self.open != Open::None {
            self.open = Open::None;
            let index = self.blocks.saturating_sub(1);
            self.print("content_block_stop", &json!({ "type": "content_block_stop", "index": index }));
        }
    }

    /// Adds to the open block.
    fn delta(&mut self, kind: &str, member: &str, text: &str) {
        let out = &mut self.printed;
        out.put_slice(b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":");
        put_number(out, self.blocks.saturating_sub(1));
        out.put_slice(format!(",\"delta\":{{\"type\":\"{kind}\",\"{member}\":").as_bytes());
        put_string(out, text);
        out.put_slice(b"}}\n\n");
    }

    /// Text or thinking.
    fn say(&mut self, kind: Open, text: &str) {
        self.settle();
        if matches!(self.open, Open::Call(_)) {
            self.later.push((kind, text.to_owned()));
            return;
        }
        let (name, delta, member) = match kind {
            Open::Thinking => ("thinking", "thinking_delta", "thinking"),
            _ => ("text", "text_delta", "text"),
        };
        if self.open != kind {
            let block = match kind {
                Open::Thinking => json!({ "type": name, "thinking": "", "signature": "" }),
                _ => json!({ "type": name, "text": "" }),
            };
            self.start(kind, &block);
        }
        self.delta(delta, member, text);
    }

    fn opaque(&mut self, part: &OpaquePart) {
        let Some((told, _)) = proof(part) else { return };
        self.settle();
        if told["type"] == "redacted_thinking" {
            self.start(Open::Thinking, &told);
            self.stop();
            return;
        }
        let Some(signature) = told["signature"].as_str() else { return };
        if self.open != Open::Thinking {
            let text = told["thinking"].as_str().unwrap_or_default();
            self.start(Open::Thinking, &json!({ "type": "thinking", "thinking": text, "signature": "" }));
        }
        self.delta("signature_delta", "signature", signature);
        self.stop();
    }

    fn call(&mut self, index: u32) -> &mut Call {
        let index = (index as usize).min(MAX_CALLS - 1);
        if self.calls.len() <= index {
            self.calls.resize_with(index + 1, Call::default);
        }
        &mut self.calls[index]
    }

    /// Closes the open call if it is complete, and opens the next that waits, and so on: providers do not all tell where a call ends.
    fn settle(&mut self) {
        loop {
            match self.open {
                Open::Call(at) if !self.calls[at].is_complete() => return,
                Open::Call(_) => self.stop(),
                _ => {}
            }
            let Some(at) = self.calls.iter().position(|call| call.started && !call.shown) else { return };
            let call = &mut self.calls[at];
            call.shown = true;
            let block = json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": {} });
            let input = call.input.clone();
            self.start(Open::Call(at), &block);
            if !input.is_empty() {
                self.delta("input_json_delta", "partial_json", &input);
            }
        }
    }

    /// What had to wait for the calls.
    fn say_later(&mut self) {
        if !matches!(self.open, Open::Call(_)) {
            for (kind, text) in std::mem::take(&mut self.later) {
                self.say(kind, &text);
            }
        }
    }
}

impl EventSink for MessageStream {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Head(head) => self.head = head,
            Event::Text(text) | Event::Refusal(text) if !text.is_empty() => self.say(Open::Text, text),
            Event::Thinking(text) if !text.is_empty() => self.say(Open::Thinking, text),
            Event::Opaque(part) => self.opaque(&part),
            Event::ToolStart { index, id, name } => {
                let id = self.asked.call_id(id);
                let call = self.call(index);
                (call.id, call.name, call.started) = (id, name.to_owned(), true);
                self.settle();
            }
            Event::ToolArguments { index, json } if !json.is_empty() => {
                let at = (index as usize).min(MAX_CALLS - 1);
                self.call(index).input.push_str(json);
                if self.open == Open::Call(at) {
                    self.delta("input_json_delta", "partial_json", json);
                }
            }
            Event::ToolEnd { index } => {
                self.call(index).ended = true;
                self.settle();
                self.say_later();
            }
            Event::Usage(usage) => self.usage.update(usage),
            Event::Stopped(stop) => self.end.stopped = Some(stop),
            Event::Finish(reason) => self.end.reason = Some(reason),
            // The agent works: people cannot be told here, but the connection stays alive.
            Event::Status { .. } => self.ping(),
            Event::KeepAlive if self.begun => self.ping(),
            _ => {}
        }
    }
}

impl StreamEncoder for MessageStream {
    fn notices(&mut self, notices: Vec<String>) -> Vec<String> {
        notices
    }

    fn has_output(&self) -> bool {
        !self.printed.is_empty()
    }

    fn take(&mut self) -> Option<Bytes> {
        (!self.printed.is_empty()).then(|| self.printed.split().freeze())
    }

    fn keep_alive(&mut self) {
        self.ping();
    }

    fn complete(&mut self) -> Result<(), Failure> {
        let calls = self.calls.iter().any(|call| call.started);
        let (stop_reason, stop_sequence) = self.end.print(&self.asked, calls)?;
        let delta = json!({ "stop_reason": stop_reason, "stop_sequence": stop_sequence });
        self.begin();
        self.calls.iter_mut().for_each(|call| call.ended = true);
        self.settle();
        self.say_later();
        self.stop();
        let counts = usage(&self.usage);
        self.print("message_delta", &json!({ "type": "message_delta", "delta": delta, "usage": counts }));
        self.print("message_stop", &json!({ "type": "message_stop" }));
        Ok(())
    }

    fn fail(&mut self, refusal: &Refusal) {
        self.begun = true;
        self.printed.put_slice(&error::event(refusal));
    }
}

#[cfg(test)]
mod tests;
