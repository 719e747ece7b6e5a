//! What a client asks reaches the provider unchanged in meaning: each recorded request, written anew from the client's form of it.

use crate::client::Client;
use crate::kit::{self, Exchange};
use bytes::Bytes;
use contract::chat::ChatRequest;
use contract::provider::CallBody;
use provider_pool::formats::{Encode, ModelSettings, PutBack};
use serde_json::{Map, Value, json};
use std::rc::Rc;

/// The client's request, as its bytes and as HAIA's own form of it. What the clients' form has no word for is sent beside it, where the format
/// passes on what it does not know.
fn bodies(exchange: &Exchange) -> [CallBody; 2] {
    let mut request = exchange.client_request.clone();
    request["model"] = json!("p/m");
    request["stream"] = json!(exchange.streamed);
    if matches!(exchange.format.kind(), "openai" | "openrouter") {
        for name in ["n", "reasoning", "reasoning_effort", "enable_thinking"] {
            if let Some(value) = exchange.request.get(name) {
                request[name] = value.clone();
            }
        }
    }
    let bytes = Bytes::from(request.to_string());
    let parsed = ChatRequest::parse(&bytes).unwrap_or_else(|failure| panic!("{}: {failure}", exchange.name));
    [CallBody::Raw(bytes), CallBody::Request(Rc::new(parsed))].map(|body| match proofs(exchange) {
        proofs if proofs.is_empty() => body,
        proofs => exchange.format.put_back(&body, &proofs).expect("a body that can be read"),
    })
}

/// What the exchange before this one must have back.
fn proofs(exchange: &Exchange) -> Vec<PutBack> {
    let Some(before) = &exchange.follows else { return Vec::new() };
    let before = kit::exchanges().into_iter().find(|known| known.name == *before).expect("the exchange before");
    let (client, outcome) = before.feed(Client::neutral(), std::slice::from_ref(&before.body));
    assert_eq!(outcome, Ok(()));
    let messages = exchange.client_request["messages"].as_array().expect("messages");
    let message = messages.iter().rposition(|message| message["role"] == "assistant").expect("the model's message");
    vec![PutBack { message, parts: client.answer.opaque }].into_iter().filter(|back| !back.parts.is_empty()).collect()
}

/// What was asked for in the provider's own way stands in the configuration.
fn settings(exchange: &Exchange) -> ModelSettings {
    let recorded = |names: &[&str]| -> Map<String, Value> {
        let members = names.iter().filter_map(|name| Some(((*name).to_owned(), exchange.request.get(*name)?.clone())));
        members.collect()
    };
    let options = match exchange.format.kind() {
        "anthropic" => {
            let mut options = recorded(&["thinking"]);
            if exchange.request["tools"][0].get("type").is_some() {
                options.extend(recorded(&["tools"]));
            }
            options
        }
        "gemini" => recorded(&["generationConfig", "safetySettings"]),
        "ollama" => recorded(&["keep_alive"]),
        _ => Map::new(),
    };
    ModelSettings { options, ..ModelSettings::default() }
}

fn written(exchange: &Exchange, body: &CallBody) -> Map<String, Value> {
    let settings = settings(exchange);
    let encoded = exchange
        .format
        .encode(&Encode { body, model: &exchange.model, stream: exchange.streamed, settings: &settings })
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
        "openai" | "openrouter" => openai(&mut request),
        "anthropic" => anthropic(&mut request),
        "gemini" => gemini(&mut request),
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
    // HAIA asks for usage always.
    remove(request, &["stream_options"]);
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

/// Gemini bears names and types in two spellings, and takes nothing for an empty object.
fn gemini(request: &mut Value) {
    if request["generationConfig"] == json!({}) {
        remove(request, &["generationConfig"]);
    }
    remove(&mut request["systemInstruction"], &["role"]);
    if request["systemInstruction"].is_null() {
        remove(request, &["systemInstruction"]);
    }
    for content in request["contents"].as_array_mut().into_iter().flatten() {
        for part in content["parts"].as_array_mut().into_iter().flatten() {
            if let Some(data) = part.get("inline_data").cloned() {
                *part = json!({"inlineData": {"mimeType": data["mime_type"], "data": data["data"]}});
            }
        }
    }
    let functions = request.pointer_mut("/tools/0/functionDeclarations").and_then(Value::as_array_mut);
    for function in functions.into_iter().flatten() {
        if let Some(schema) = function.get("parameters") {
            let schema = schema.to_string().replace("\"OBJECT\"", "\"object\"").replace("\"STRING\"", "\"string\"");
            function["parametersJsonSchema"] = serde_json::from_str(&schema).expect("JSON");
            remove(function, &["parameters"]);
        }
    }
    if request["tools"].is_null() {
        remove(request, &["tools"]);
    }
}

fn ollama(request: &mut Value) {
    // The size of the context is HAIA's choice; empty members are how one client says nothing.
    if let Some(options) = request.get_mut("options") {
        remove(options, &["num_ctx"]);
    }
    if request.get("options") == Some(&json!({})) {
        remove(request, &["options"]);
    }
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
    kit::each("requests", &kit::exchanges(), |exchange| {
        let kind = exchange.format.kind();
        let recorded = normal(kind, exchange.request.as_object().expect("an object"));
        for body in bodies(exchange) {
            let mut written = normal(kind, &written(exchange, &body));
            // Gemini is told by the address.
            if kind != "gemini" {
                assert_eq!(written["stream"], exchange.streamed, "{}", exchange.name);
            }
            if recorded.get("stream").is_none() {
                remove(&mut written, &["stream"]);
            }
            assert_eq!(written, recorded, "{}", exchange.name);
        }
    });
}

#[test]
fn requests_go_where_they_were_recorded() {
    // Azure and others have addresses of their own, which belong to the base URL; a constructed exchange may name no model.
    let exchanges = kit::exchanges();
    let plain = |exchange: &&Exchange| !exchange.path.contains("api-version") && !exchange.path.contains('{');
    kit::each("addresses", exchanges.iter().filter(plain), |exchange| {
        let path = exchange.format.chat_path(&exchange.model, exchange.streamed);
        let recorded = exchange.path.strip_suffix("?beta=true").unwrap_or(&exchange.path);
        assert!(recorded.ends_with(path.as_ref()), "{}: {path}", exchange.name);
        let base = exchange.format.default_base_url();
        if matches!(exchange.format.kind(), "anthropic" | "gemini" | "openrouter" | "ollama") {
            let whole = format!("{base}{path}");
            assert!(whole.ends_with(recorded), "{}: {whole}", exchange.name);
        }
    });
}

#[test]
fn streams_ask_for_usage() {
    for exchange in kit::exchanges().iter().filter(|exchange| matches!(exchange.format.kind(), "openai" | "openrouter"))
    {
        for body in bodies(exchange) {
            let written = written(exchange, &body);
            let wanted = exchange.streamed.then(|| json!({"include_usage": true}));
            assert_eq!(written.get("stream_options"), wanted.as_ref(), "{}", exchange.name);
        }
    }
}
