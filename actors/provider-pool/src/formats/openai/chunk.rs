//! A chunk of an OpenAI stream and what compatible servers make of it, borrowed from the event's bytes.
//!
//! It only reads: what a chunk means is `stream`'s business.

use super::counts;
use crate::formats::wire::{self, Json, Raw};
use contract::chat::{Stop, Usage};
use contract::json::Scan;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::sync::Arc;

/// `chat.completion.chunk`; also a whole `chat.completion`, whose choices have a message instead of a delta.
#[derive(Default)]
pub struct Chunk<'a> {
    pub id: Raw<'a>,
    pub object: Raw<'a>,
    pub created: Raw<'a>,
    pub model: Raw<'a>,
    pub choices: Option<Choices<'a>>,
    usage: Raw<'a>,
    x_groq: Raw<'a>,
    pub error: Raw<'a>,
    /// It tells an error in `error_type` or `error_message`.
    pub has_old_error: bool,
}

impl<'a> Chunk<'a> {
    /// Reads a chunk. `None` if it is no JSON, or if what should be a list or an object is something else.
    pub fn read(text: &'a str) -> Option<Self> {
        Self::read_with(text, "delta")
    }

    /// Reads a whole answer, likewise.
    pub fn read_whole(text: &'a str) -> Option<Self> {
        Self::read_with(text, "message")
    }

    /// Reads it, with what this member of its choices says.
    fn read_with(text: &'a str, told_in: &str) -> Option<Self> {
        let mut chunk = Self::default();
        let mut scan = Scan::of(text);
        scan.object(|scan, name| {
            match name {
                "choices" => chunk.choices = wire::optional(scan, |scan| Choices::read(scan, told_in))?,
                "id" => chunk.id = wire::raw(scan)?,
                "object" => chunk.object = wire::raw(scan)?,
                "created" => chunk.created = wire::raw(scan)?,
                "model" => chunk.model = wire::raw(scan)?,
                "usage" => chunk.usage = wire::raw(scan)?,
                "x_groq" => chunk.x_groq = wire::raw(scan)?,
                "error" => chunk.error = wire::raw(scan)?,
                "error_type" | "error_message" => {
                    chunk.has_old_error |= wire::raw(scan)?.is_some_and(|value| !is_hollow(value.get()));
                }
                _ => return scan.skip(),
            }
            Some(())
        })?;
        scan.end()?;
        Some(chunk)
    }

    /// The counts it tells beside its choices.
    pub fn usage(&self) -> Option<Usage> {
        if let Some(usage) = self.usage {
            return counts::read_usage(usage);
        }
        let [usage] = counts::members(self.x_groq?.get(), ["usage"])?;
        counts::read_usage(usage?)
    }

    /// What it says that the answer cost, in billionths of the currency.
    pub fn cost(&self) -> Option<u64> {
        counts::read_cost(self.usage?)
    }
}

/// The choices of a chunk: the one answer that HAIA asks for, and how many there were.
#[derive(Default)]
pub struct Choices<'a> {
    /// The choice with index 0, or without an index.
    pub first: Option<Choice<'a>>,
    /// How many there were.
    pub count: usize,
}

impl<'a> Choices<'a> {
    fn read(scan: &mut Scan<'a>, told_in: &str) -> Option<Self> {
        let mut choices = Choices::default();
        scan.array(|scan| {
            choices.count += 1;
            if choices.first.is_some() {
                return scan.skip();
            }
            let choice = Choice::read(scan, told_in)?;
            choices.first = Some(choice).filter(|choice| wire::count(choice.index).unwrap_or(0) == 0);
            Some(())
        })?;
        Some(choices)
    }
}

/// One choice.
#[derive(Default)]
pub struct Choice<'a> {
    pub index: Raw<'a>,
    /// What it says: a chunk in `delta`, a whole answer in `message`. Some servers send both, and only its own is read.
    pub told: Option<Delta<'a>>,
    /// It said so in the other's member, having none of its own.
    pub is_misplaced: bool,
    pub finish_reason: Raw<'a>,
    /// OpenRouter's place for an error of the server behind it.
    pub error: Raw<'a>,
    /// Moonshot's place for the counts.
    usage: Raw<'a>,
    /// vLLM's and SGLang's words for what ended it.
    stop_reason: Raw<'a>,
    matched_stop: Raw<'a>,
}

