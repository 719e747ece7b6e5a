//! A chunk of an OpenAI stream and what compatible servers make of it, borrowed from the event's bytes.
//!
//! It only reads: what a chunk means is `stream`'s business.

use crate::formats::wire::{self, Raw};
use contract::chat::{FinishReason, Usage};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// `chat.completion.chunk`.
#[derive(Deserialize)]
pub struct Chunk<'a> {
    #[serde(borrow)]
    pub id: Raw<'a>,
    #[serde(borrow)]
    pub object: Raw<'a>,
    #[serde(borrow)]
    pub created: Raw<'a>,
    #[serde(borrow)]
    pub model: Raw<'a>,
    #[serde(borrow)]
    pub choices: Option<Choices<'a>>,
    #[serde(borrow)]
    usage: Raw<'a>,
    #[serde(borrow)]
    x_groq: Raw<'a>,
    #[serde(borrow)]
    pub error: Raw<'a>,
}

impl Chunk<'_> {
    /// The counts it tells, wherever they stand.
    pub fn usage(&self) -> Option<Usage> {
        #[derive(Deserialize)]
        struct Groq<'a> {
            #[serde(borrow)]
            usage: Raw<'a>,
        }
        if let Some(usage) = self.usage {
            return read_usage(usage);
        }
        let groq: Groq<'_> = serde_json::from_str(self.x_groq?.get()).ok()?;
        read_usage(groq.usage?)
    }
}

impl Chunk<'_> {
    /// What it says that the answer cost, in billionths of the currency.
    pub fn cost(&self) -> Option<u64> {
        read_cost(self.usage?)
    }
}

/// The choices of a chunk: the one answer that HAIA asks for, and how many there were.
pub struct Choices<'a> {
    /// The choice with index 0, or without an index.
    pub first: Option<Choice<'a>>,
    /// How many there were.
    pub count: usize,
}

impl<'de: 'a, 'a> Deserialize<'de> for Choices<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Choices<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of choices")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut choices = Choices { first: None, count: 0 };
                while choices.first.is_none() {
                    let Some(choice) = seq.next_element::<Choice<'de>>()? else { return Ok(choices) };
                    choices.count += 1;
                    choices.first = Some(choice).filter(|choice| wire::count(choice.index).unwrap_or(0) == 0);
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    choices.count += 1;
                }
                Ok(choices)
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// One choice.
#[derive(Deserialize)]
pub struct Choice<'a> {
    #[serde(borrow)]
    pub index: Raw<'a>,
    #[serde(borrow)]
    pub delta: Option<Delta<'a>>,
    #[serde(borrow)]
    pub finish_reason: Raw<'a>,
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
    pub function_call: Option<FunctionDelta<'a>>,
    /// There is something that HAIA has no word for: sound, pictures, quotations.
    pub has_more: bool,
}

/// The members of a delta that HAIA knows.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Member {
    Role,
    Content,
    ReasoningContent,
    Reasoning,
    ReasoningDetails,
    Refusal,
    ToolCalls,
    FunctionCall,
    #[serde(other)]
    Other,
}

impl<'de: 'a, 'a> Deserialize<'de> for Delta<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Delta<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut delta = Delta::default();
                while let Some(member) = map.next_key()? {
                    match member {
                        Member::Role => delta.role = map.next_value()?,
                        Member::Content => delta.content = map.next_value()?,
                        Member::ReasoningContent => delta.reasoning_content = map.next_value()?,
                        Member::Reasoning => delta.reasoning = map.next_value()?,
                        Member::ReasoningDetails => delta.reasoning_details = map.next_value()?,
                        Member::Refusal => delta.refusal = map.next_value()?,
                        Member::ToolCalls => delta.tool_calls = map.next_value()?,
                        Member::FunctionCall => delta.function_call = map.next_value()?,
                        Member::Other => {
                            let value: Raw<'de> = map.next_value()?;
                            delta.has_more |= value.is_some_and(|value| !is_hollow(value));
                        }
                    }
                }
                Ok(delta)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A piece of a tool call, or a whole one.
#[derive(Deserialize)]
pub struct CallDelta<'a> {
    #[serde(borrow)]
    pub index: Raw<'a>,
    #[serde(borrow)]
    pub id: Raw<'a>,
    #[serde(borrow, rename = "type")]
    pub kind: Raw<'a>,
    #[serde(borrow)]
    pub function: Option<FunctionDelta<'a>>,
}

/// The function of a call.
#[derive(Clone, Copy, Default, Deserialize)]
pub struct FunctionDelta<'a> {
    #[serde(borrow)]
    pub name: Raw<'a>,
    #[serde(borrow)]
    pub arguments: Raw<'a>,
}

