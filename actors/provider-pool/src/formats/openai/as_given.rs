//! The quick way for bodies that hardly change: a client's request of which only the model and the stream's settings are rewritten, and a whole
//! answer that is passed on as it is.
//!
//! It decides nothing of its own. Whatever is not of the commonest shape gives `None`, and [`encode`](super::encode) or
//! [`whole`](super::whole) reads the body member by member; where both could, they come to the same (tested on every exchange).

use crate::formats::scan::{self, Scan};
use crate::formats::{Encode, ModelSettings};
use contract::chat::FinishReason;

/// The body of a request with its model's own name, and with the usage asked for in a stream.
pub fn request(call: &Encode<'_>, body: &[u8], is_newer: bool) -> Option<Vec<u8>> {
    if !is_without_wishes(call.settings) {
        return None;
    }
    let mut out = Vec::with_capacity(body.len() + 256);
    out.extend_from_slice(b"{\"model\":");
    serde_json::to_writer(&mut out, call.model).ok()?;
    let mut names: Vec<&str> = Vec::with_capacity(16);
    let (mut offers_tools, mut speaks_of_tools) = (false, false);
    let mut scan = Scan::of(std::str::from_utf8(body).ok()?);
    scan.object(|scan, name| {
        if names.contains(&name) {
            return None;
        }
        names.push(name);
        let value = scan.value()?;
        match name {
            "model" | "stream" => return Some(()),
            "stream_options" => {
                return matches!(value, "null" | "{\"include_usage\":true}" | "{\"include_usage\": true}")
                    .then_some(());
            }
            "tools" => offers_tools = is_filled_list(value),
            "tool_choice" | "parallel_tool_calls" => speaks_of_tools = true,
            "max_tokens" if is_newer => return None,
            "max_tokens" | "max_completion_tokens" | "temperature" if value == "null" => return None,
            "reasoning_effort" => return None,
            "n" if value != "1" => return None,
            _ => {}
        }
        out.extend_from_slice(b",\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        out.extend_from_slice(value.as_bytes());
        Some(())
    })?;
    scan.end()?;
    if !offers_tools && (speaks_of_tools || names.contains(&"tools")) {
        return None;
    }
    let end: &[u8] = if call.stream {
        b",\"stream\":true,\"stream_options\":{\"include_usage\":true}}"
    } else {
        b",\"stream\":false}"
    };
    out.extend_from_slice(end);
    Some(out)
}

/// Whether nothing that is known or configured of a model changes a request. Every setting is named, so that a new one is thought of here.
fn is_without_wishes(settings: &ModelSettings) -> bool {
    let ModelSettings {
        max_tokens,
        temperature,
        options,
        tools,
        // For `reasoning_effort` alone, which is not taken here.
        thinking: _,
        other_effort: _,
        no_stream_options,
        reasoning_back,
        short_call_ids,
        no_temperature,
        no_top_p,
        one_of_sampling,
        completion_tokens,
        // For other formats.
        context_tokens: _,
        context_loaded: _,
        prompt_caching: _,
    } = settings;
    max_tokens.is_none()
        && temperature.is_none()
        && options.is_empty()
        && *tools != Some(false)
        && !no_stream_options
        && !reasoning_back
        && !short_call_ids
        && !no_temperature
        && !no_top_p
        && !one_of_sampling
        && !completion_tokens
}

/// What HAIA itself needs of a whole answer that clients can read as it is.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The answer's id.
    pub id: &'a str,
    /// Seconds since 1970.
    pub created: i64,
    /// The model's name.
    pub model: &'a str,
    /// Why it ended.
    pub reason: FinishReason,
    /// The token counts, as they stand.
    pub usage: Option<&'a str>,
}

