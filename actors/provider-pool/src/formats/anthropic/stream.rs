//! Reads an Anthropic stream.
//!
//! Blocks and events it does not know are skipped, server tools among them. Only `message_stop` makes an answer complete.

use super::counts::{Counts, WireCounts};
use crate::formats::wire::{self, Raw};
use crate::formats::{Decoder, MAX_EVENT, errors};
use bytes::Bytes;
use contract::chat::{Event, EventSink, FinishReason, Head, OpaquePart, Stop};
use contract::failure::{Failure, FailureClass};
use runtime::http::sse::{self, Sse};
use serde::Deserialize;
use serde_json::json;
use std::borrow::Cow;
use std::sync::Arc;

/// The most blocks that are open at once, and the most calls in one answer.
const MAX_OPEN: usize = 256;

/// The decoder of one stream.
pub struct AnthropicStream {
    sse: Sse,
    answer: Reading,
}

impl AnthropicStream {
    /// For an answer of `model`.
    pub fn new(model: Arc<str>) -> Self {
        let answer = Reading {
            model,
            has_head: false,
            counts: Counts::default(),
            blocks: Vec::new(),
            calls: 0,
            stop: None,
            stopped: None,
            is_at_work: false,
            complete: false,
        };
        Self { sse: Sse::new(MAX_EVENT), answer }
    }
}

impl Decoder for AnthropicStream {
    fn feed(&mut self, bytes: &Bytes, sink: &mut dyn EventSink) -> Result<(), Failure> {
        let answer = &mut self.answer;
        self.sse.feed(bytes, |event| answer.take(&event, sink))
    }

    fn end(&mut self, sink: &mut dyn EventSink) -> Result<(), Failure> {
        let answer = &mut self.answer;
        self.sse.end(|event| match answer.take(&event, sink) {
            // The last event was cut in the middle: that is the end, not nonsense.
            Err(failure) if failure.class == FailureClass::Truncated => Err(wire::cut_off()),
            taken => taken,
        })?;
        if answer.complete { Ok(()) } else { Err(wire::cut_off()) }
    }

    fn is_complete(&self) -> bool {
        self.answer.complete
    }

    fn is_at_work(&self) -> bool {
        self.answer.is_at_work
    }
}

struct Reading {
    model: Arc<str>,
    has_head: bool,
    counts: Counts,
    /// The open blocks by the API's index.
    blocks: Vec<(u64, Block)>,
    calls: u32,
    stop: Option<FinishReason>,
    stopped: Option<Stop>,
    /// A block has begun that is no text: the first words of a text follow its beginning at once, of other blocks nothing may for minutes.
    is_at_work: bool,
    complete: bool,
}

enum Block {
    Text,
    Thinking {
        text: String,
        signature: String,
    },
    /// `input`: what the start held, for servers that send no fragments.
    Call {
        index: u32,
        input: Option<String>,
    },
    Skipped,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, rename = "type")]
    kind: Raw<'a>,
    #[serde(borrow)]
    index: Raw<'a>,
    #[serde(borrow)]
    message: Option<Message<'a>>,
    #[serde(borrow)]
    content_block: Raw<'a>,
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    #[serde(borrow)]
    usage: Option<WireCounts<'a>>,
    #[serde(borrow)]
    error: Raw<'a>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Raw<'a>,
    #[serde(borrow)]
    model: Raw<'a>,
    #[serde(borrow)]
    usage: Option<WireCounts<'a>>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    text: Raw<'a>,
    #[serde(borrow)]
    thinking: Raw<'a>,
    #[serde(borrow)]
    signature: Raw<'a>,
    #[serde(borrow)]
    partial_json: Raw<'a>,
    #[serde(borrow)]
    stop_reason: Raw<'a>,
    #[serde(borrow)]
    stop_sequence: Raw<'a>,
}

/// A block, whole or as its start.
#[derive(Deserialize)]
pub struct WireBlock<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Raw<'a>,
    #[serde(borrow)]
    pub id: Raw<'a>,
    #[serde(borrow)]
    pub name: Raw<'a>,
    #[serde(borrow)]
    pub input: Raw<'a>,
    #[serde(borrow)]
    pub text: Raw<'a>,
    #[serde(borrow)]
    pub thinking: Raw<'a>,
    #[serde(borrow)]
    pub signature: Raw<'a>,
}