impl Choice<'_> {
    /// The counts it tells.
    pub fn usage(&self) -> Option<Usage> {
        counts::read_usage(self.usage?)
    }

    /// The stop sequence that ended it, if it tells. A figure in its place is the token that did.
    pub fn stopped(&self) -> Option<Stop> {
        let sequence = wire::filled(self.stop_reason).or_else(|| wire::filled(self.matched_stop))?;
        Some(Stop::Sequence(Arc::from(sequence)))
    }
}

impl<'a> Choice<'a> {
    fn read(scan: &mut Scan<'a>, told_in: &str) -> Option<Self> {
        let mut choice = Choice::default();
        let mut other = None;
        scan.object(|scan, name| {
            match name {
                "index" => choice.index = wire::raw(scan)?,
                name if name == told_in => choice.told = wire::optional(scan, Delta::read)?,
                "delta" | "message" => other = wire::raw(scan)?,
                "finish_reason" => choice.finish_reason = wire::raw(scan)?,
                "error" => choice.error = wire::raw(scan)?,
                "usage" => choice.usage = wire::raw(scan)?,
                "stop_reason" => choice.stop_reason = wire::raw(scan)?,
                "matched_stop" => choice.matched_stop = wire::raw(scan)?,
                _ => return scan.skip(),
            }
            Some(())
        })?;
        if choice.told.is_none()
            && let Some(other) = other.filter(|other| other.get().starts_with('{'))
        {
            choice.told = Some(Delta::read(&mut Scan::of(other.get()))?);
            choice.is_misplaced = true;
        }
        Some(choice)
    }
}

/// What a chunk adds; also the shape of a whole answer's message.
#[derive(Default)]
pub struct Delta<'a> {
    pub role: Raw<'a>,
    pub content: Raw<'a>,
    pub reasoning_content: Raw<'a>,
    pub reasoning: Raw<'a>,
    pub reasoning_details: Raw<'a>,
    pub refusal: Raw<'a>,
    pub tool_calls: Option<Vec<CallDelta<'a>>>,
    /// There was a null among the calls.
    pub has_null_calls: bool,
    pub function_call: Option<FunctionDelta<'a>>,
    /// There is something that HAIA has no word for: sound, pictures, quotations.
    pub has_more: bool,
}

impl<'a> Delta<'a> {
    fn read(scan: &mut Scan<'a>) -> Option<Self> {
        let mut delta = Delta::default();
        scan.object(|scan, name| {
            match name {
                "content" => delta.content = wire::raw(scan)?,
                "role" => delta.role = wire::raw(scan)?,
                "reasoning_content" => delta.reasoning_content = wire::raw(scan)?,
                "reasoning" => delta.reasoning = wire::raw(scan)?,
                "reasoning_details" => delta.reasoning_details = wire::raw(scan)?,
                "refusal" => delta.refusal = wire::raw(scan)?,
                "tool_calls" => {
                    let nulls = &mut delta.has_null_calls;
                    delta.tool_calls = wire::optional(scan, |scan| CallDelta::read_all(scan, nulls))?;
                }
                "function_call" => delta.function_call = wire::optional(scan, FunctionDelta::read)?,
                _ => delta.has_more |= wire::raw(scan)?.is_some_and(|value| !is_hollow(value.get())),
            }
            Some(())
        })?;
        Some(delta)
    }
}

/// A piece of a tool call, or a whole one.
#[derive(Default)]
pub struct CallDelta<'a> {
    pub index: Raw<'a>,
    pub id: Raw<'a>,
    /// `type`.
    pub kind: Raw<'a>,
    pub function: Option<FunctionDelta<'a>>,
}

