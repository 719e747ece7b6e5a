//! Reads Gemini's answers: when streamed, a series of whole answers that each hold the newest parts; when whole, one such, or an array of
//! them.
//!
//! A call comes whole in one part. There is no end mark but the finish reason, and more may follow it: an answer is complete when the
//! connection ends after one. Pictures become text, as [`picture`] says; parts that it does not know, code that Google ran among them, are
//! skipped.

use super::picture;
use crate::formats::wire::{self, Json, Raw};
use crate::formats::wording::readable;
use crate::formats::{Decoder, MAX_EVENT, errors};
use bytes::Bytes;
use contract::chat::{Event, EventSink, FinishReason, Head, OpaquePart, Usage};
use contract::failure::{Failure, FailureClass};
use runtime::http::sse::{self, Sse};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;

/// The most calls, and the most signatures, in one answer.
const MAX_CALLS: u32 = 256;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk<'a> {
    #[serde(borrow)]
    candidates: Option<Vec<Candidate<'a>>>,
    #[serde(borrow)]
    prompt_feedback: Option<Feedback<'a>>,
    #[serde(borrow)]
    usage_metadata: Raw<'a>,
    #[serde(borrow)]
    model_version: Raw<'a>,
    #[serde(borrow)]
    response_id: Raw<'a>,
    #[serde(borrow)]
    error: Raw<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(borrow)]
    content: Option<Content<'a>>,
    #[serde(borrow)]
    finish_reason: Raw<'a>,
    #[serde(borrow)]
    finish_message: Raw<'a>,
    #[serde(borrow)]
    index: Raw<'a>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    parts: Option<Vec<Part<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(borrow)]
    text: Raw<'a>,
    #[serde(borrow)]
    thought: Raw<'a>,
    #[serde(borrow)]
    thought_signature: Raw<'a>,
    #[serde(borrow)]
    function_call: Option<Call<'a>>,
    #[serde(borrow)]
    inline_data: Raw<'a>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    id: Raw<'a>,
    #[serde(borrow)]
    name: Raw<'a>,
    #[serde(borrow)]
    args: Raw<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback<'a> {
    #[serde(borrow)]
    block_reason: Raw<'a>,
}

/// The decoder of one stream.
pub struct GeminiStream {
    sse: Sse,
    answer: Reading,
}

impl GeminiStream {
    /// For an answer of `model`.
    pub fn new(model: Arc<str>) -> Self {
        Self { sse: Sse::new(MAX_EVENT), answer: Reading::new(model) }
    }
}

impl Decoder for GeminiStream {
    fn feed(&mut self, bytes: &Bytes, sink: &mut dyn EventSink) -> Result<(), Failure> {
        let answer = &mut self.answer;
        self.sse.feed(bytes, |event| answer.event(&event, sink))
    }

    fn end(&mut self, sink: &mut dyn EventSink) -> Result<(), Failure> {
        let answer = &mut self.answer;
        self.sse.end(|event| match answer.event(&event, sink) {
            // The last event was cut in the middle: that is the end, not nonsense.
            Err(failure) if failure.class == FailureClass::Truncated => Err(wire::cut_off()),
            taken => taken,
        })?;
        self.answer.end(sink)
    }

    fn is_complete(&self) -> bool {
        // Counts, or an error, may follow the finish reason.
        false
    }
}

/// Reads a whole answer and hands its events to `sink`.
///
/// # Errors
/// The failure that the body tells, or `Truncated` if it is no answer.
pub fn whole(body: &Bytes, model: &Arc<str>, sink: &mut dyn EventSink) -> Result<(), Failure> {
    let text = wire::utf8(body);
    let mut answer = Reading::new(Arc::clone(model));
    // A stream without `alt=sse` is one array.
    match serde_json::from_str::<Vec<&RawValue>>(&text) {
        Ok(chunks) => chunks.iter().try_for_each(|chunk| answer.take(chunk.get(), sink))?,
        Err(_) => answer.take(&text, sink).map_err(|failure| match failure.class {
            FailureClass::Truncated => wire::not_understood("the answer"),
            _ => failure,
        })?,
    }
    if !answer.has_head {
        return Err(wire::not_understood("the answer"));
    }
    answer.end(sink)
}

