//! A provider that refuses the results of tools without what it thought before it called them, as DeepSeek and Moonshot do, and clients that
//! never send that back: in every format, streamed and whole, as a model and behind the agent.

use crate::callers_tool;
use crate::daemon::{Daemon, Setup, Stream};
use crate::sim::{Answer, Format, Provider, Request};
use serde_json::{Value, json};

/// What the model thinks before a round of calls for these cities. It would not survive if it were printed anew in other words.
fn thought(cities: &str) -> String {
    format!("Is it \"wet\" in {cities}?\n\u{2602}\u{1F327} I look \\ there.")
}

/// The cities of a message's calls; HAIA's own tool stands for one.
fn cities(message: &Value) -> String {
    let calls = message["tool_calls"].as_array().cloned().unwrap_or_default();
    let city = |call: &Value| {
        let arguments = call["function"]["arguments"].as_str().unwrap_or_default();
        let arguments: Value = serde_json::from_str(arguments).unwrap_or_default();
        arguments["city"].as_str().unwrap_or("time").to_owned()
    };
    calls.iter().map(city).collect::<Vec<_>>().join(" and ")
}

/// The ids of a message's calls, in OpenAI's form or in Anthropic's.
fn calls_of(message: &Value) -> Vec<String> {
    let calls = message["tool_calls"].as_array().or_else(|| message["content"].as_array());
    let calls = calls.into_iter().flatten().filter(|call| call["type"] != "text");
    calls.map(|call| call["id"].as_str().unwrap_or_default().to_owned()).collect()
}

/// The provider's own refusal, if a message with calls lacks its thinking, or has another.
fn refusal(request: &Request) -> Option<Answer> {
    let messages = request.messages();
    let calling = messages.iter().enumerate().filter(|(_, message)| !calls_of(message).is_empty());
    let said = calling.clone().find_map(|(at, message)| match message.get("reasoning_content") {
        None | Some(Value::Null) => Some(format!(
            "Missing `reasoning_content` field in the assistant message at message index {at}. For more information, please refer to https://api-docs.deepseek.com/guides/thinking_mode#tool-calls"
        )),
        Some(told) if *told == thought(&cities(message)) => None,
        Some(told) => Some(format!("the thinking of message {at} is another: {told}")),
    })?;
    let error =
        json!({ "message": said, "type": "invalid_request_error", "param": null, "code": "invalid_request_error" });
    Some(Answer::json(400, &json!({ "error": error })))
}

/// The model: two rounds of calls after each question, the second with two at once, then words. HAIA's own tool first, where there is one.
fn deep(request: &Request) -> Option<Answer> {
    request.format().filter(|format| *format == Format::OpenAi)?;
    if let Some(refused) = refusal(request) {
        return Some(refused);
    }
    let has_own = request.tools().iter().any(|name| name == "get_time");
    let asked = request.messages().iter().filter(|message| message["role"] == "user").count();
    let city = |name: &str| ("look_outside", json!({ "city": format!("{name} {asked}") }));
    let calls = match request.rounds() + usize::from(!has_own) {
        0 => vec![("get_time", json!({}))],
        1 => vec![city("Ulm")],
        2 => vec![city("Bonn"), city("Kiel")],
        _ => vec![],
    };
    let call = |(at, (name, arguments)): (usize, &(&str, Value))| {
        let function = json!({ "name": name, "arguments": arguments.to_string() });
        json!({ "index": at, "id": format!("{at}_{name}_{asked}_{}", request.rounds()), "type": "function", "function": function })
    };
    let calls: Vec<Value> = calls.iter().enumerate().map(call).collect();
    let thinking =
        if calls.is_empty() { "Done.".to_owned() } else { thought(&cities(&json!({ "tool_calls": calls }))) };
    let content = if calls.is_empty() { json!("It rains.") } else { Value::Null };
    let reason = if calls.is_empty() { "stop" } else { "tool_calls" };
    let head = |object: &str| json!({ "id": "deep-1", "object": object, "created": 1, "model": request.model() });
    if !request.streamed() {
        let mut message = json!({ "role": "assistant", "content": content, "reasoning_content": thinking });
        if !calls.is_empty() {
            message["tool_calls"] = json!(calls);
        }
        let mut body = head("chat.completion");
        body["choices"] = json!([{ "index": 0, "message": message, "finish_reason": reason }]);
        return Some(Answer::json(200, &body));
    }
    let mut deltas = vec![json!({ "role": "assistant", "content": null, "reasoning_content": "" })];
    deltas.extend(thinking.split_inclusive(' ').map(|word| json!({ "content": null, "reasoning_content": word })));
    deltas.extend(content.as_str().map(|text| json!({ "content": text, "reasoning_content": null })));
    for call in calls {
        let arguments = call["function"]["arguments"].as_str().unwrap_or_default().to_owned();
        let (index, mut first) = (call["index"].clone(), call);
        first["function"]["arguments"] = json!("");
        deltas.push(json!({ "tool_calls": [first] }));
        for piece in [&arguments[..1], &arguments[1..]] {
            deltas.push(json!({ "tool_calls": [{ "index": index, "function": { "arguments": piece } }] }));
        }
    }
    let chunk = |delta: Value, reason: Value| {
        let mut chunk = head("chat.completion.chunk");
        chunk["choices"] = json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": reason }]);
        format!("data: {chunk}\n\n").into_bytes()
    };
    let mut pieces: Vec<Vec<u8>> = deltas.into_iter().map(|delta| chunk(delta, Value::Null)).collect();
    pieces.extend([chunk(json!({ "content": "" }), json!(reason)), b"data: [DONE]\n\n".to_vec()]);
    Some(Answer::pieces("text/event-stream", pieces))
}