impl<'a> CallDelta<'a> {
    fn read_all(scan: &mut Scan<'a>, has_nulls: &mut bool) -> Option<Vec<Self>> {
        let mut calls = Vec::new();
        scan.array(|scan| {
            match wire::optional(scan, Self::read)? {
                Some(call) => calls.push(call),
                None => *has_nulls = true,
            }
            Some(())
        })?;
        Some(calls)
    }

    pub fn read(scan: &mut Scan<'a>) -> Option<Self> {
        let mut call = CallDelta::default();
        scan.object(|scan, name| {
            match name {
                "index" => call.index = wire::raw(scan)?,
                "id" => call.id = wire::raw(scan)?,
                "type" => call.kind = wire::raw(scan)?,
                "function" => call.function = wire::optional(scan, FunctionDelta::read)?,
                _ => return scan.skip(),
            }
            Some(())
        })?;
        Some(call)
    }
}

/// The function of a call.
#[derive(Clone, Copy, Default)]
pub struct FunctionDelta<'a> {
    pub name: Raw<'a>,
    pub arguments: Raw<'a>,
}

impl<'a> FunctionDelta<'a> {
    fn read(scan: &mut Scan<'a>) -> Option<Self> {
        let mut function = FunctionDelta::default();
        scan.object(|scan, name| {
            match name {
                "name" => function.name = wire::raw(scan)?,
                "arguments" => function.arguments = wire::raw(scan)?,
                _ => return scan.skip(),
            }
            Some(())
        })?;
        Some(function)
    }
}

/// Whether there is nothing in it: "", [], {}, false.
pub fn is_hollow(value: &str) -> bool {
    value == "false" || value.bytes().all(|byte| b"\"[]{}, \t\r\n".contains(&byte))
}

impl<'a> Delta<'a> {
    /// The reasoning, under whichever name; once, if it came under both.
    pub fn thinking(&self) -> Option<Cow<'a, str>> {
        wire::filled(self.reasoning_content).or_else(|| wire::filled(self.reasoning))
    }

    /// The reasoning details one by one.
    pub fn details(&self) -> Vec<&'a RawValue> {
        self.reasoning_details.and_then(|details| serde_json::from_str(details.get()).ok()).unwrap_or_default()
    }

    /// Whether there are reasoning details.
    pub fn has_details(&self) -> bool {
        self.reasoning_details.is_some_and(|details| details.get() != "[]")
    }
}

/// Text and thinking of a content that came as parts (Mistral).
pub fn parts<'a>(content: Raw<'a>, mut take: impl FnMut(bool, &str)) {
    #[derive(Deserialize)]
    struct Part<'a> {
        #[serde(borrow)]
        text: Raw<'a>,
        #[serde(borrow)]
        thinking: Raw<'a>,
    }
    let list = |raw: Json<'a>| serde_json::from_str::<Vec<Part<'a>>>(raw.get()).unwrap_or_default();
    for part in content.map(list).unwrap_or_default() {
        if let Some(text) = wire::filled(part.text) {
            take(false, &text);
        }
        if let Some(thinking) = wire::filled(part.thinking) {
            take(true, &thinking);
        } else {
            let inner = part.thinking.map(list).unwrap_or_default();
            inner.iter().filter_map(|part| wire::filled(part.text)).for_each(|text| take(true, &text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_of_its_kind_is_stepped_over() {
        for (own, other) in [("delta", "message"), ("message", "delta")] {
            for odd in [r#""text""#, "[]", r#"{"tool_calls":{}}"#, r#"{"content":"other"}"#] {
                let text = format!(r#"{{"choices":[{{"{other}":{odd},"{own}":{{"content":"own"}}}}]}}"#);
                let chunk = Chunk::read_with(&text, own).expect(&text);
                let told = chunk.choices.and_then(|choices| choices.first).and_then(|choice| choice.told);
                assert_eq!(told.and_then(|told| wire::filled(told.content)).as_deref(), Some("own"), "{text}");
                assert!(Chunk::read_with(&text, other).is_none() || odd.contains("content"), "{text}");
            }
        }
    }
}
