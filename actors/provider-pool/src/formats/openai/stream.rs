//! Reads an OpenAI stream, whoever speaks it: relays the events that are right for clients as they came, and mends the others.
//!
//! Right for clients means: one id, `created` and model throughout, one choice, a role before
//! any text, calls numbered from 0 whose first delta is complete, a finish reason that fits the calls, nothing that clients do not
//! know. What is not right is read and handed on as neutral events; after them, relaying goes on. `[DONE]` is never relayed.
//!
//! The chunk with the finish reason is held back until the end mark (`[DONE]`, or the end of the connection): an error may still come, and an
//! answer that failed has no finish reason.

use super::Dialect;
use super::calls::Calls;
use super::chunk::{self, Choice, Chunk, Delta};
use super::details::Details;
use super::failed;
use super::finish::{self, Finish};
use super::relay::{Held, Out};
use super::thought::Thought;
use crate::formats::{Decoder, Decoding, MAX_EVENT, errors, wire};
use bytes::Bytes;
use contract::chat::{Event, EventSink, FinishReason, Head, Relayed, Stop, Usage};
use contract::failure::{Failure, FailureClass};
use runtime::http::sse::{self, Sse};
use std::borrow::Cow;
use std::sync::Arc;

/// The decoder of one stream.
pub struct OpenAiStream {
    sse: Sse,
    answer: Reading,
}

impl OpenAiStream {
    /// For the answer to this call.
    pub fn new(call: &Decoding, dialect: Dialect) -> Self {
        let answer = Reading {
            model: Arc::clone(&call.model),
            dialect,
            relays: None,
            head: None,
            has_role: false,
            has_deltas: false,
            calls: Calls::default(),
            details: Details::new(dialect.format),
            thought: Thought::wanted(call, dialect),
            finish: None,
            stopped: None,
            held: Vec::new(),
            complete: false,
        };
        Self { sse: Sse::new(MAX_EVENT), answer }
    }
}

impl Decoder for OpenAiStream {
    fn feed(&mut self, bytes: &Bytes, sink: &mut dyn EventSink) -> Result<(), Failure> {
        let answer = &mut self.answer;
        let mut out = Out::new(bytes, sink);
        let fed = self.sse.feed(bytes, |event| answer.take(event, &mut out));
        out.flush();
        answer.held.iter_mut().for_each(Held::leave_piece);
        fed
    }

