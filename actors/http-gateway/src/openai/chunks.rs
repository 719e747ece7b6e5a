//! Answers as OpenAI's stream of `chat.completion.chunk` events: the sink that every streamed answer is printed through.
//!
//! What a compatible provider sent right passes through untouched; everything else is printed here. The finish reason, the usage and
//! `[DONE]` are held back until the answer is known to be whole. No `id:`, `event:` or `retry:` lines, ever: they break clients.

use super::error::Refusal;
use crate::encoder::{StreamEncoder, unfinished};
use bytes::{BufMut as _, Bytes, BytesMut};
use contract::chat::{Event, EventSink, FinishReason, Head, Relayed, Usage};
use contract::failure::Failure;
use contract::ids::SharedIds;
use contract::json::{put_number, put_string};
use std::rc::Rc;

/// Room for a few words' chunks.
const ROOM: usize = 1024;

/// What an encoder must know of its request.
pub(crate) struct Asked {
    /// The model id that was asked for: `model` of every printed chunk.
    pub(crate) model: Rc<str>,
    /// Whether verbatim bytes of a compatible provider are of use: plain gateway answers.
    pub(crate) relay: bool,
    /// Whether the client wants the usage chunk.
    pub(crate) usage: bool,
    /// Now, in Unix seconds: `created` unless the provider told its own.
    pub(crate) created: i64,
    /// Where ids come from.
    pub(crate) ids: SharedIds,
}

/// Prints events as chunks.
pub(crate) struct ChunkEncoder {
    asked: Asked,
    head: Head,
    /// `data: {"id":…,"choices":[{"index":0,"delta":`, the same for every chunk; empty until the first is printed.
    prefix: Vec<u8>,
    /// A relayed piece that goes out before `printed`.
    relayed: Option<Bytes>,
    printed: BytesMut,
    /// Whether anything was handed out or waits to be.
    begun: bool,
    role_sent: bool,
    notices: Vec<String>,
    /// For each call: whether its arguments have begun, and whether it is complete.
    calls: Vec<Call>,
    finish: Option<FinishReason>,
    finish_sent: bool,
    usage: Usage,
    usage_sent: bool,
}

#[derive(Clone, Copy, Default)]
struct Call {
    started: bool,
    has_arguments: bool,
    ended: bool,
}

impl ChunkEncoder {
    pub(crate) fn new(asked: Asked) -> Self {
        Self {
            asked,
            head: Head::default(),
            prefix: Vec::new(),
            relayed: None,
            printed: BytesMut::new(),
            begun: false,
            role_sent: false,
            notices: Vec::new(),
            calls: Vec::new(),
            finish: None,
            finish_sent: false,
            usage: Usage::default(),
            usage_sent: false,
        }
    }

    fn print_finish(&mut self, reason: FinishReason) {
        self.finish_sent = true;
        for index in 0..self.calls.len() {
            self.end_call(index as u32);
        }
        let reason = match reason {
            FinishReason::Stop if !self.calls.is_empty() => FinishReason::ToolCalls,
            reason => reason,
        };
        self.open();
        self.printed.put_slice(b"{},\"finish_reason\":\"");
        self.printed.put_slice(reason.as_str().as_bytes());
        self.printed.put_slice(b"\"}]}\n\n");
    }

    fn print_usage(&mut self) {
        self.usage_sent = true;
        self.make_prefix();
        let choices = self.prefix.len() - DELTA.len();
        let (prefix, printed) = (&self.prefix[..choices], &mut self.printed);
        printed.put_slice(prefix);
        printed.put_slice(b"\"choices\":[],\"usage\":");
        put_usage(printed, &self.usage);
        printed.put_slice(b"}\n\n");
    }

    /// Prints a chunk up to and without its delta, after the role chunk and the notices if they are still owed.
    fn open(&mut self) {
        self.begin();
        self.printed.put_slice(&self.prefix);
    }

    fn begin(&mut self) {
        self.begun = true;
        self.make_prefix();
        if !self.role_sent {
            self.role_sent = true;
            self.printed.put_slice(&self.prefix);
            self.printed.put_slice(b"{\"role\":\"assistant\",\"content\":\"\"}");
            self.printed.put_slice(CLOSE);
        }
        for notice in std::mem::take(&mut self.notices) {
            self.print_status(&notice, true);
        }
    }