/// Whether there is nothing in it: "", [], {}, false.
fn is_hollow(value: &RawValue) -> bool {
    value.get() == "false" || value.get().bytes().all(|byte| b"\"[]{}, \t\r\n".contains(&byte))
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
    let list = |raw: &'a RawValue| serde_json::from_str::<Vec<Part<'a>>>(raw.get()).unwrap_or_default();
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

/// Why the model stopped, in the words that servers use; `None` for null, "" or nothing.
pub fn finish_reason(raw: Raw<'_>) -> Option<Finish> {
    Some(match wire::filled(raw)?.as_ref() {
        "length" | "max_tokens" | "model_length" => Finish::Reason(FinishReason::Length),
        "tool_calls" | "function_call" | "tool_use" => Finish::Reason(FinishReason::ToolCalls),
        "content_filter" => Finish::Reason(FinishReason::ContentFilter),
        "error" => Finish::Error,
        // `stop`, `eos` (Together), and words that are yet to be invented: the model has ended by itself.
        _ => Finish::Reason(FinishReason::Stop),
    })
}

/// A finish reason as servers give it.
pub enum Finish {
    /// One of OpenAI's four.
    Reason(FinishReason),
    /// OpenRouter's `error`: not an end but a failure.
    Error,
}

/// The reason that fits the calls that were made: some servers say `stop` after calls.
pub fn fitting(reason: FinishReason, calls: bool) -> FinishReason {
    match reason {
        FinishReason::Stop if calls => FinishReason::ToolCalls,
        FinishReason::ToolCalls if !calls => FinishReason::Stop,
        reason => reason,
    }
}

/// OpenRouter's `usage.cost`, in billionths.
pub fn read_cost(usage: &RawValue) -> Option<u64> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(borrow)]
        cost: Raw<'a>,
    }
    let wire: Wire<'_> = serde_json::from_str(usage.get()).ok()?;
    let cost: f64 = wire.cost?.get().parse().ok()?;
    // A million is no price of an answer.
    (0.0..1e6).contains(&cost).then(|| (cost * 1e9).round() as u64)
}

/// OpenAI's `usage`, with DeepSeek's name for cached tokens.
pub fn read_usage(raw: &RawValue) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(borrow)]
        prompt_tokens: Raw<'a>,
        #[serde(borrow)]
        completion_tokens: Raw<'a>,
        #[serde(borrow)]
        total_tokens: Raw<'a>,
        #[serde(borrow)]
        prompt_tokens_details: Option<Details<'a>>,
        #[serde(borrow)]
        completion_tokens_details: Option<Details<'a>>,
        #[serde(borrow)]
        prompt_cache_hit_tokens: Raw<'a>,
    }
    #[derive(Deserialize)]
    struct Details<'a> {
        #[serde(borrow)]
        cached_tokens: Raw<'a>,
        #[serde(borrow)]
        reasoning_tokens: Raw<'a>,
    }
    let wire: Wire<'_> = serde_json::from_str(raw.get()).ok()?;
    let (input, written) = (wire::count(wire.prompt_tokens), wire::count(wire.completion_tokens));
    let reasoning = wire.completion_tokens_details.and_then(|details| wire::count(details.reasoning_tokens));
    // xAI counts what was thought beside what was written; the sum tells.
    let apart = match (input, written, reasoning, wire::count(wire.total_tokens)) {
        (Some(input), Some(written), Some(reasoning), Some(total)) => {
            [written, reasoning].iter().try_fold(input, |sum, count| sum.checked_add(*count)) == Some(total)
        }
        _ => false,
    };
    let usage = Usage {
        input,
        output: written.map(|written| if apart { written + reasoning.unwrap_or(0) } else { written }),
        cached_input: wire
            .prompt_tokens_details
            .and_then(|details| wire::count(details.cached_tokens))
            .or_else(|| wire::count(wire.prompt_cache_hit_tokens)),
        reasoning,
        ..Usage::default()
    };
    (!usage.is_empty()).then_some(usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinking_is_counted_once_wherever_it_is_told() {
        for (usage, expected) in [
            // xAI.
            (
                r#"{"prompt_tokens":12,"completion_tokens":2,"total_tokens":334,"completion_tokens_details":{"reasoning_tokens":320}}"#,
                (Some(322), Some(320)),
            ),
            // OpenAI.
            (
                r#"{"prompt_tokens":12,"completion_tokens":322,"total_tokens":334,"completion_tokens_details":{"reasoning_tokens":320}}"#,
                (Some(322), Some(320)),
            ),
            (
                r#"{"prompt_tokens":12,"completion_tokens":2,"total_tokens":14,"completion_tokens_details":{"reasoning_tokens":0}}"#,
                (Some(2), Some(0)),
            ),
            (
                r#"{"prompt_tokens":12,"completion_tokens":2,"completion_tokens_details":{"reasoning_tokens":320}}"#,
                (Some(2), Some(320)),
            ),
            (r#"{"prompt_tokens":12,"completion_tokens":2,"total_tokens":334}"#, (Some(2), None)),
        ] {
            let raw = RawValue::from_string(usage.to_owned()).expect("JSON");
            let read = read_usage(&raw).expect("counts");
            assert_eq!((read.output, read.reasoning), expected, "{usage}");
        }
    }
}