/// Why the model stopped, in OpenAI's words.
pub fn finish_reason(stop: Option<&str>, calls: bool) -> FinishReason {
    match stop {
        Some("max_tokens" | "model_context_window_exceeded") => FinishReason::Length,
        Some("refusal") => FinishReason::ContentFilter,
        // end_turn, stop_sequence, pause_turn, and words that are yet to be invented.
        _ if calls => FinishReason::ToolCalls,
        _ => FinishReason::Stop,
    }
}

/// What the stop reason says beyond that.
pub fn stopped(reason: &str, sequence: Raw<'_>) -> Option<Stop> {
    match reason {
        "stop_sequence" => wire::filled(sequence).map(|sequence| Stop::Sequence(Arc::from(sequence))),
        "pause_turn" => Some(Stop::Paused),
        _ => None,
    }
}

/// A part that goes back byte for byte.
pub fn opaque(json: Bytes) -> OpaquePart {
    OpaquePart { format: "anthropic", json, call: None }
}

/// An event that is not what it should be. One of a type that is not known may hold members of any shape under names that are.
fn odd(text: &str) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow, rename = "type")]
        kind: Raw<'a>,
        #[serde(borrow)]
        error: Raw<'a>,
    }
    const KNOWN: [&str; 6] = [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    let named: Option<Named<'_>> = serde_json::from_str(text).ok();
    match named.and_then(|named| Some((wire::filled(named.kind)?, named.error))) {
        Some((kind, None)) if !KNOWN.contains(&kind.as_ref()) => Ok(()),
        Some((kind, Some(_))) if !KNOWN.contains(&kind.as_ref()) => Err(errors::inside(text)),
        _ => Err(wire::not_understood("a piece of the stream")),
    }
}

