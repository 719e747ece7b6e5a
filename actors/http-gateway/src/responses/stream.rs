//! An answer as a response: the same bookkeeping prints OpenAI's typed events as they come, or one object at the end.

use super::object::{Asked, Item, Part, incomplete, response, summary};
use crate::encoder::{StreamEncoder, WholeEncoder, unfinished};
use crate::openai::error::Refusal;
use bytes::{BufMut as _, Bytes, BytesMut};
use contract::chat::{Event, EventSink, FinishReason, Head, Usage};
use contract::failure::Failure;
use serde_json::{Value, json};

/// The most calls of one answer: decoders number them without gaps.
const MAX_CALLS: usize = 256;

/// Builds a response.
pub(crate) struct Response {
    asked: Asked,
    /// Whether events are printed as they come.
    streams: bool,
    id: String,
    head: Head,
    printed: BytesMut,
    sequence: u64,
    begun: bool,
    items: Vec<Item>,
    /// The place of the reasoning or message that is being added to.
    open: Option<usize>,
    /// The place of each call, while it is open.
    calls: Vec<Option<usize>>,
    usage: Usage,
    finish: Option<FinishReason>,
}

impl Response {
    /// A response that is printed event by event.
    pub(crate) fn streamed(asked: Asked) -> Self {
        Self::new(asked, true)
    }

    /// A response that is printed once, whole.
    pub(crate) fn whole(asked: Asked) -> Self {
        Self::new(asked, false)
    }

    fn new(asked: Asked, streams: bool) -> Self {
        Self {
            id: asked.id("resp"),
            asked,
            streams,
            head: Head::default(),
            printed: BytesMut::new(),
            sequence: 0,
            begun: false,
            items: Vec::new(),
            open: None,
            calls: Vec::new(),
            usage: Usage::default(),
            finish: None,
        }
    }

    fn object(&self, finish: Option<FinishReason>) -> Value {
        response(&self.asked, &self.id, &self.head, &self.items, &self.usage, finish)
    }

    /// Prints one event, numbered.
    fn print(&mut self, kind: &str, mut data: Value) {
        if !self.streams {
            return;
        }
        data["type"] = json!(kind);
        data["sequence_number"] = json!(self.sequence);
        self.sequence += 1;
        self.printed.put_slice(format!("event: {kind}\ndata: {data}\n\n").as_bytes());
    }