    fn end(&mut self, sink: &mut dyn EventSink) -> Result<(), Failure> {
        let answer = &mut self.answer;
        let none = Bytes::new();
        let mut out = Out::new(&none, sink);
        self.sse.end(|event| match answer.take(event, &mut out) {
            // The last event was cut in the middle: that is the end, not nonsense.
            Err(failure) if failure.class == FailureClass::Truncated => Err(wire::cut_off()),
            taken => taken,
        })?;
        if !answer.complete {
            if answer.finish.is_none() {
                return Err(wire::cut_off());
            }
            answer.conclude(&mut out);
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.answer.complete
    }
}

/// What is known of the answer so far.
struct Reading {
    model: Arc<str>,
    dialect: Dialect,
    /// Whether verbatim bytes are wanted, and usage chunks among them: asked of the sink once.
    relays: Option<Relays>,
    head: Option<Known>,
    /// A role was relayed, or something came that makes the gateway print one.
    has_role: bool,
    /// A choice had a delta.
    has_deltas: bool,
    calls: Calls,
    details: Details,
    thought: Option<Box<Thought>>,
    finish: Option<FinishReason>,
    stopped: Option<Stop>,
    held: Vec<Held>,
    complete: bool,
}

#[derive(Clone, Copy)]
struct Relays {
    chunks: bool,
    usage: bool,
}

/// The head of the first chunk, as it stood in the JSON: every relayed chunk must repeat it.
struct Known {
    id: Box<str>,
    created: Box<str>,
    model: Box<str>,
    is_fit: bool,
}

impl Known {
    fn is_repeated_by(&self, chunk: &Chunk<'_>) -> bool {
        let same = |member: wire::Raw<'_>, known: &str| member.is_some_and(|member| member.get() == known);
        self.is_fit
            && chunk.error.is_none()
            && same(chunk.object, "\"chat.completion.chunk\"")
            && same(chunk.id, &self.id)
            && same(chunk.created, &self.created)
            && same(chunk.model, &self.model)
    }
}

impl Reading {
    fn take(&mut self, event: sse::Event<'_>, out: &mut Out<'_>) -> Result<(), Failure> {
        if self.complete {
            return Ok(());
        }
        let data = event.data.trim_ascii();
        if event.name == b"error" {
            return Err(errors::inside(&wire::utf8(data)));
        }
        if data == b"[DONE]" {
            self.conclude(out);
            return Ok(());
        }
        let relays = *self.relays.get_or_insert_with(|| {
            let sink = out.sink();
            Relays { chunks: sink.relays(), usage: sink.relays_usage() }
        });
        let text = wire::utf8(data);
        // A whole event on one line can be relayed; so can one that the network cut or the server framed oddly, framed anew.
        let can_relay = relays.chunks
            && matches!(text, Cow::Borrowed(_))
            && text.len() == data.len()
            && (event.verbatim.is_some() || !data.contains(&b'\n'));
        let mut chunk = Chunk::read(&text).ok_or_else(|| wire::not_understood("a piece of the stream"))?;
        let usage = chunk.usage();
        if let Some(failure) = failed::of_chunk(&chunk, &text) {
            self.tell_usage(usage, &chunk, out);
            return Err(failure);
        }
        self.leave_out_repeated(&mut chunk);
        let choice = chunk.choices.as_ref().and_then(|choices| choices.first.as_ref());
        let counts = usage.or_else(|| choice?.usage());
        if choice.is_some() || usage.is_some() {
            self.tell_head(&chunk, out);
        }
        let fits = can_relay && self.head.as_ref().is_some_and(|head| head.is_repeated_by(&chunk));
        if let Some(choice) = choice {
            self.stopped = choice.stopped().or(self.stopped.take());
            let alone = chunk.choices.as_ref().is_some_and(|choices| choices.count == 1);
            let holds = (fits && alone && usage.is_none()).then(|| self.clean(choice)).flatten();
            match (holds, &choice.told) {
                (Some(holds), Some(delta)) => {
                    self.has_role |= holds.role;
                    if let Some(thought) = &mut self.thought {
                        thought.relayed(delta);
                    }
                    if let Some(deltas) = &delta.tool_calls {
                        self.calls.relayed(deltas);
                    }
                    if let Some(Finish::Reason(reason)) = finish::read(choice.finish_reason) {
                        self.finish = Some(reason);
                        self.held.push(out.hold(event.verbatim, data, holds));
                    } else {
                        out.relay(event.verbatim, data, holds);
                    }
                }
                _ => {
                    if let Err(failure) = self.mend(choice, out) {
                        self.tell_usage(counts, &chunk, out);
                        return Err(failure);
                    }
                }
            }
        } else if usage.is_some_and(|usage| usage.input.is_some() && usage.output.is_some())
            && chunk.choices.as_ref().is_some_and(|choices| choices.count == 0)
            && fits
            && relays.usage
            && self.held.len() == 1
        {
            let holds = Relayed { usage: true, ..Relayed::default() };
            self.held.push(out.hold(event.verbatim, data, holds));
        }
        self.tell_usage(counts, &chunk, out);
        Ok(())
    }

    /// A message in place of a delta is read like one, unless it is the whole answer once more behind its deltas.
    fn leave_out_repeated(&mut self, chunk: &mut Chunk<'_>) {
        let is_chunk = chunk.object.is_some_and(|object| object.get() == "\"chat.completion.chunk\"");
        let Some(choice) = chunk.choices.as_mut().and_then(|choices| choices.first.as_mut()) else { return };
        if !choice.is_misplaced {
            self.has_deltas |= choice.told.is_some();
        } else if self.has_deltas && !is_chunk {
            choice.told = None;
        }
    }

    fn tell_usage(&self, usage: Option<Usage>, chunk: &Chunk<'_>, out: &mut Out<'_>) {
        if let Some(usage) = usage {
            out.event(Event::Usage(usage));
        }
        if self.dialect.tells_cost
            && let Some(cost) = chunk.cost()
        {
            out.event(Event::Cost(cost));
        }
    }

    fn tell_head(&mut self, chunk: &Chunk<'_>, out: &mut Out<'_>) {
        if self.head.is_some() {
            return;
        }
        let id = wire::filled(chunk.id);
        let created = wire::positive(chunk.created);
        let model = wire::filled(chunk.model);
        let raw = |member: wire::Raw<'_>| Box::from(member.map_or("", |member| member.get()));
        self.head = Some(Known {
            id: raw(chunk.id),
            created: raw(chunk.created),
            model: raw(chunk.model),
            is_fit: id.is_some() && created.is_some() && model.is_some(),
        });
        out.event(Event::Head(Head {
            id: id.map(Arc::from),
            created,
            model: Some(model.map_or_else(|| Arc::clone(&self.model), Arc::from)),
        }));
    }

