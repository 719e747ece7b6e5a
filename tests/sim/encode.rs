//! What a model says, printed in any of the three formats, streamed or whole. One piece per event, as real providers send them.

use super::answer::Answer;
use super::request::{Format, Request};
use serde_json::{Value, json};

/// A tool call of the model's.
#[derive(Clone, Debug)]
pub struct Call {
    /// The provider's id; Ollama sends none.
    pub id: String,
    /// The tool.
    pub name: String,
    /// An object.
    pub arguments: Value,
}

/// One answer of a model.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// Reasoning, with the proof that Anthropic wants back.
    pub thinking: Option<(String, String)>,
    /// Visible text in its pieces.
    pub text: Vec<String>,
    /// Tool calls.
    pub calls: Vec<Call>,
    /// Whether the limit of tokens cut the text.
    pub cut_by_limit: bool,
}

/// Tokens that every answer claims to have read and written.
const USAGE: (u64, u64) = (11, 7);

impl Said {
    /// Text, in pieces that keep its words whole.
    pub fn text(text: &str) -> Self {
        Self { text: text.split_inclusive(' ').map(str::to_owned).collect(), ..Self::default() }
    }

    fn whole_text(&self) -> String {
        self.text.concat()
    }
}

/// Prints `said` as the answer to `request`.
pub fn encode(request: &Request, said: &Said) -> Answer {
    let model = request.model();
    match (request.format().unwrap_or(Format::OpenAi), request.streamed()) {
        (Format::OpenAi, false) => Answer::json(200, &openai_whole(&model, said)),
        (Format::OpenAi, true) => {
            Answer::pieces("text/event-stream", openai_stream(&model, said, request.wants_usage()))
        }
        (Format::Anthropic, false) => Answer::json(200, &anthropic_whole(&model, said)),
        (Format::Anthropic, true) => Answer::pieces("text/event-stream", anthropic_stream(&model, said)),
        (Format::Ollama, false) => Answer::json(200, &ollama_whole(&model, said)),
        (Format::Ollama, true) => Answer::pieces("application/x-ndjson", ollama_stream(&model, said)),
    }
}

fn openai_finish(said: &Said) -> &'static str {
    match said {
        Said { cut_by_limit: true, .. } => "length",
        Said { calls, .. } if !calls.is_empty() => "tool_calls",
        Said { .. } => "stop",
    }
}

fn openai_usage() -> Value {
    json!({ "prompt_tokens": USAGE.0, "completion_tokens": USAGE.1, "total_tokens": USAGE.0 + USAGE.1 })
}

fn openai_whole(model: &str, said: &Said) -> Value {
    let mut message = json!({ "role": "assistant", "content": said.whole_text(), "refusal": null });
    if let Some((thinking, _)) = &said.thinking {
        message["reasoning_content"] = json!(thinking);
    }
    if !said.calls.is_empty() {
        let call = |call: &Call| {
            let function = json!({ "name": call.name, "arguments": call.arguments.to_string() });
            json!({ "id": call.id, "type": "function", "function": function })
        };
        message["tool_calls"] = said.calls.iter().map(call).collect();
    }
    json!({
        "id": "chatcmpl-sim", "object": "chat.completion", "created": 1_767_225_600, "model": model,
        "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": openai_finish(said) }],
        "usage": openai_usage(),
    })
}

fn openai_stream(model: &str, said: &Said, usage: bool) -> Vec<Vec<u8>> {
    let event = |choices: Value, usage: Option<Value>| {
        let mut chunk = json!({
            "id": "chatcmpl-sim", "object": "chat.completion.chunk", "created": 1_767_225_600, "model": model,
            "choices": choices,
        });
        if let Some(usage) = usage {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n").into_bytes()
    };
    let delta = |delta: Value| event(json!([{ "index": 0, "delta": delta, "finish_reason": null }]), None);
    let mut events = vec![delta(json!({ "role": "assistant", "content": "" }))];
    if let Some((thinking, _)) = &said.thinking {
        events.push(delta(json!({ "reasoning_content": thinking })));
    }
    events.extend(said.text.iter().map(|piece| delta(json!({ "content": piece }))));
    for (index, call) in said.calls.iter().enumerate() {
        let function = json!({ "name": call.name, "arguments": "" });
        let start = json!({ "index": index, "id": call.id, "type": "function", "function": function });
        events.push(delta(json!({ "tool_calls": [start] })));
        for piece in halves(&call.arguments.to_string()) {
            let part = json!({ "index": index, "function": { "arguments": piece } });
            events.push(delta(json!({ "tool_calls": [part] })));
        }
    }
    events.push(event(json!([{ "index": 0, "delta": {}, "finish_reason": openai_finish(said) }]), None));
    if usage {
        events.push(event(json!([]), Some(openai_usage())));
    }
    events.push(b"data: [DONE]\n\n".to_vec());
    events
}

fn anthropic_stop(said: &Said) -> &'static str {
    match openai_finish(said) {
        "length" => "max_tokens",
        "tool_calls" => "tool_use",
        _ => "end_turn",
    }
}