    fn make_prefix(&mut self) {
        if !self.prefix.is_empty() {
            return;
        }
        let mut out = BytesMut::with_capacity(256);
        out.put_slice(b"data: {\"id\":");
        match &self.head.id {
            Some(id) => put_string(&mut out, id),
            None => put_string(&mut out, &format!("chatcmpl-{}", self.asked.ids.unique())),
        }
        out.put_slice(b",\"object\":\"chat.completion.chunk\",\"created\":");
        put_number(&mut out, self.head.created.unwrap_or(self.asked.created));
        out.put_slice(b",\"model\":");
        // Only a compatible provider tells all three, and its other chunks may be relayed: one identity throughout. Relayed chunks
        // carry the provider's own name of the model.
        let is_compatible = self.asked.relay && self.head.id.is_some() && self.head.created.is_some();
        let model = self.head.model.as_deref().filter(|_| is_compatible);
        put_string(&mut out, model.unwrap_or(&self.asked.model));
        out.put_slice(b",");
        out.put_slice(DELTA);
        self.prefix = out.to_vec();
        self.printed.reserve(ROOM);
    }

    fn print_delta(&mut self, name: &str, text: &str) {
        self.open();
        self.printed.put_slice(b"{\"");
        self.printed.put_slice(name.as_bytes());
        self.printed.put_slice(b"\":");
        put_string(&mut self.printed, text);
        self.printed.put_slice(b"}");
        self.printed.put_slice(CLOSE);
    }

    fn print_status(&mut self, description: &str, done: bool) {
        self.printed.put_slice(&self.prefix);
        self.printed
            .put_slice(b"{},\"finish_reason\":null}],\"event\":{\"type\":\"status\",\"data\":{\"description\":");
        put_string(&mut self.printed, description);
        self.printed.put_slice(b",\"done\":");
        self.printed.put_slice(if done { b"true" } else { b"false" });
        self.printed.put_slice(b"}}}\n\n");
    }

    fn print_refusal(&mut self, text: &str) {
        // Clients that know no refusal show the content, the others both: never an empty answer.
        self.open();
        self.printed.put_slice(b"{\"content\":");
        put_string(&mut self.printed, text);
        self.printed.put_slice(b",\"refusal\":");
        put_string(&mut self.printed, text);
        self.printed.put_slice(b"}");
        self.printed.put_slice(CLOSE);
    }

    fn start_call(&mut self, index: u32, id: Option<&str>, name: &str) {
        self.call(index).started = true;
        self.open();
        self.printed.put_slice(b"{\"tool_calls\":[{\"index\":");
        put_number(&mut self.printed, index);
        self.printed.put_slice(b",\"id\":");
        match id.filter(|id| !id.is_empty()) {
            Some(id) => put_string(&mut self.printed, id),
            None => put_string(&mut self.printed, &format!("call_{}", self.asked.ids.unique())),
        }
        self.printed.put_slice(b",\"type\":\"function\",\"function\":{\"name\":");
        put_string(&mut self.printed, name);
        self.printed.put_slice(b",\"arguments\":\"\"}}]}");
        self.printed.put_slice(CLOSE);
    }

    fn print_arguments(&mut self, index: u32, json: &str) {
        if json.is_empty() {
            return;
        }
        self.call(index).has_arguments = true;
        self.open();
        self.printed.put_slice(b"{\"tool_calls\":[{\"index\":");
        put_number(&mut self.printed, index);
        self.printed.put_slice(b",\"function\":{\"arguments\":");
        put_string(&mut self.printed, json);
        self.printed.put_slice(b"}}]}");
        self.printed.put_slice(CLOSE);
    }

    /// A call that came without arguments has an empty object of them: clients parse what they get.
    fn end_call(&mut self, index: u32) {
        let call = self.call(index);
        let without_arguments = call.started && !call.ended && !call.has_arguments;
        call.ended = true;
        if without_arguments {
            self.print_arguments(index, "{}");
        }
    }

    fn call(&mut self, index: u32) -> &mut Call {
        // Decoders number calls without gaps; a bound keeps a fault of theirs from taking memory.
        let index = (index as usize).min(1023);
        if self.calls.len() <= index {
            self.calls.resize(index + 1, Call::default());
        }
        &mut self.calls[index]
    }
}

