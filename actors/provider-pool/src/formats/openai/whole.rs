//! Reads a whole OpenAI answer: relayed as it came if it is right for clients, else as neutral events.

use super::Dialect;
use super::calls::Calls;
use super::chunk::{self, CallDelta, Choice, Chunk, Delta};
use super::finish::{self, Finish};
use super::thought::Thought;
use super::{details, failed};
use crate::formats::Decoding;
use crate::formats::wire::{self, Raw};
use bytes::Bytes;
use contract::chat::{Event, EventSink, FinishReason, Head};
use contract::failure::Failure;
use std::borrow::Cow;
use std::sync::Arc;

/// Reads a body and hands its events to `sink`.
///
/// # Errors
/// The failure that the body tells, or `Truncated` if it is no answer.
pub fn read(body: &Bytes, call: &Decoding, dialect: Dialect, sink: &mut dyn EventSink) -> Result<(), Failure> {
    let text = wire::utf8(body);
    let whole = Chunk::read_whole(&text).ok_or_else(|| wire::not_understood("the answer"))?;
    if let Some(failure) = failed::of_chunk(&whole, &text) {
        return Err(failure);
    }
    let choices = whole.choices.as_ref();
    let choice =
        choices.and_then(|choices| choices.first.as_ref()).ok_or_else(|| wire::not_understood("the answer"))?;
    if let Some(failure) = failed::of_choice(choice) {
        return Err(failure);
    }
    let none = Delta::default();
    let message = choice.told.as_ref().unwrap_or(&none);
    let told = match finish::read(choice.finish_reason) {
        Some(Finish::Reason(reason)) => reason,
        _ => FinishReason::Stop,
    };
    let has_calls =
        message.tool_calls.as_ref().is_some_and(|calls| !calls.is_empty()) || message.function_call.is_some();
    let reason = finish::fitting(told, has_calls);
    sink.event(Event::Head(head(&whole, call)));
    if sink.relays()
        && !(has_calls && dialect.mends_calls)
        && matches!(text, Cow::Borrowed(_))
        && choices.is_some_and(|choices| choices.count == 1)
        && is_right(&whole, choice, message, reason)
    {
        // Without the byte order mark before it.
        sink.relay_whole(body.slice(body.len() - text.len()..));
    } else {
        tell(message, dialect, sink)?;
    }
    if has_calls && let Some(mut thought) = Thought::wanted(call, dialect) {
        thought.thinking(message);
        message.tool_calls.iter().flatten().for_each(|call| thought.call(call));
        thought.tell();
    }
    if let Some(usage) = whole.usage().or_else(|| choice.usage()) {
        sink.event(Event::Usage(usage));
    }
    if dialect.tells_cost
        && let Some(cost) = whole.cost()
    {
        sink.event(Event::Cost(cost));
    }
    if let Some(stop) = choice.stopped() {
        sink.event(Event::Stopped(stop));
    }
    sink.event(Event::Finish(reason));
    Ok(())
}

fn head(whole: &Chunk<'_>, call: &Decoding) -> Head {
    Head {
        id: wire::filled(whole.id).map(Arc::from),
        created: wire::positive(whole.created),
        model: Some(wire::filled(whole.model).map_or_else(|| Arc::clone(&call.model), Arc::from)),
    }
}

/// Whether clients can read the answer as it is.
fn is_right(whole: &Chunk<'_>, choice: &Choice<'_>, message: &Delta<'_>, reason: FinishReason) -> bool {
    let is = |member: Raw<'_>, json: &str| member.is_some_and(|member| member.get() == json);
    let textual = |member: Raw<'_>| member.is_none_or(|member| member.get().starts_with('"'));
    let nothing = |member: Raw<'_>| member.is_none_or(|member| member.get() == "\"\"");
    wire::filled(whole.id).is_some()
        && is(whole.object, "\"chat.completion\"")
        && wire::positive(whole.created).is_some()
        && wire::filled(whole.model).is_some()
        && is(choice.index, "0")
        && choice.finish_reason.is_some_and(|told| told.get().trim_matches('"') == reason.as_str())
        && choice.told.is_some()
        && !choice.is_misplaced
        && whole.error.is_none()
        && choice.error.is_none()
        && is(message.role, "\"assistant\"")
        && textual(message.content)
        && textual(message.reasoning_content)
        && nothing(message.reasoning)
        && !message.has_details()
        && nothing(message.refusal)
        && message.function_call.is_none()
        && !message.has_null_calls
        && message.tool_calls.iter().flatten().all(call_is_right)
}

fn call_is_right(call: &CallDelta<'_>) -> bool {
    let function = call.function.unwrap_or_default();
    wire::filled(call.id).is_some()
        && call.kind.is_some_and(|kind| kind.get() == "\"function\"")
        && wire::filled(function.name).is_some()
        && wire::filled(function.arguments).is_some()
}

fn tell(message: &Delta<'_>, dialect: Dialect, sink: &mut dyn EventSink) -> Result<(), Failure> {
    if let Some(thinking) = message.thinking() {
        sink.event(Event::Thinking(&thinking));
    }
    for detail in message.details() {
        sink.event(Event::Opaque(details::opaque(dialect.format, Bytes::copy_from_slice(detail.get().as_bytes()))));
    }
    if let Some(text) = wire::filled(message.content) {
        sink.event(Event::Text(&text));
    } else {
        chunk::parts(message.content, |is_thinking, text| {
            sink.event(if is_thinking { Event::Thinking(text) } else { Event::Text(text) });
        });
    }
    if let Some(refusal) = wire::filled(message.refusal) {
        sink.event(Event::Refusal(&refusal));
    }
    let mut calls = Calls::default();
    let first_form =
        message.function_call.map(|function| CallDelta { index: None, id: None, kind: None, function: Some(function) });
    for call in message.tool_calls.iter().flatten().chain(&first_form) {
        calls.take_whole(call, |event| sink.event(event))?;
    }
    calls.end(|event| sink.event(event));
    Ok(())
}
