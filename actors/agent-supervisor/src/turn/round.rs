//! One round of the model as it comes: what people may see goes on at once, the rest is collected for what follows.

use contract::chat::{Answer, Event, EventSink};
use contract::failure::{Failure, FailureClass};

/// The most bytes of one answer that are collected: text, thinking, arguments and provider parts.
const BYTES: usize = 16 << 20;
/// The most calls of one answer.
const CALLS: u32 = 128;

/// The round so far.
#[derive(Default)]
pub(super) struct Round {
    pub(super) answer: Answer,
    bytes: usize,
    too_many_calls: bool,
}

impl Round {
    /// Whether the model says more than any sane answer holds.
    pub(super) fn is_too_large(&self) -> bool {
        self.bytes > BYTES || self.too_many_calls
    }

    /// The failure that follows.
    pub(super) fn too_large() -> Failure {
        Failure::new(
            FailureClass::ServerError,
            format!("the model's answer is larger than {} MiB or holds more than {CALLS} tool calls", BYTES >> 20),
        )
    }

    fn collect(&mut self, event: Event<'_>) {
        self.bytes += match &event {
            Event::Text(text) | Event::Thinking(text) | Event::Refusal(text) => text.len(),
            Event::ToolStart { index, name, .. } => {
                self.too_many_calls |= *index >= CALLS;
                name.len()
            }
            Event::ToolArguments { index, json } => {
                self.too_many_calls |= *index >= CALLS;
                json.len()
            }
            Event::Opaque(part) => part.json.len(),
            _ => 0,
        };
        if !self.is_too_large() {
            self.answer.event(event);
        }
    }
}

/// What was said and thought so far over all rounds, so that neither the text nor the thinking of two rounds runs together: many
/// readers join all thinking into one block.
#[derive(Default)]
pub(super) struct Voice {
    spoke: bool,
    /// What was said last ended with an empty line.
    ended: bool,
    gap: bool,
    thought: bool,
    thinking_gap: bool,
}

impl Voice {
    /// Another round, or another voice, begins.
    pub(super) fn next_round(&mut self) {
        self.gap = self.spoke && !self.ended;
        self.thinking_gap = self.thought;
    }

    /// To be called before any text.
    pub(super) fn before_text(&mut self, sink: &mut dyn EventSink) {
        if self.gap {
            sink.event(Event::Text("\n\n"));
            self.gap = false;
        }
        self.spoke = true;
        self.ended = false;
    }

    /// To be called before any thinking.
    fn before_thinking(&mut self, sink: &mut dyn EventSink) {
        if self.thinking_gap {
            sink.event(Event::Thinking("\n\n"));
            self.thinking_gap = false;
        }
        self.thought = true;
    }

    /// What was said last ended with an empty line.
    pub(super) fn has_ended_paragraph(&mut self) {
        self.ended = true;
    }
}

/// Hands on what people may see.
pub(super) struct RoundSink<'a> {
    outer: &'a mut dyn EventSink,
    round: &'a mut Round,
    voice: &'a mut Voice,
}

impl<'a> RoundSink<'a> {
    pub(super) fn new(outer: &'a mut dyn EventSink, round: &'a mut Round, voice: &'a mut Voice) -> Self {
        Self { outer, round, voice }
    }
}

impl EventSink for RoundSink<'_> {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Text("") | Event::Thinking("") | Event::Refusal("") => return,
            Event::Text(text) => {
                self.voice.before_text(self.outer);
                self.outer.event(Event::Text(text));
            }
            Event::Thinking(text) => {
                self.voice.before_thinking(self.outer);
                self.outer.event(Event::Thinking(text));
            }
            Event::Refusal(text) => {
                // Shown as text, too.
                self.voice.before_text(self.outer);
                self.outer.event(Event::Refusal(text));
            }
            Event::KeepAlive => self.outer.event(Event::KeepAlive),
            // The head names a model that is not the one asked for; calls, provider parts, counts and the end are the turn's business.
            _ => {}
        }
        self.round.collect(event);
    }
}