/// The end of a chunk's prefix.
const DELTA: &[u8] = b"\"choices\":[{\"index\":0,\"delta\":";
/// The end of a chunk after its delta.
const CLOSE: &[u8] = b",\"finish_reason\":null}]}\n\n";

impl StreamEncoder for ChunkEncoder {
    /// Shown as status events as soon as the answer begins.
    fn notices(&mut self, notices: Vec<String>) -> Vec<String> {
        self.notices = notices;
        Vec::new()
    }

    fn has_output(&self) -> bool {
        self.relayed.is_some() || !self.printed.is_empty()
    }

    fn take(&mut self) -> Option<Bytes> {
        if let Some(bytes) = self.relayed.take() {
            return Some(bytes);
        }
        (!self.printed.is_empty()).then(|| self.printed.split().freeze())
    }

    fn keep_alive(&mut self) {
        self.begun = true;
        self.printed.put_slice(b": keep-alive\n\n");
    }

    fn complete(&mut self) -> Result<(), Failure> {
        if !self.finish_sent {
            let reason = self.finish.ok_or_else(unfinished)?;
            self.print_finish(reason);
        }
        if self.asked.usage && !self.usage_sent && !self.usage.is_empty() {
            self.print_usage();
        }
        self.printed.put_slice(b"data: [DONE]\n\n");
        Ok(())
    }

    fn fail(&mut self, refusal: &Refusal) {
        self.begun = true;
        self.printed.put_slice(b"data: ");
        self.printed.put_slice(refusal.json().as_bytes());
        self.printed.put_slice(b"\n\n");
    }
}

impl EventSink for ChunkEncoder {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Head(head) => self.head = head,
            Event::Text(text) if !text.is_empty() => self.print_delta("content", text),
            Event::Thinking(text) if !text.is_empty() => self.print_delta("reasoning_content", text),
            Event::Refusal(text) if !text.is_empty() => self.print_refusal(text),
            Event::ToolStart { index, id, name } => self.start_call(index, id, name),
            Event::ToolArguments { index, json } => self.print_arguments(index, json),
            Event::ToolEnd { index } => self.end_call(index),
            Event::Usage(usage) => self.usage.update(usage),
            Event::Finish(reason) => self.finish = Some(reason),
            Event::Status { description, done } => {
                self.begin();
                self.print_status(description, done);
            }
            // Before the answer has begun its head still waits for the first event: a comment would send it.
            Event::KeepAlive if self.begun => self.keep_alive(),
            _ => {}
        }
    }

    fn relay(&mut self, bytes: Bytes, holds: Relayed) {
        if holds.role {
            self.role_sent = true;
        } else if !self.role_sent {
            self.begin();
        }
        self.begun = true;
        self.finish_sent |= holds.finish;
        self.usage_sent |= holds.usage;
        if self.relayed.is_none() && self.printed.is_empty() {
            self.relayed = Some(bytes);
        } else {
            self.printed.put_slice(&bytes);
        }
        if !self.notices.is_empty() {
            self.begin();
        }
    }

    fn relays(&self) -> bool {
        self.asked.relay
    }

    fn relays_usage(&self) -> bool {
        self.asked.usage
    }
}

/// Prints OpenAI's usage object: only what the provider told.
pub(crate) fn put_usage(out: &mut BytesMut, usage: &Usage) {
    let total = usage.input.zip(usage.output).map(|(input, output)| input.saturating_add(output));
    let members = [("prompt_tokens", usage.input), ("completion_tokens", usage.output), ("total_tokens", total)];
    let details = [
        ("prompt_tokens_details", "cached_tokens", usage.cached_input),
        ("completion_tokens_details", "reasoning_tokens", usage.reasoning),
    ];
    let mut separator: &[u8] = b"{\"";
    for (name, count) in members {
        let Some(count) = count else { continue };
        out.put_slice(separator);
        out.put_slice(name.as_bytes());
        out.put_slice(b"\":");
        put_number(out, count);
        separator = b",\"";
    }
    for (name, detail, count) in details {
        let Some(count) = count else { continue };
        out.put_slice(separator);
        out.put_slice(name.as_bytes());
        out.put_slice(b"\":{\"");
        out.put_slice(detail.as_bytes());
        out.put_slice(b"\":");
        put_number(out, count);
        out.put_slice(b"}");
        separator = b",\"";
    }
    out.put_slice(if separator == b"{\"" { b"{}" } else { b"}" });
}

#[cfg(test)]
mod tests;