struct Reading {
    model: Arc<str>,
    has_head: bool,
    calls: u32,
    proofs: u32,
    finish: Option<FinishReason>,
    /// What was said last, to keep pictures apart from the text around them.
    last: Last,
}

#[derive(Clone, Copy, PartialEq)]
enum Last {
    Nothing,
    Text,
    Picture,
}

impl Reading {
    fn new(model: Arc<str>) -> Self {
        Self { model, has_head: false, calls: 0, proofs: 0, finish: None, last: Last::Nothing }
    }

    fn event(&mut self, event: &sse::Event<'_>, sink: &mut dyn EventSink) -> Result<(), Failure> {
        let data = event.data.trim_ascii();
        // Servers in front of the API add OpenAI's end mark.
        if data == b"[DONE]" {
            return Ok(());
        }
        let text = wire::utf8(data);
        if event.name == b"error" {
            return Err(errors::inside(&text));
        }
        self.take(&text, sink)
    }

    fn take(&mut self, json: &str, sink: &mut dyn EventSink) -> Result<(), Failure> {
        let chunk: Chunk<'_> = serde_json::from_str(json).map_err(|_| wire::not_understood("a piece of the stream"))?;
        if chunk.error.is_some() {
            return Err(errors::inside(json));
        }
        let candidates = chunk.candidates.as_deref().unwrap_or_default();
        let candidate = candidates.iter().find(|candidate| wire::count(candidate.index).unwrap_or(0) == 0);
        let blocked = chunk.prompt_feedback.as_ref().is_some_and(|told| wire::filled(told.block_reason).is_some());
        let usage = chunk.usage_metadata.and_then(usage);
        if candidate.is_none() && !blocked && usage.is_none() {
            // A piece that says nothing; in a whole answer the missing head tells.
            return Ok(());
        }
        self.head(&chunk, sink);
        for part in candidate.and_then(|candidate| candidate.content.as_ref()?.parts.as_deref()).unwrap_or_default() {
            self.part(part, sink)?;
        }
        if let Some(usage) = usage {
            sink.event(Event::Usage(usage));
        }
        if let Some(candidate) = candidate
            && let Some(reason) = wire::filled(candidate.finish_reason)
        {
            self.finish = Some(self.reason(&reason, candidate)?);
        } else if blocked {
            self.finish = Some(FinishReason::ContentFilter);
        }
        Ok(())
    }

    fn head(&mut self, chunk: &Chunk<'_>, sink: &mut dyn EventSink) {
        if std::mem::replace(&mut self.has_head, true) {
            return;
        }
        let model = wire::filled(chunk.model_version);
        sink.event(Event::Head(Head {
            id: wire::filled(chunk.response_id).map(Arc::from),
            model: Some(model.map_or_else(|| Arc::clone(&self.model), Arc::from)),
            created: None,
        }));
    }

    /// Visible text. A picture is a paragraph of its own.
    fn say(&mut self, text: &str, what: Last, sink: &mut dyn EventSink) {
        if self.last != Last::Nothing && (what == Last::Picture || self.last == Last::Picture) {
            sink.event(Event::Text("\n\n"));
        }
        self.last = what;
        sink.event(Event::Text(text));
    }

