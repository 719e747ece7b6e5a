//! An answer collected from its events: for callers who want it whole, and for the agent's next round.

use super::event::{Event, EventSink, FinishReason, Head, OpaquePart, Stop, Usage};

/// One tool call of a collected answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollectedCall {
    /// The provider's id, if it gave one.
    pub id: Option<String>,
    /// The tool.
    pub name: String,
    /// The arguments as JSON text; empty when the call came without any.
    pub arguments: String,
    /// Whether the call came to its end.
    pub complete: bool,
}

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// What the provider said of it.
    pub head: Head,
    /// All visible text.
    pub text: String,
    /// All reasoning.
    pub thinking: String,
    /// OpenAI's refusal text.
    pub refusal: String,
    /// The calls, in order.
    pub calls: Vec<CollectedCall>,
    /// Provider parts, in order.
    pub opaque: Vec<OpaquePart>,
    /// The last counts told.
    pub usage: Usage,
    /// Why it stopped.
    pub finish: Option<FinishReason>,
    /// What is known of that beyond.
    pub stopped: Option<Stop>,
}

impl EventSink for Answer {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Head(head) => self.head = head,
            Event::Text(text) => self.text.push_str(text),
            Event::Thinking(text) => self.thinking.push_str(text),
            Event::Refusal(text) => self.refusal.push_str(text),
            Event::ToolStart { index, id, name } => {
                let call = self.call(index);
                call.id = id.map(str::to_owned);
                call.name = name.to_owned();
            }
            Event::ToolArguments { index, json } => self.call(index).arguments.push_str(json),
            Event::ToolEnd { index } => self.call(index).complete = true,
            Event::Opaque(part) => self.opaque.push(part),
            Event::Usage(usage) => self.usage.update(usage),
            Event::Finish(reason) => self.finish = Some(reason),
            Event::Stopped(stop) => self.stopped = Some(stop),
            Event::Cost(_) | Event::Status { .. } | Event::KeepAlive => {}
        }
    }
}

impl Answer {
    /// The most calls one answer may hold: a decoder numbers them without gaps, so more is a fault of the model.
    const MAX_CALLS: usize = 256;

    fn call(&mut self, index: u32) -> &mut CollectedCall {
        let index = (index as usize).min(Self::MAX_CALLS - 1);
        if self.calls.len() <= index {
            self.calls.resize_with(index + 1, CollectedCall::default);
        }
        &mut self.calls[index]
    }
}
