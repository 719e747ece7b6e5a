//! What a client asks reaches the provider unchanged in meaning: each recorded request, written anew from the client's form of it.

use crate::kit::{self, Exchange};
use bytes::Bytes;
use contract::chat::ChatRequest;
use contract::provider::CallBody;
use provider_pool::formats::{Encode, ModelSettings};
use serde_json::{Map, Value, json};
use std::rc::Rc;

/// The client's request, as its bytes and as HAIA's own form of it.
fn bodies(exchange: &Exchange) -> [CallBody; 2] {
    let mut request = exchange.client_request.clone();
    request["model"] = json!("p/m");
    request["stream"] = json!(exchange.streamed);
    let bytes = Bytes::from(request.to_string());
    let parsed = ChatRequest::parse(&bytes).unwrap_or_else(|failure| panic!("{}: {failure}", exchange.name));
    [CallBody::Raw(bytes), CallBody::Request(Rc::new(parsed))]
}

fn written(exchange: &Exchange, body: &CallBody) -> Map<String, Value> {
    let model = exchange.request["model"].as_str().expect("a model");
    let settings = ModelSettings::default();
    let encoded = exchange
        .format
        .encode(&Encode { body, model, stream: exchange.streamed, settings: &settings })
        .unwrap_or_else(|failure| panic!("{}: {failure}", exchange.name));
    assert_eq!(encoded.notices, [""; 0], "{}", exchange.name);
    match serde_json::from_slice(&encoded.body) {
        Ok(Value::Object(object)) => object,
        other => panic!("{}: {other:?}", exchange.name),
    }
}

/// Both requests in one form: text as text, and without what differs for a reason.
fn normal(kind: &str, request: &Map<String, Value>) -> Value {
    let mut request = Value::Object(request.clone());
    match kind {
        "openai" => openai(&mut request),
        "anthropic" => anthropic(&mut request),
        _ => ollama(&mut request),
    }
    request
}

fn remove(value: &mut Value, names: &[&str]) {
    if let Some(object) = value.as_object_mut() {
        names.iter().for_each(|name| drop(object.remove(*name)));
    }
}

fn openai(request: &mut Value) {
    // HAIA asks for usage always; `n` is 1 anyway; reasoning was asked for in the providers' own ways, which the clients' form has no word for.
    remove(request, &["stream_options", "n", "reasoning", "reasoning_effort", "enable_thinking"]);
    if let Some(limit) = request.get("max_completion_tokens").cloned() {
        remove(request, &["max_completion_tokens"]);
        request["max_tokens"] = limit;
    }
    for call in request["messages"]
        .as_array_mut()
        .into_iter()
        .flatten()
        .flat_map(|message| message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten())
    {
        let arguments = call["function"]["arguments"].as_str().expect("JSON text");
        call["function"]["arguments"] = serde_json::from_str(arguments).expect("JSON");
    }
}

fn anthropic(request: &mut Value) {
    // Asked for in the provider's own way, which the clients' form has no word for; its own tools likewise.
    remove(request, &["thinking"]);
    if request["tools"][0].get("type").is_some() {
        remove(request, &["tools"]);
    }
    if let Some(system) = request.get("system").filter(|system| system.is_array()).cloned() {
        let texts: Vec<&str> =
            system.as_array().into_iter().flatten().filter_map(|block| block["text"].as_str()).collect();
        request["system"] = json!(texts.join("\n\n"));
    }
    for message in request["messages"].as_array_mut().into_iter().flatten() {
        blocks(&mut message["content"]);
        for block in message["content"].as_array_mut().into_iter().flatten() {
            remove(block, &["cache_control"]);
            if block["type"] == "tool_result" {
                blocks(&mut block["content"]);
            }
        }
    }
}

fn blocks(content: &mut Value) {
    if let Some(text) = content.as_str().map(str::to_owned) {
        *content = json!([{"type": "text", "text": text}]);
    }
}

fn ollama(request: &mut Value) {
    // `options` holds the size of the context that HAIA chose; empty members are how one client says nothing.
    remove(request, &["options", "keep_alive"]);
    if request["format"] == "" {
        remove(request, &["format"]);
    }
    if request["tools"] == json!([]) {
        remove(request, &["tools"]);
    }
    for message in request["messages"].as_array_mut().into_iter().flatten() {
        // Older recordings have no ids; the name of the tool helps newer servers.
        remove(message, &["tool_name", "tool_call_id"]);
        message
            .get_mut("tool_calls")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
            .for_each(|call| remove(call, &["id"]));
    }
}

#[test]
fn recorded_requests_are_written_the_same() {
    for exchange in kit::exchanges() {
        let kind = exchange.format.kind();
        let recorded = normal(kind, exchange.request.as_object().expect("an object"));
        for body in bodies(&exchange) {
            let mut written = normal(kind, &written(&exchange, &body));
            let stream = recorded.get("stream").cloned().unwrap_or(json!(false));
            assert_eq!(written["stream"], stream, "{}", exchange.name);
            if recorded.get("stream").is_none() {
                remove(&mut written, &["stream"]);
            }
            assert_eq!(written, recorded, "{}", exchange.name);
        }
    }
}

#[test]
fn streams_ask_for_usage() {
    for exchange in kit::exchanges().iter().filter(|exchange| exchange.format.kind() == "openai") {
        for body in bodies(exchange) {
            let written = written(exchange, &body);
            let wanted = exchange.streamed.then(|| json!({"include_usage": true}));
            assert_eq!(written.get("stream_options"), wanted.as_ref(), "{}", exchange.name);
        }
    }
}