    fn part(&mut self, part: &Part<'_>, sink: &mut dyn EventSink) -> Result<(), Failure> {
        let is_thought = part.thought.is_some_and(|thought| thought.get() == "true");
        if let Some(text) = wire::filled(part.text) {
            if is_thought {
                sink.event(Event::Thinking(&text));
            } else {
                self.say(&text, Last::Text, sink);
            }
        }
        if let Some(shown) = part.inline_data.and_then(|data| picture::shown(data, is_thought)) {
            if is_thought {
                sink.event(Event::Thinking(&shown));
            } else {
                self.say(&shown, Last::Picture, sink);
            }
        }
        let proof = part.thought_signature.filter(|signature| wire::filled(Some(*signature)).is_some());
        self.proofs += u32::from(proof.is_some());
        if self.calls >= MAX_CALLS || self.proofs > MAX_CALLS {
            let message =
                format!("the provider sent more than {MAX_CALLS} tool calls or thought signatures in one answer");
            return Err(Failure::new(FailureClass::Truncated, message));
        }
        let Some(call) = &part.function_call else {
            if let Some(signature) = proof {
                sink.event(Event::Opaque(opaque(signature, None)));
            }
            return Ok(());
        };
        let index = self.calls;
        self.calls += 1;
        let (id, name) = (wire::filled(call.id), wire::text(call.name).unwrap_or_default());
        sink.event(Event::ToolStart { index, id: id.as_deref(), name: &name });
        if let Some(json) = wire::arguments(call.args) {
            sink.event(Event::ToolArguments { index, json: &json });
        }
        if let Some(signature) = proof {
            sink.event(Event::Opaque(opaque(signature, Some(index))));
        }
        sink.event(Event::ToolEnd { index });
        Ok(())
    }

    /// The finish reason in OpenAI's words.
    fn reason(&self, reason: &str, candidate: &Candidate<'_>) -> Result<FinishReason, Failure> {
        Ok(match reason {
            "MAX_TOKENS" => FinishReason::Length,
            "SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "MODEL_ARMOR" => {
                FinishReason::ContentFilter
            }
            image if image.starts_with("IMAGE_") => FinishReason::ContentFilter,
            "MALFORMED_FUNCTION_CALL"
            | "UNEXPECTED_TOOL_CALL"
            | "TOO_MANY_TOOL_CALLS"
            | "MISSING_THOUGHT_SIGNATURE"
            | "MALFORMED_RESPONSE"
            | "OTHER" => {
                let told = wire::filled(candidate.finish_message).and_then(|message| readable(&message));
                let told = told.map_or_else(String::new, |message| format!(": {message}"));
                let message = format!("the model's answer came to nothing ({reason}){told}");
                return Err(Failure::new(FailureClass::ServerError, message));
            }
            // STOP, and words that are yet to be invented.
            _ if self.calls > 0 => FinishReason::ToolCalls,
            _ => FinishReason::Stop,
        })
    }

    fn end(&mut self, sink: &mut dyn EventSink) -> Result<(), Failure> {
        let reason = self.finish.ok_or_else(wire::cut_off)?;
        sink.event(Event::Finish(reason));
        Ok(())
    }
}

/// A signature as it goes back, into the part that it came with.
fn opaque(signature: Json<'_>, call: Option<u32>) -> OpaquePart {
    let json = format!("{{\"thoughtSignature\":{}}}", signature.get());
    OpaquePart { format: "gemini", json: json.into(), call }
}

fn usage(raw: Json<'_>) -> Option<Usage> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Wire<'a> {
        #[serde(borrow)]
        prompt_token_count: Raw<'a>,
        #[serde(borrow)]
        tool_use_prompt_token_count: Raw<'a>,
        #[serde(borrow)]
        candidates_token_count: Raw<'a>,
        #[serde(borrow)]
        thoughts_token_count: Raw<'a>,
        #[serde(borrow)]
        cached_content_token_count: Raw<'a>,
    }
    let wire: Wire<'_> = serde_json::from_str(raw.get()).ok()?;
    let prompt = wire::count(wire.prompt_token_count);
    let thoughts = wire::count(wire.thoughts_token_count);
    let written = wire::count(wire.candidates_token_count);
    let usage = Usage {
        input: prompt.map(|prompt| prompt.saturating_add(wire::count(wire.tool_use_prompt_token_count).unwrap_or(0))),
        // The API leaves out a count of nothing: where it tells one at all, the others are 0.
        output: (prompt.is_some() || written.is_some() || thoughts.is_some())
            .then(|| written.unwrap_or(0).saturating_add(thoughts.unwrap_or(0))),
        cached_input: wire::count(wire.cached_content_token_count),
        reasoning: thoughts,
        ..Usage::default()
    };
    (!usage.is_empty()).then_some(usage)
}