fn anthropic_blocks(said: &Said) -> Vec<Value> {
    let thinking = said
        .thinking
        .iter()
        .map(|(thinking, signature)| json!({ "type": "thinking", "thinking": thinking, "signature": signature }));
    let text = (!said.text.is_empty()).then(|| json!({ "type": "text", "text": said.whole_text() }));
    let calls = said
        .calls
        .iter()
        .map(|call| json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments }));
    thinking.chain(text).chain(calls).collect()
}

fn anthropic_whole(model: &str, said: &Said) -> Value {
    json!({
        "id": "msg_sim", "type": "message", "role": "assistant", "model": model, "content": anthropic_blocks(said),
        "stop_reason": anthropic_stop(said), "stop_sequence": null,
        "usage": { "input_tokens": USAGE.0, "output_tokens": USAGE.1 },
    })
}

fn anthropic_stream(model: &str, said: &Said) -> Vec<Vec<u8>> {
    let event = |data: Value| {
        let name = data["type"].as_str().unwrap_or_default();
        format!("event: {name}\ndata: {data}\n\n").into_bytes()
    };
    let delta =
        |index: usize, delta: Value| event(json!({ "type": "content_block_delta", "index": index, "delta": delta }));
    let message = json!({
        "id": "msg_sim", "type": "message", "role": "assistant", "model": model, "content": [], "stop_reason": null,
        "stop_sequence": null, "usage": { "input_tokens": USAGE.0, "output_tokens": 1 },
    });
    let mut events = vec![event(json!({ "type": "message_start", "message": message }))];
    events.push(event(json!({ "type": "ping" })));
    for (index, block) in anthropic_blocks(said).into_iter().enumerate() {
        let (start, deltas) = match block["type"].as_str() {
            Some("thinking") => (
                json!({ "type": "thinking", "thinking": "", "signature": "" }),
                vec![
                    json!({ "type": "thinking_delta", "thinking": block["thinking"] }),
                    json!({ "type": "signature_delta", "signature": block["signature"] }),
                ],
            ),
            Some("tool_use") => (
                json!({ "type": "tool_use", "id": block["id"], "name": block["name"], "input": {} }),
                halves(&block["input"].to_string())
                    .into_iter()
                    .map(|piece| json!({ "type": "input_json_delta", "partial_json": piece }))
                    .collect(),
            ),
            _ => (
                json!({ "type": "text", "text": "" }),
                said.text.iter().map(|piece| json!({ "type": "text_delta", "text": piece })).collect(),
            ),
        };
        events.push(event(json!({ "type": "content_block_start", "index": index, "content_block": start })));
        events.extend(deltas.into_iter().map(|piece| delta(index, piece)));
        events.push(event(json!({ "type": "content_block_stop", "index": index })));
    }
    let end = json!({ "stop_reason": anthropic_stop(said), "stop_sequence": null });
    events.push(event(json!({ "type": "message_delta", "delta": end, "usage": { "output_tokens": USAGE.1 } })));
    events.push(event(json!({ "type": "message_stop" })));
    events
}

fn ollama_line(model: &str, message: Value, done: Option<&Said>) -> Value {
    let mut line = json!({ "model": model, "created_at": "2026-01-01T00:00:00Z", "message": message, "done": false });
    if let Some(said) = done {
        line["done"] = json!(true);
        line["done_reason"] = json!(if said.cut_by_limit { "length" } else { "stop" });
        line["prompt_eval_count"] = json!(USAGE.0);
        line["eval_count"] = json!(USAGE.1);
    }
    line
}

fn ollama_calls(said: &Said) -> Value {
    said.calls.iter().map(|call| json!({ "function": { "name": call.name, "arguments": call.arguments } })).collect()
}

fn ollama_whole(model: &str, said: &Said) -> Value {
    let mut message = json!({ "role": "assistant", "content": said.whole_text() });
    if let Some((thinking, _)) = &said.thinking {
        message["thinking"] = json!(thinking);
    }
    if !said.calls.is_empty() {
        message["tool_calls"] = ollama_calls(said);
    }
    ollama_line(model, message, Some(said))
}

fn ollama_stream(model: &str, said: &Said) -> Vec<Vec<u8>> {
    let line = |message: Value, done: Option<&Said>| format!("{}\n", ollama_line(model, message, done)).into_bytes();
    let mut lines = Vec::new();
    if let Some((thinking, _)) = &said.thinking {
        lines.push(line(json!({ "role": "assistant", "content": "", "thinking": thinking }), None));
    }
    lines.extend(said.text.iter().map(|piece| line(json!({ "role": "assistant", "content": piece }), None)));
    if !said.calls.is_empty() {
        lines.push(line(json!({ "role": "assistant", "content": "", "tool_calls": ollama_calls(said) }), None));
    }
    lines.push(line(json!({ "role": "assistant", "content": "" }), Some(said)));
    lines
}

/// Two pieces of an argument text, to be joined again by whoever reads it.
fn halves(text: &str) -> [String; 2] {
    let middle = (text.len() / 2..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    let (first, second) = text.split_at(middle);
    [first.to_owned(), second.to_owned()]
}