    /// What a choice holds, if it can be relayed as it is. The chunk around it was checked.
    fn clean(&self, choice: &Choice<'_>) -> Option<Relayed> {
        let delta = choice.told.as_ref()?;
        let textual = |member: wire::Raw<'_>| member.is_none_or(|member| member.get().starts_with('"'));
        let nothing = |member: wire::Raw<'_>| member.is_none_or(|member| member.get() == "\"\"");
        let role = delta.role.is_some();
        let is_right = self.finish.is_none()
            && !choice.is_misplaced
            && choice.error.is_none()
            && choice.index.is_some_and(|index| index.get() == "0")
            && delta.role.is_none_or(|role| role.get() == "\"assistant\"")
            && (role || self.has_role)
            && textual(delta.content)
            && textual(delta.reasoning_content)
            && nothing(delta.reasoning)
            && !delta.has_details()
            && nothing(delta.refusal)
            && delta.function_call.is_none()
            && !delta.has_null_calls;
        if !is_right {
            return None;
        }
        let deltas = delta.tool_calls.as_deref().unwrap_or_default();
        // A call whose proof of thinking came must be known by its id.
        if !self.calls.are_clean(deltas) || !deltas.is_empty() && (self.dialect.mends_calls || !self.details.is_empty())
        {
            return None;
        }
        let content = !nothing(delta.content) || !nothing(delta.reasoning_content) || !deltas.is_empty();
        let finish = match choice.finish_reason.map(|reason| reason.get()) {
            None => false,
            // Words beside the finish reason must leave at once, and the finish reason must wait.
            Some(_) if content => return None,
            Some("\"stop\"") if self.calls.is_empty() => true,
            Some("\"tool_calls\"") if !self.calls.is_empty() => true,
            Some("\"length\"" | "\"content_filter\"") => true,
            Some(_) => return None,
        };
        // What is beside the first role may be anything, and what is beside the finish reason comes with it.
        let more = delta.has_more && self.has_role && !finish;
        Some(Relayed { role, content: content || more, finish, usage: false })
    }

    /// Hands on what a choice says as neutral events.
    fn mend(&mut self, choice: &Choice<'_>, out: &mut Out<'_>) -> Result<(), Failure> {
        let none = Delta::default();
        let delta = choice.told.as_ref().unwrap_or(&none);
        if let Some(thinking) = delta.thinking() {
            self.has_role = true;
            out.event(Event::Thinking(&thinking));
        }
        let mut thought = self.thought.as_deref_mut();
        if let Some(thought) = &mut thought {
            thought.thinking(delta);
        }
        for detail in delta.details() {
            self.details.take(detail)?;
        }
        if let Some(text) = wire::filled(delta.content) {
            self.has_role = true;
            out.event(Event::Text(&text));
        } else {
            chunk::parts(delta.content, |is_thinking, text| {
                self.has_role = true;
                out.event(if is_thinking { Event::Thinking(text) } else { Event::Text(text) });
            });
        }
        if let Some(refusal) = wire::filled(delta.refusal) {
            self.has_role = true;
            out.event(Event::Refusal(&refusal));
        }
        let first_form = delta.function_call.map(|function| chunk::CallDelta {
            index: None,
            id: None,
            kind: None,
            function: Some(function),
        });
        for call in delta.tool_calls.iter().flatten().chain(&first_form) {
            let has_role = &mut self.has_role;
            self.calls.take(call, |event| {
                *has_role = true;
                if let Some(thought) = &mut thought {
                    thought.event(&event);
                }
                out.event(event);
            })?;
        }
        if let Some(failure) = failed::of_choice(choice) {
            return Err(failure);
        }
        if let Some(Finish::Reason(reason)) = finish::read(choice.finish_reason) {
            self.finish = self.finish.or(Some(reason));
        }
        Ok(())
    }

    /// The end mark came: hands over what waited for it.
    fn conclude(&mut self, out: &mut Out<'_>) {
        self.complete = true;
        if self.head.is_none() {
            out.event(Event::Head(Head { model: Some(Arc::clone(&self.model)), ..Head::default() }));
        }
        self.details.end(|part| out.event(Event::Opaque(part)));
        let mut thought = self.thought.take();
        self.calls.end(|event| {
            if let Some(thought) = &mut thought {
                thought.event(&event);
            }
            out.event(event);
        });
        if let Some(thought) = thought {
            thought.tell();
        }
        let reason = finish::fitting(self.finish.unwrap_or(FinishReason::Stop), !self.calls.is_empty());
        // A held finish reason that calls after it made wrong is printed anew.
        if self.held.is_empty() || self.finish != Some(reason) {
            self.held.clear();
            if let Some(stop) = self.stopped.take() {
                out.event(Event::Stopped(stop));
            }
            out.event(Event::Finish(reason));
        }
        self.held.drain(..).for_each(|held| out.release(held));
    }
}
