//! The neutral events of an answer, whatever provider it comes from, and how they are handed on.
//!
//! Chunks never travel as actor messages: an answer is an [`EventStream`] that its reader polls on its own thread. Events borrow from
//! the stream's buffer, so relaying a word costs no allocation. Dropping the stream cancels everything behind it.

use crate::failure::Failure;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Why a model stopped, in OpenAI's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// It was done, or met a stop sequence.
    Stop,
    /// The limit of tokens was reached.
    Length,
    /// It wants tools to be called.
    ToolCalls,
    /// It, or the provider's filter, refused.
    ContentFilter,
}

impl FinishReason {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
            FinishReason::ToolCalls => "tool_calls",
            FinishReason::ContentFilter => "content_filter",
        }
    }
}

/// What a provider says of why its model stopped, where it says more than the finish reason can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The model was about to write this stop sequence.
    Sequence(Arc<str>),
    /// It paused, and goes on when it gets its answer back: Anthropic's `pause_turn`.
    Paused,
}

/// Tokens as the provider counted them. What it did not tell is `None`, never 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens read, cached and cache-writing ones included.
    pub input: Option<u64>,
    /// Tokens written, thinking included.
    pub output: Option<u64>,
    /// Of `input`, those that came from the provider's cache.
    pub cached_input: Option<u64>,
    /// Of `input`, those that were written into the provider's cache, where that has a price of its own.
    pub cache_written: Option<u64>,
    /// Of `output`, those spent on thinking.
    pub reasoning: Option<u64>,
}

impl Usage {
    /// Whether the provider told nothing at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes over every figure that `newer` tells: providers repeat and correct their counts within one answer.
    pub fn update(&mut self, newer: Usage) {
        self.input = newer.input.or(self.input);
        self.output = newer.output.or(self.output);
        self.cached_input = newer.cached_input.or(self.cached_input);
        self.cache_written = newer.cache_written.or(self.cache_written);
        self.reasoning = newer.reasoning.or(self.reasoning);
    }

    /// Adds another round's counts.
    pub fn add(&mut self, other: Usage) {
        let sum = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (a, b) => a.or(b),
        };
        self.input = sum(self.input, other.input);
        self.output = sum(self.output, other.output);
        self.cached_input = sum(self.cached_input, other.cached_input);
        self.cache_written = sum(self.cache_written, other.cache_written);
        self.reasoning = sum(self.reasoning, other.reasoning);
    }
}

/// A provider's own proof of its thinking, to go back byte for byte within the turn: Anthropic's thinking blocks with signature and
/// redacted thinking, Gemini's thought signatures, OpenRouter's reasoning details.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpaquePart {
    /// The wire format that made it and alone understands it (`anthropic`, …); other formats leave it out.
    pub format: &'static str,
    /// The part as JSON, exactly as it goes back.
    pub json: Bytes,
    /// The call it belongs to, where the format ties it to one.
    pub call: Option<u32>,
}

/// What a provider said of its answer as a whole, before the first event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The provider's id of the answer, if it gave a usable one.
    pub id: Option<Arc<str>>,
    /// The model that answers, by the provider's name.
    pub model: Option<Arc<str>>,
    /// When the answer was begun, in Unix seconds, if told.
    pub created: Option<i64>,
}

/// One thing that happened in an answer.
///
/// Order within an answer: `Head` once and first, at most; each call's `ToolStart` before its `ToolArguments` and its `ToolEnd`; `Finish`
/// exactly once if the answer is whole, `Stopped` at most once and before it; `Usage` any number of times, the last figures win. `Finish` alone does not make an
/// answer successful: the stream must also end without a failure, which the decoder grants only on the provider's own end mark.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// What the provider says of the answer.
    Head(Head),
    /// Visible text.
    Text(&'a str),
    /// Reasoning, shown apart from the text.
    Thinking(&'a str),
    /// OpenAI's refusal text.
    Refusal(&'a str),
    /// A tool call begins. `index` counts from 0 without gaps.
    ToolStart {
        /// The call's place in the answer.
        index: u32,
        /// The provider's id; `None` where it gives none (HAIA makes one).
        id: Option<&'a str>,
        /// The tool.
        name: &'a str,
    },
    /// A piece of a call's arguments, as JSON text.
    ToolArguments {
        /// The call.
        index: u32,
        /// The piece; the pieces joined are one JSON object, or nothing at all for a call without arguments.
        json: &'a str,
    },
    /// A call is complete.
    ToolEnd {
        /// The call.
        index: u32,
    },
    /// A part that only its provider understands.
    Opaque(OpaquePart),
    /// Token counts so far.
    Usage(Usage),
    /// What the provider says that the answer cost, in billionths of a USD; the last one counts.
    Cost(u64),
    /// What is known of the stop beyond the finish reason, which follows.
    Stopped(Stop),
    /// Why the model stopped.
    Finish(FinishReason),
    /// What HAIA itself is doing, for people who wait: which of its own tools runs.
    Status {
        /// A few words.
        description: &'a str,
        /// Whether that work is over.
        done: bool,
    },
    /// Nothing happened, but the answer is still being worked on.
    KeepAlive,
}

/// What a verbatim piece of an OpenAI stream held, for the reader's own bookkeeping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relayed {
    /// It carried `delta.role`.
    pub role: bool,
    /// It carried text, thinking, a refusal or a tool call.
    pub content: bool,
    /// It carried the finish reason.
    pub finish: bool,
    /// It carried the usage chunk.
    pub usage: bool,
}

/// Takes events as they are decoded.
pub trait EventSink {
    /// Takes one event.
    fn event(&mut self, event: Event<'_>);

    /// Takes whole `data:` events of an OpenAI stream that need no mending, as they came; only called if [`EventSink::relays`].
    fn relay(&mut self, bytes: Bytes, holds: Relayed) {
        let _ = (bytes, holds);
    }

    /// Takes a whole (not streamed) OpenAI answer that needs no mending; only called if [`EventSink::relays`].
    fn relay_whole(&mut self, body: Bytes) {
        let _ = body;
    }

    /// Whether verbatim OpenAI bytes are of use to this sink. Asked once, before the first event.
    fn relays(&self) -> bool {
        false
    }

    /// Whether a usage chunk may be among the relayed bytes.
    fn relays_usage(&self) -> bool {
        false
    }
}

/// An answer as it comes.
///
/// `Ready(Some(Ok(())))`: the events that arrived were handed to `sink` (there may be none). `Ready(Some(Err(_)))`: the answer has
/// failed, and what was handed over before stays true. `Ready(None)`: the answer is complete; the provider's end mark was seen.
/// After an error or `None` it must not be polled again.
pub trait EventStream {
    /// Waits for the next piece of the answer and hands its events to `sink`.
    fn poll_events(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        sink: &mut dyn EventSink,
    ) -> Poll<Option<Result<(), Failure>>>;
}