impl Reading {
    fn take(&mut self, event: &sse::Event<'_>, sink: &mut dyn EventSink) -> Result<(), Failure> {
        if self.complete {
            return Ok(());
        }
        let text = wire::utf8(event.data);
        if event.name == b"error" {
            return Err(errors::inside(&text));
        }
        let event: Wire<'_> = match serde_json::from_str(&text) {
            Ok(event) => event,
            Err(_) => return odd(&text),
        };
        let kind = wire::text(event.kind).unwrap_or_default();
        // Nothing comes before the head, even where a proxy left its event out.
        if matches!(kind.as_ref(), "content_block_start" | "message_delta" | "message_stop") {
            self.head(None, sink);
        }
        match kind.as_ref() {
            "content_block_delta" => {
                if let Some(delta) = &event.delta {
                    self.delta(wire::count(event.index), delta, sink)?;
                }
            }
            "content_block_start" => self.begin(wire::count(event.index), event.content_block, sink)?,
            "content_block_stop" => self.close(wire::count(event.index), sink),
            "message_start" => self.head(event.message.as_ref(), sink),
            "message_delta" => {
                if let Some(counts) = &event.usage {
                    sink.event(Event::Usage(self.counts.update(counts)));
                }
                if let Some(delta) = &event.delta
                    && let Some(stop) = wire::filled(delta.stop_reason)
                {
                    self.stop = Some(finish_reason(Some(&stop), self.calls > 0));
                    self.stopped = stopped(&stop, delta.stop_sequence);
                }
            }
            "message_stop" => {
                self.complete = true;
                let calls = self.calls > 0;
                if let Some(stop) = self.stopped.take() {
                    sink.event(Event::Stopped(stop));
                }
                sink.event(Event::Finish(self.stop.unwrap_or_else(|| finish_reason(None, calls))));
            }
            _ if event.error.is_some() => return Err(errors::inside(&text)),
            // `ping`, and events that are yet to be invented.
            _ => {}
        }
        Ok(())
    }

    fn head(&mut self, message: Option<&Message<'_>>, sink: &mut dyn EventSink) {
        // Some proxies send it twice.
        if !std::mem::replace(&mut self.has_head, true) {
            let model = message.and_then(|message| wire::filled(message.model));
            sink.event(Event::Head(Head {
                id: message.and_then(|message| wire::filled(message.id)).map(Arc::from),
                model: Some(model.map_or_else(|| Arc::clone(&self.model), Arc::from)),
                created: None,
            }));
        }
        if let Some(counts) = message.and_then(|message| message.usage.as_ref()) {
            sink.event(Event::Usage(self.counts.update(counts)));
        }
    }

    fn begin(&mut self, index: Option<u64>, block: Raw<'_>, sink: &mut dyn EventSink) -> Result<(), Failure> {
        let (Some(index), Some(raw)) = (index, block) else { return Ok(()) };
        let Ok(block) = serde_json::from_str::<WireBlock<'_>>(raw.get()) else { return Ok(()) };
        if self.blocks.len() >= MAX_OPEN || self.calls >= MAX_OPEN as u32 {
            let message = format!("the provider sent more than {MAX_OPEN} blocks in one answer");
            return Err(Failure::new(FailureClass::Truncated, message));
        }
        let kind = wire::text(block.kind).unwrap_or_default();
        self.is_at_work |= kind != "text";
        let open = match kind.as_ref() {
            "text" => {
                if let Some(text) = wire::filled(block.text) {
                    sink.event(Event::Text(&text));
                }
                Block::Text
            }
            "thinking" => {
                let text = wire::text(block.thinking).unwrap_or_default().into_owned();
                if !text.is_empty() {
                    sink.event(Event::Thinking(&text));
                }
                Block::Thinking { text, signature: wire::text(block.signature).unwrap_or_default().into_owned() }
            }
            "redacted_thinking" => {
                sink.event(Event::Opaque(opaque(Bytes::copy_from_slice(raw.get().as_bytes()))));
                Block::Skipped
            }
            "tool_use" => {
                let call = self.calls;
                self.calls += 1;
                let (id, name) = (wire::filled(block.id), wire::text(block.name).unwrap_or_default());
                sink.event(Event::ToolStart { index: call, id: id.as_deref(), name: &name });
                let input = wire::arguments(block.input).filter(|input| input != "{}");
                Block::Call { index: call, input: input.map(Cow::into_owned) }
            }
            _ => Block::Skipped,
        };
        self.blocks.retain(|(known, _)| *known != index);
        self.blocks.push((index, open));
        Ok(())
    }

    fn delta(&mut self, index: Option<u64>, delta: &Delta<'_>, sink: &mut dyn EventSink) -> Result<(), Failure> {
        let block = self.blocks.iter_mut().rev().find(|(known, _)| Some(*known) == index);
        match block.map(|(_, block)| block) {
            Some(Block::Text) => {
                if let Some(text) = wire::filled(delta.text) {
                    sink.event(Event::Text(&text));
                }
            }
            Some(Block::Thinking { text, signature }) => {
                if let Some(more) = wire::filled(delta.thinking) {
                    sink.event(Event::Thinking(&more));
                    text.push_str(&more);
                }
                if let Some(more) = wire::filled(delta.signature) {
                    signature.push_str(&more);
                }
                if text.len() + signature.len() > MAX_EVENT {
                    let message = "the provider sent more thinking than can be kept";
                    return Err(Failure::new(FailureClass::Truncated, message));
                }
            }
            Some(Block::Call { index, input }) => {
                if let Some(json) = wire::filled(delta.partial_json) {
                    *input = None;
                    sink.event(Event::ToolArguments { index: *index, json: &json });
                }
            }
            Some(Block::Skipped) | None => {}
        }
        Ok(())
    }

    fn close(&mut self, index: Option<u64>, sink: &mut dyn EventSink) {
        let Some(at) = self.blocks.iter().position(|(known, _)| Some(*known) == index) else { return };
        match self.blocks.remove(at).1 {
            Block::Thinking { text, signature } if !signature.is_empty() => {
                let part = json!({"type": "thinking", "thinking": text, "signature": signature});
                sink.event(Event::Opaque(opaque(part.to_string().into())));
            }
            Block::Call { index, input } => {
                if let Some(json) = input {
                    sink.event(Event::ToolArguments { index, json: &json });
                }
                sink.event(Event::ToolEnd { index });
            }
            Block::Text | Block::Thinking { .. } | Block::Skipped => {}
        }
    }
}