fn deep_daemon() -> (Provider, Daemon) {
    let sim = Provider::start();
    sim.script(deep);
    let daemon = Setup::with_sim(&sim).start();
    (sim, daemon)
}

/// A client of one format, which keeps everything of an answer but the thinking.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Client {
    Chat,
    Messages,
    Responses,
}

impl Client {
    fn path(self) -> &'static str {
        match self {
            Client::Chat => "/v1/chat/completions",
            Client::Messages => "/v1/messages",
            Client::Responses => "/v1/responses",
        }
    }

    fn body(self, model: &str, stream: bool, history: &[Value]) -> Value {
        let tool = callers_tool();
        let function = &tool["function"];
        let (said, tool) = match self {
            Client::Chat => ("messages", tool.clone()),
            Client::Messages => {
                ("messages", json!({ "name": function["name"], "input_schema": function["parameters"] }))
            }
            Client::Responses => {
                ("input", json!({ "type": "function", "name": function["name"], "parameters": function["parameters"] }))
            }
        };
        let mut body = json!({ "model": model, "stream": stream, "tools": [tool], said: history });
        if self == Client::Messages {
            body["max_tokens"] = json!(500);
        }
        body
    }

    /// Asks, adds the answer to the history, and the results of the tools that it calls. Whether it called any.
    fn ask(self, daemon: &Daemon, model: &str, stream: bool, history: &mut Vec<Value>) -> bool {
        let body = self.body(model, stream, history);
        let said = match (self, stream) {
            (Client::Chat, true) => {
                vec![message_of(daemon.stream(&body))]
            }
            _ => {
                let answer = daemon.post(self.path(), &body);
                assert_eq!(answer.status, 200, "{self:?}: {}", answer.text());
                match (self, stream) {
                    (Client::Messages, true) => vec![json!({ "role": "assistant", "content": blocks(&answer.text()) })],
                    (_, true) => items(&answer.text()),
                    (Client::Chat, _) => vec![answer.json()["choices"][0]["message"].clone()],
                    (Client::Messages, _) => {
                        let content = answer.json()["content"].clone();
                        vec![json!({ "role": "assistant", "content": without(content, "thinking") })]
                    }
                    (Client::Responses, _) => without(answer.json()["output"].clone(), "reasoning"),
                }
            }
        };
        let before = history.len();
        for mut said in said {
            if let Some(message) = said.as_object_mut() {
                message.remove("reasoning_content");
            }
            history.push(said);
        }
        let results = self.results(&history[before..]);
        history.extend(results.iter().cloned());
        !results.is_empty()
    }

    fn results(self, said: &[Value]) -> Vec<Value> {
        match self {
            Client::Chat => {
                let result = |id: &String| json!({ "role": "tool", "tool_call_id": id, "content": "Rain." });
                said.iter().flat_map(calls_of).map(|id| result(&id)).collect()
            }
            Client::Messages => {
                let result = |id: String| json!({ "type": "tool_result", "tool_use_id": id, "content": "Rain." });
                let results: Vec<Value> = said.iter().flat_map(calls_of).map(result).collect();
                let message = json!({ "role": "user", "content": results });
                if results.is_empty() { vec![] } else { vec![message] }
            }
            Client::Responses => {
                let calls = said.iter().filter(|item| item["type"] == "function_call");
                let output = |id: &Value| json!({ "type": "function_call_output", "call_id": id, "output": "Rain." });
                calls.map(|call| output(&call["call_id"])).collect()
            }
        }
    }
}

