//! The quick way for requests that hardly change: a client's own bytes, of which only the model and the stream's settings are rewritten.
//!
//! It decides nothing of its own. Whatever is not of the commonest shape gives `None`, and [`encode`](super::encode) reads the body member by
//! member; where both could, they come to the same (tested on every request there).

use crate::formats::{Encode, ModelSettings};
use contract::json::{Scan, put_string};

/// The most members that are told apart by comparing their names one with another.
const FEW: usize = 64;

/// The body of a request with its model's own name, and with the usage asked for in a stream.
pub fn request(call: &Encode<'_>, body: &[u8], is_newer: bool) -> Option<Vec<u8>> {
    if !is_without_wishes(call.settings) {
        return None;
    }
    let mut out = Vec::with_capacity(body.len() + 256);
    out.extend_from_slice(b"{\"model\":");
    put_string(&mut out, call.model);
    let mut names: Vec<&str> = Vec::with_capacity(16);
    let (mut offers_tools, mut speaks_of_tools) = (false, false);
    let mut scan = Scan::of(std::str::from_utf8(body).ok()?);
    scan.object(|scan, name| {
        if names.len() == FEW || names.contains(&name) || name.contains('\\') {
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

fn is_filled_list(value: &str) -> bool {
    value.strip_prefix('[').is_some_and(|rest| rest.trim_start_matches([' ', '\n', '\r', '\t']) != "]")
}
