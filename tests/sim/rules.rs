//! What a real provider would refuse: the rules of each format that a sloppy client breaks first.

use super::request::{Format, Request, calls_of, results_of};
use serde_json::Value;
use std::collections::BTreeSet;

/// The rules that `request` breaks, in words; none for what is no chat.
pub fn violations(request: &Request) -> Vec<String> {
    let Some(format) = request.format() else { return Vec::new() };
    let mut broken = Vec::new();
    let mut must = |holds: bool, rule: &str| {
        if !holds {
            broken.push(format!("{} {}: {rule}", format.kind(), request.model()));
        }
    };
    let (body, messages, tools) = (request.json(), request.messages(), request.tools());
    must(body.is_object(), "the body is a JSON object");
    must(!messages.is_empty(), "there are messages");
    must(request.header("content-type").is_some_and(|kind| kind.starts_with("application/json")), "the body is JSON");
    must(tools.iter().collect::<BTreeSet<_>>().len() == tools.len(), "each tool is offered once");
    must(body.get("tools").is_none_or(|_| !tools.is_empty()), "no empty list of tools");
    must(request.header("accept-encoding") == Some("identity"), "no content coding is taken");
    let keys = ["authorization", "x-api-key"].map(|name| request.header(name).unwrap_or_default());
    must(!keys.iter().any(|key| key.contains("haia-key")), "HAIA's own keys stay at home");
    match format {
        Format::OpenAi => {
            must(keys[0].starts_with("Bearer sk-sim"), "a key is sent");
            must(answers_follow_calls(&messages), "each tool call is answered, and only those");
        }
        Format::Anthropic => {
            must(keys[1].starts_with("sk-sim"), "a key is sent");
            must(request.header("anthropic-version") == Some("2023-06-01"), "anthropic-version is sent");
            must(body["max_tokens"].as_u64().is_some_and(|tokens| tokens > 0), "max_tokens is sent");
            must(messages.first().is_some_and(|first| first["role"] == "user"), "a user begins");
            must(messages.iter().all(|message| message["role"] != "system"), "the system text is no message");
            must(
                messages.windows(2).all(|pair| ids(&pair[1]) == calls_of(&pair[0]).into_iter().collect()),
                "each tool_use is answered in the very next message",
            );
            must(messages.iter().all(results_come_first), "results come before text");
            must(thinking_comes_back(request, &messages), "thinking goes back with its signature");
        }
        Format::Ollama => {
            let plain = |message: &Value| message["content"].is_string() || message["content"].is_null();
            must(messages.iter().all(plain), "content is text");
            let objects = |message: &Value| {
                let calls = message["tool_calls"].as_array().cloned().unwrap_or_default();
                calls.iter().all(|call| call["function"]["arguments"].is_object())
            };
            must(messages.iter().all(objects), "arguments are objects");
            must(body.get("tool_choice").is_none(), "there is no tool_choice");
        }
    }
    broken
}

fn ids(message: &Value) -> BTreeSet<String> {
    let id = |result: &Value| {
        let id = result["tool_call_id"].as_str().or_else(|| result["tool_use_id"].as_str());
        id.unwrap_or_default().to_owned()
    };
    results_of(message).iter().map(id).collect()
}

/// After a message with calls come exactly the results of those calls, one message each.
fn answers_follow_calls(messages: &[Value]) -> bool {
    let mut open = BTreeSet::new();
    for message in messages {
        if message["role"] == "tool" {
            if !ids(message).iter().all(|id| open.remove(id)) {
                return false;
            }
        } else {
            if !open.is_empty() {
                return false;
            }
            open.extend(calls_of(message));
        }
    }
    open.is_empty()
}

fn results_come_first(message: &Value) -> bool {
    let blocks = message["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    let results = results_of(message).len();
    blocks.iter().take(results).all(|block| block["type"] == "tool_result")
}

/// The thinking model's own rounds begin with what it thought, byte for byte.
fn thinking_comes_back(request: &Request, messages: &[Value]) -> bool {
    if request.model() != "agent-thinking" {
        return true;
    }
    let rounds = messages.iter().filter(|message| !calls_of(message).is_empty());
    rounds.enumerate().all(|(round, message)| {
        let first = &message["content"][0];
        first["type"] == "thinking"
            && first["thinking"] == format!("Round {round}.")
            && first["signature"] == format!("sig-{round}")
    })
}