fn without(list: Value, kind: &str) -> Vec<Value> {
    let list = list.as_array().cloned().unwrap_or_default();
    assert!(list.iter().any(|part| part["type"] == kind), "the client was told what was thought: {list:?}");
    list.into_iter().filter(|part| part["type"] != kind).collect()
}

fn message_of(stream: Stream) -> Value {
    let streamed = stream.finish();
    streamed.assert_whole();
    assert!(!streamed.thinking().is_empty());
    let call = |(id, name, arguments): (String, String, String)| json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } });
    let calls: Vec<Value> = streamed.tool_calls().into_iter().map(call).collect();
    let mut message = json!({ "role": "assistant", "content": streamed.text() });
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    }
    message
}

fn events(stream: &str) -> Vec<Value> {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).expect("JSON")).collect()
}

/// The blocks of a streamed message but for the thinking.
fn blocks(stream: &str) -> Vec<Value> {
    let mut blocks: Vec<(Value, String)> = Vec::new();
    for event in events(stream) {
        match event["type"].as_str() {
            Some("content_block_start") => blocks.push((event["content_block"].clone(), String::new())),
            Some("content_block_delta") => {
                let piece = ["text", "partial_json"].iter().find_map(|name| event["delta"][name].as_str());
                blocks.last_mut().expect("a block").1.push_str(piece.unwrap_or_default());
            }
            _ => {}
        }
    }
    let whole = blocks.into_iter().map(|(mut block, pieces)| {
        match block["type"].as_str() {
            Some("tool_use") => block["input"] = serde_json::from_str(&pieces).unwrap_or(json!({})),
            Some("text") => block["text"] = json!(pieces),
            _ => {}
        }
        block
    });
    without(whole.collect(), "thinking")
}

/// The items of a streamed response but for the thinking.
fn items(stream: &str) -> Vec<Value> {
    let last = events(stream).pop().expect("events");
    assert_eq!(last["type"], "response.completed");
    without(last["response"]["output"].clone(), "reasoning")
}

#[test]
fn a_client_that_keeps_no_thinking_is_served_as_if_it_did() {
    let (sim, daemon) = deep_daemon();
    let clients = [Client::Chat, Client::Messages, Client::Responses];
    // Each model learns for itself, and its very first refusal finds the thinking there.
    let models = ["text", "long", "thinking", "length", "echo", "told"];
    let ways = clients.iter().flat_map(|client| [(*client, true), (*client, false)]);
    for ((client, stream), model) in ways.zip(models) {
        sim.forget();
        let mut history = Vec::new();
        for asked in ["Rain?", "And now?"] {
            history.push(json!({ "role": "user", "content": asked }));
            let rounds = (0..9).take_while(|_| client.ask(&daemon, &format!("openai/{model}"), stream, &mut history));
            assert_eq!(rounds.count(), 2, "{client:?} {stream}");
        }
        // Three requests for each question, and one that was refused.
        assert_eq!(sim.chats().len(), 7, "{client:?} {stream}");
        assert_eq!(sim.violations(), [""; 0]);
    }
}

#[test]
fn the_agent_keeps_it_for_its_callers_too() {
    let (sim, daemon) = deep_daemon();
    for (client, stream) in [(Client::Chat, true), (Client::Messages, false)] {
        let mut history = vec![json!({ "role": "user", "content": "Rain?" })];
        let rounds = (0..9).take_while(|_| client.ask(&daemon, "haia", stream, &mut history));
        assert_eq!(rounds.count(), 2, "{client:?}: beside a round of HAIA's own");
        assert_eq!(sim.violations(), [""; 0]);
    }
}

#[test]
fn what_a_client_sends_itself_goes_as_it_is() {
    let (sim, daemon) = deep_daemon();
    let mut history = vec![json!({ "role": "user", "content": "Rain?" })];
    assert!(Client::Chat.ask(&daemon, "openai/text", true, &mut history));
    let answer = daemon.chat(&Client::Chat.body("openai/text", false, &history));
    assert_eq!((answer.status, sim.chats().len()), (200, 3), "the model was asked twice, and is known now");
    history[1]["reasoning_content"] = json!("I did not think.");
    let answer = daemon.chat(&Client::Chat.body("openai/text", false, &history));
    assert_eq!(answer.status, 400);
    assert!(
        answer.text().contains("the thinking of message 1 is another: \\\"I did not think.\\\""),
        "{}",
        answer.text()
    );
    history[1]["reasoning_content"] = json!(thought("Ulm 1"));
    assert_eq!(daemon.chat(&Client::Chat.body("openai/text", false, &history)).status, 200);
    assert_eq!(sim.chats().len(), 5, "nobody had to ask twice");
}