    fn begin(&mut self) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        if self.streams {
            let object = self.object(None);
            self.print("response.created", json!({ "response": object.clone() }));
            self.print("response.in_progress", json!({ "response": object }));
        }
    }

    /// Prints one event of the item at `at`.
    fn tell(&mut self, at: usize, kind: &str, mut data: Value) {
        if self.streams {
            data["output_index"] = json!(at);
            data["item_id"] = json!(self.items[at].id());
            self.print(kind, data);
        }
    }

    /// Begins an item.
    fn add(&mut self, item: Item) -> usize {
        self.begin();
        let (at, printed) = (self.items.len(), item.print("in_progress"));
        self.items.push(item);
        self.print("response.output_item.added", json!({ "output_index": at, "item": printed }));
        at
    }

    fn done(&mut self, at: usize) {
        let item = self.items[at].print("completed");
        self.print("response.output_item.done", json!({ "output_index": at, "item": item }));
    }

    /// Ends the reasoning or message that is being added to.
    fn close(&mut self) {
        let Some(at) = self.open.take() else { return };
        if let Item::Reasoning { text, .. } = &self.items[at] {
            let text = text.clone();
            self.tell(at, "response.reasoning_summary_text.done", json!({ "summary_index": 0, "text": text }));
            self.tell(
                at,
                "response.reasoning_summary_part.done",
                json!({ "summary_index": 0, "part": summary(&text) }),
            );
        } else {
            self.close_part(at);
        }
        self.done(at);
    }

    fn close_part(&mut self, at: usize) {
        let Item::Message { parts, .. } = &self.items[at] else { return };
        let Some((index, part)) = parts.len().checked_sub(1).map(|index| (index, &parts[index])) else { return };
        let (kind, mut data) = match part {
            Part::Text(text) => ("response.output_text.done", json!({ "text": text, "logprobs": [] })),
            Part::Refusal(text) => ("response.refusal.done", json!({ "refusal": text })),
        };
        let printed = part.print();
        data["content_index"] = json!(index);
        self.tell(at, kind, data);
        self.tell(at, "response.content_part.done", json!({ "content_index": index, "part": printed }));
    }

    fn thinking(&mut self, delta: &str) {
        let at = match self.open {
            Some(at) if matches!(self.items[at], Item::Reasoning { .. }) => at,
            _ => {
                self.close();
                let id = self.asked.id("rs");
                let at = self.add(Item::Reasoning { id, text: String::new() });
                self.open = Some(at);
                self.tell(
                    at,
                    "response.reasoning_summary_part.added",
                    json!({ "summary_index": 0, "part": summary("") }),
                );
                at
            }
        };
        if let Item::Reasoning { text, .. } = &mut self.items[at] {
            text.push_str(delta);
        }
        self.tell(at, "response.reasoning_summary_text.delta", json!({ "summary_index": 0, "delta": delta }));
    }

    fn say(&mut self, delta: &str, refuses: bool) {
        let at = match self.open {
            Some(at) if matches!(self.items[at], Item::Message { .. }) => at,
            _ => {
                self.close();
                let id = self.asked.id("msg");
                let at = self.add(Item::Message { id, parts: Vec::new() });
                self.open = Some(at);
                at
            }
        };
        let Item::Message { parts, .. } = &self.items[at] else { return };
        let goes_on = match parts.last() {
            Some(Part::Text(_)) => !refuses,
            Some(Part::Refusal(_)) => refuses,
            None => false,
        };
        if !goes_on {
            self.close_part(at);
            let part = if refuses { Part::Refusal(String::new()) } else { Part::Text(String::new()) };
            let printed = part.print();
            let Item::Message { parts, .. } = &mut self.items[at] else { return };
            parts.push(part);
            let index = parts.len() - 1;
            self.tell(at, "response.content_part.added", json!({ "content_index": index, "part": printed }));
        }
        let Item::Message { parts, .. } = &mut self.items[at] else { return };
        let index = parts.len() - 1;
        let (Part::Text(text) | Part::Refusal(text)) = &mut parts[index];
        text.push_str(delta);
        if refuses {
            self.tell(at, "response.refusal.delta", json!({ "content_index": index, "delta": delta }));
        } else {
            let data = json!({ "content_index": index, "delta": delta, "logprobs": [] });
            self.tell(at, "response.output_text.delta", data);
        }
    }

    fn start_call(&mut self, index: u32, id: Option<&str>, name: &str) {
        self.close();
        let call_id = id.filter(|id| !id.is_empty()).map_or_else(|| self.asked.id("call"), str::to_owned);
        let item = Item::Call { id: self.asked.id("fc"), call_id, name: name.to_owned(), arguments: String::new() };
        let at = self.add(item);
        let index = (index as usize).min(MAX_CALLS - 1);
        if self.calls.len() <= index {
            self.calls.resize(index + 1, None);
        }
        self.calls[index] = Some(at);
    }

    fn call_arguments(&mut self, index: u32, json: &str) {
        let place = self.calls.get((index as usize).min(MAX_CALLS - 1)).copied().flatten();
        let Some(at) = place else { return };
        if let Item::Call { arguments, .. } = &mut self.items[at] {
            arguments.push_str(json);
            self.tell(at, "response.function_call_arguments.delta", json!({ "delta": json }));
        }
    }

    fn end_call(&mut self, index: usize) {
        let place = self.calls.get_mut(index.min(MAX_CALLS - 1)).and_then(Option::take);
        let Some(at) = place else { return };
        let Item::Call { arguments, name, .. } = &mut self.items[at] else { return };
        if arguments.is_empty() {
            // Clients parse what they get.
            arguments.push_str("{}");
        }
        let data = json!({ "arguments": arguments, "name": name });
        self.tell(at, "response.function_call_arguments.done", data);
        self.done(at);
    }

    /// Ends whatever is open.
    fn end(&mut self) -> Result<FinishReason, Failure> {
        let reason = self.finish.ok_or_else(unfinished)?;
        self.begin();
        self.close();
        for index in 0..self.calls.len() {
            self.end_call(index);
        }
        Ok(reason)
    }
}

impl EventSink for Response {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Head(head) => self.head = head,
            Event::Text(text) if !text.is_empty() => self.say(text, false),
            Event::Refusal(text) if !text.is_empty() => self.say(text, true),
            Event::Thinking(text) if !text.is_empty() => self.thinking(text),
            Event::ToolStart { index, id, name } => self.start_call(index, id, name),
            Event::ToolArguments { index, json } if !json.is_empty() => self.call_arguments(index, json),
            Event::ToolEnd { index } => self.end_call(index as usize),
            Event::Usage(usage) => self.usage.update(usage),
            Event::Finish(reason) => self.finish = Some(reason),
            // The agent works: people cannot be told here, but the connection stays alive.
            Event::Status { .. } => self.keep_alive(),
            Event::KeepAlive if self.begun => self.keep_alive(),
            _ => {}
        }
    }
}

impl StreamEncoder for Response {
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
        self.begin();
        if self.streams {
            self.printed.put_slice(b": keep-alive\n\n");
        }
    }

    fn complete(&mut self) -> Result<(), Failure> {
        let reason = self.end()?;
        let kind = if incomplete(reason).is_some() { "response.incomplete" } else { "response.completed" };
        let object = self.object(Some(reason));
        self.print(kind, json!({ "response": object }));
        Ok(())
    }

    fn fail(&mut self, refusal: &Refusal) {
        self.begun = true;
        // OpenAI's own event of failure, and within it the error object of every other route.
        let object = serde_json::to_value(refusal.object()).unwrap_or_default();
        let data = json!({
            "code": object["code"], "message": object["message"], "param": object["param"], "error": object,
        });
        self.print("error", data);
    }
}

impl WholeEncoder for Response {
    fn complete(mut self) -> Result<Bytes, Failure> {
        let reason = self.end()?;
        Ok(self.object(Some(reason)).to_string().into())
    }
}

#[cfg(test)]
mod tests;
