//! What a model thought before it called tools: gathered for clients who return with the results and without it.
//!
//! Nothing here is done for a request that offers no tools. The text is put together as it stands in the JSON, without being read, so that it
//! goes back as it came, and a chunk costs no more than the copy of its text.

use super::Dialect;
use super::chunk::{CallDelta, Delta};
use crate::formats::{Decoding, Thoughts, wire};
use contract::chat::{Event, OpaquePart, ToolCall};
use std::rc::Rc;

/// The most bytes that are kept of one answer.
const ONE: usize = 4 << 20;

/// What was gathered of one answer so far.
pub struct Thought {
    thoughts: Rc<dyn Thoughts>,
    format: &'static str,
    /// A JSON string without its last quote.
    text: Vec<u8>,
    calls: Vec<ToolCall>,
    /// The bytes of the calls.
    bytes: usize,
}

impl Thought {
    /// For the answer to this call, if somebody wants to know.
    pub fn wanted(call: &Decoding, dialect: Dialect) -> Option<Box<Self>> {
        let thoughts = Rc::clone(call.thoughts.as_ref()?);
        Some(Box::new(Self { thoughts, format: dialect.format, text: vec![b'"'], calls: Vec::new(), bytes: 0 }))
    }

    /// Takes a delta that is relayed as it came: its calls are numbered from 0 without gaps.
    #[inline]
    pub fn relayed(&mut self, delta: &Delta<'_>) {
        self.thinking(delta);
        for call in delta.tool_calls.iter().flatten() {
            let at = wire::count(call.index).and_then(|index| usize::try_from(index).ok());
            match at.and_then(|at| self.calls.get_mut(at)) {
                Some(known) => {
                    if let Some(json) = call.function.and_then(|function| wire::arguments(function.arguments)) {
                        self.bytes += json.len();
                        if self.bytes <= ONE {
                            known.function.arguments.push_str(&json);
                        }
                    }
                }
                None => self.call(call),
            }
        }
    }

    /// Takes the thinking of a delta, or of a whole message, under whichever name it came.
    #[inline]
    pub fn thinking(&mut self, delta: &Delta<'_>) {
        let text = |json: &&str| json.len() > 2 && json.starts_with('"');
        let named = [delta.reasoning_content, delta.reasoning];
        if let Some(json) = named.into_iter().flatten().map(|member| member.get()).find(text)
            && self.text.len() <= ONE
        {
            self.text.extend_from_slice(&json.as_bytes()[1..json.len() - 1]);
        }
    }

    /// Takes a call that came whole, or the beginning of one.
    pub fn call(&mut self, call: &CallDelta<'_>) {
        let function = call.function.unwrap_or_default();
        let text = |member| wire::text(member).unwrap_or_default();
        let arguments = wire::arguments(function.arguments).unwrap_or_default();
        self.bytes += arguments.len();
        let arguments = if self.bytes <= ONE { arguments.into_owned() } else { String::new() };
        self.calls.push(ToolCall::new(text(call.id), text(function.name), arguments));
    }

    /// Takes what is told of a call that is not relayed.
    pub fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::ToolStart { id, name, .. } => self.calls.push(ToolCall::new(id.unwrap_or_default(), *name, "")),
            Event::ToolArguments { index, json } => {
                self.bytes += json.len();
                if let Some(call) = self.calls.get_mut(*index as usize).filter(|_| self.bytes <= ONE) {
                    call.function.arguments.push_str(json);
                }
            }
            _ => {}
        }
    }

    /// The answer is complete: tells what came together, if a client can come back to it.
    pub fn tell(self) {
        let Self { thoughts, format, mut text, mut calls, bytes } = self;
        // What has no id of the provider's gets one that only the client knows.
        calls.retain(|call| !call.id.is_empty());
        if text.len() == 1 || calls.is_empty() || text.len() > ONE || bytes > ONE {
            return;
        }
        text.push(b'"');
        thoughts.take(&calls, OpaquePart { format, json: text.into(), call: None });
    }
}
