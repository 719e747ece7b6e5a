//! Reads Ollama's answers: lines of JSON when streamed, one such object when whole.
//!
//! A call comes whole in one line, its arguments an object; its index is not to be trusted. Only `done: true` makes an answer complete.

use crate::formats::ndjson::Lines;
use crate::formats::wire::{self, Raw};
use crate::formats::{Decoder, Decoding, errors};
use bytes::Bytes;
use contract::chat::{Event, EventSink, FinishReason, Head, Usage};
use contract::failure::{Failure, FailureClass};
use jiff::Timestamp;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    model: Raw<'a>,
    #[serde(borrow)]
    created_at: Raw<'a>,
    #[serde(borrow)]
    message: Option<Message<'a>>,
    #[serde(borrow)]
    done: Raw<'a>,
    #[serde(borrow)]
    done_reason: Raw<'a>,
    #[serde(borrow)]
    prompt_eval_count: Raw<'a>,
    #[serde(borrow)]
    prompt_eval_cached_count: Raw<'a>,
    #[serde(borrow)]
    eval_count: Raw<'a>,
    #[serde(borrow)]
    error: Raw<'a>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Raw<'a>,
    #[serde(borrow)]
    thinking: Raw<'a>,
    #[serde(borrow)]
    tool_calls: Option<Vec<Call<'a>>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    id: Raw<'a>,
    #[serde(borrow)]
    function: Option<Function<'a>>,
}

#[derive(Clone, Copy, Default, Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Raw<'a>,
    #[serde(borrow)]
    arguments: Raw<'a>,
}

/// The decoder of one stream.
pub struct OllamaStream {
    lines: Lines,
    answer: Reading,
}

struct Reading {
    model: Arc<str>,
    has_head: bool,
    calls: u32,
    complete: bool,
}

impl OllamaStream {
    /// For an answer of `model`.
    pub fn new(model: Arc<str>) -> Self {
        Self { lines: Lines::new(), answer: Reading { model, has_head: false, calls: 0, complete: false } }
    }
}

impl Decoder for OllamaStream {
    fn feed(&mut self, bytes: &Bytes, sink: &mut dyn EventSink) -> Result<(), Failure> {
        let answer = &mut self.answer;
        self.lines.feed(bytes, |line| answer.take(line, sink))
    }

    fn end(&mut self, sink: &mut dyn EventSink) -> Result<(), Failure> {
        let answer = &mut self.answer;
        self.lines.end(|line| match answer.take(line, sink) {
            // The last line was cut in the middle: that is the end, not nonsense.
            Err(failure) if failure.class == FailureClass::Truncated => Err(wire::cut_off()),
            taken => taken,
        })?;
        if answer.complete { Ok(()) } else { Err(wire::cut_off()) }
    }

    fn is_complete(&self) -> bool {
        self.answer.complete
    }
}

/// Reads a whole answer and hands its events to `sink`.
///
/// # Errors
/// The failure that the body tells, or `Truncated` if it is no answer.
pub fn whole(body: &Bytes, call: &Decoding, sink: &mut dyn EventSink) -> Result<(), Failure> {
    let mut stream = OllamaStream::new(Arc::clone(&call.model));
    // Some proxies stream although they were told not to: lines are read too.
    stream.feed(body, sink)?;
    stream.end(sink)
}

impl Reading {
    fn take(&mut self, line: &[u8], sink: &mut dyn EventSink) -> Result<(), Failure> {
        if self.complete {
            return Ok(());
        }
        let text = wire::utf8(line);
        let line: Line<'_> = serde_json::from_str(&text).map_err(|_| wire::not_understood("a line of the answer"))?;
        if line.error.is_some() {
            return Err(errors::inside(&text));
        }
        if !std::mem::replace(&mut self.has_head, true) {
            let created: Option<Timestamp> = wire::filled(line.created_at).and_then(|at| at.parse().ok());
            sink.event(Event::Head(Head {
                id: None,
                model: Some(wire::filled(line.model).map_or_else(|| Arc::clone(&self.model), Arc::from)),
                created: created.map(Timestamp::as_second).filter(|at| *at > 0),
            }));
        }
        if let Some(message) = &line.message {
            self.message(message, sink)?;
        }
        if line.done.is_some_and(|done| done.get() == "true") {
            let usage = Usage {
                input: wire::count(line.prompt_eval_count),
                output: wire::count(line.eval_count),
                cached_input: wire::count(line.prompt_eval_cached_count),
                ..Usage::default()
            };
            if !usage.is_empty() {
                sink.event(Event::Usage(usage));
            }
            self.complete = true;
            sink.event(Event::Finish(match wire::filled(line.done_reason).as_deref() {
                Some("length") => FinishReason::Length,
                // `stop`, `load`, `unload`, and older servers that give none.
                _ if self.calls > 0 => FinishReason::ToolCalls,
                _ => FinishReason::Stop,
            }));
        }
        Ok(())
    }

    fn message(&mut self, message: &Message<'_>, sink: &mut dyn EventSink) -> Result<(), Failure> {
        /// The most calls in one answer.
        const MAX_CALLS: u32 = 256;
        if let Some(thinking) = wire::filled(message.thinking) {
            sink.event(Event::Thinking(&thinking));
        }
        if let Some(text) = wire::filled(message.content) {
            sink.event(Event::Text(&text));
        }
        for call in message.tool_calls.iter().flatten() {
            if self.calls >= MAX_CALLS {
                let message = format!("the provider sent more than {MAX_CALLS} tool calls in one answer");
                return Err(Failure::new(FailureClass::Truncated, message));
            }
            let index = self.calls;
            self.calls += 1;
            let function = call.function.unwrap_or_default();
            let (id, name) = (wire::filled(call.id), wire::text(function.name).unwrap_or_default());
            sink.event(Event::ToolStart { index, id: id.as_deref(), name: &name });
            if let Some(json) = wire::arguments(function.arguments) {
                sink.event(Event::ToolArguments { index, json: &json });
            }
            sink.event(Event::ToolEnd { index });
        }
        Ok(())
    }
}