/// Reads a whole answer without calls.
pub fn answer(text: &str) -> Option<Answer<'_>> {
    let (mut id, mut is_completion, mut created, mut model) = (None, false, None, None);
    let (mut reason, mut usage) = (None, None);
    let mut seen = Seen::default();
    let mut scan = Scan::of(text);
    scan.object(|scan, name| {
        match name {
            "id" => id = filled(seen.once(0, scan)?.value()?),
            "object" => is_completion = seen.once(1, scan)?.value()? == "\"chat.completion\"",
            "created" => created = seen.once(2, scan)?.value()?.parse().ok().filter(|second| *second > 0),
            "model" => model = filled(seen.once(3, scan)?.value()?),
            "choices" => reason = Some(only_choice(seen.once(4, scan)?)?),
            "usage" => usage = Some(seen.once(5, scan)?.value()?).filter(|usage| *usage != "null"),
            "error" => return (seen.once(6, scan)?.value()? == "null").then_some(()),
            _ => return scan.value().map(|_| ()),
        }
        Some(())
    })?;
    scan.end()?;
    Some(Answer { id: id?, created: is_completion.then_some(created?)?, model: model?, reason: reason?, usage })
}

/// Why the one choice ended, if it is a message of text.
fn only_choice(scan: &mut Scan<'_>) -> Option<FinishReason> {
    let (mut count, mut reason) = (0, None);
    scan.array(|scan| {
        count += 1;
        let (mut is_first, mut is_text) = (false, false);
        let mut seen = Seen::default();
        scan.object(|scan, name| {
            match name {
                "index" => is_first = seen.once(0, scan)?.value()? == "0",
                "message" => is_text = is_text_alone(seen.once(1, scan)?)?,
                "finish_reason" => reason = finish_reason(seen.once(2, scan)?.value()?),
                _ => return scan.value().map(|_| ()),
            }
            Some(())
        })?;
        (is_first && is_text).then_some(())
    })?;
    (count == 1).then_some(reason?)
}

/// Whether it is the assistant's text, with nothing beside it that is read.
fn is_text_alone(scan: &mut Scan<'_>) -> Option<bool> {
    let mut is_assistant = false;
    let mut seen = Seen::default();
    scan.object(|scan, name| {
        let is_right = match name {
            "role" => {
                is_assistant = seen.once(0, scan)?.value()? == "\"assistant\"";
                true
            }
            "content" => is_text_or_null(seen.once(1, scan)?.value()?),
            "reasoning_content" => is_text_or_null(seen.once(2, scan)?.value()?),
            "reasoning" => is_nothing(seen.once(3, scan)?.value()?),
            "refusal" => is_nothing(seen.once(4, scan)?.value()?),
            "reasoning_details" => matches!(seen.once(5, scan)?.value()?, "null" | "[]"),
            "tool_calls" => matches!(seen.once(6, scan)?.value()?, "null" | "[]"),
            "function_call" => seen.once(7, scan)?.value()? == "null",
            _ => scan.value().is_some(),
        };
        is_right.then_some(())
    })?;
    Some(is_assistant)
}

fn is_text_or_null(value: &str) -> bool {
    value.starts_with('"') || value == "null"
}

fn is_nothing(value: &str) -> bool {
    matches!(value, "null" | "\"\"")
}

fn is_filled_list(value: &str) -> bool {
    value.strip_prefix('[').is_some_and(|rest| rest.trim_start_matches([' ', '\n', '\r', '\t']) != "]")
}

fn filled(value: &str) -> Option<&str> {
    scan::plain(value).filter(|text| !text.is_empty())
}

/// The reasons that are OpenAI's own and need no thought.
fn finish_reason(value: &str) -> Option<FinishReason> {
    match value {
        "\"stop\"" => Some(FinishReason::Stop),
        "\"length\"" => Some(FinishReason::Length),
        "\"content_filter\"" => Some(FinishReason::ContentFilter),
        _ => None,
    }
}

/// Which members have come. One that comes twice is for the careful reader to refuse.
#[derive(Default)]
struct Seen(u8);

impl Seen {
    fn once<'s, 'a>(&mut self, number: u8, scan: &'s mut Scan<'a>) -> Option<&'s mut Scan<'a>> {
        let is_new = self.0 & (1 << number) == 0;
        self.0 |= 1 << number;
        is_new.then_some(scan)
    }
}
