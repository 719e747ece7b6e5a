//! Other formats as inputs: OpenAI's responses and Anthropic's messages reach every model and the agent.

use crate::daemon::{CONTROL, Daemon, Setup, eventually};
use crate::sim::{Answer, Format, Outcome, Provider, Request, by_model};
use serde_json::{Value, json};

const HELLO: &str = "Hello from the simulated model.";
const FINAL: &str = "Let me look. \n\nFinal answer after 3 results in 2 rounds.";

fn responses(model: &str, stream: bool) -> Value {
    json!({ "model": model, "input": "What is going on?", "stream": stream })
}

fn messages(model: &str, stream: bool) -> Value {
    let said = json!([{ "role": "user", "content": "What is going on?" }]);
    json!({ "model": model, "max_tokens": 500, "stream": stream, "messages": said })
}

/// The events of a stream by name and data, which name each other.
fn events(daemon: &Daemon, path: &str, body: &Value) -> Vec<Value> {
    let answer = daemon.post(path, body);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/event-stream")), "{}", answer.text());
    let text = answer.text();
    let read = |event: &str| {
        let (name, data) = event.split_once('\n').unwrap_or_else(|| panic!("no named event: {event:?}"));
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").expect("data")).expect("JSON");
        assert_eq!(name, format!("event: {}", data["type"].as_str().unwrap_or_default()));
        data
    };
    text.split_terminator("\n\n").filter(|event| !event.starts_with(':')).map(read).collect()
}

fn joined(events: &[Value], kind: &str, member: &str) -> String {
    let delta = |event: &Value| match kind {
        "text_delta" | "thinking_delta" | "signature_delta" | "input_json_delta" => {
            (event["delta"]["type"] == kind).then(|| event["delta"][member].as_str().unwrap_or_default().to_owned())
        }
        _ => (event["type"] == kind).then(|| event[member].as_str().unwrap_or_default().to_owned()),
    };
    events.iter().filter_map(delta).collect()
}

#[test]
fn every_model_answers_responses() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).start();
    for format in Format::ALL {
        let model = format!("{}/text", format.kind());
        let whole = daemon.post("/v1/responses", &responses(&model, false)).json();
        assert_eq!(
            (&whole["object"], &whole["status"], &whole["model"]),
            (&json!("response"), &json!("completed"), &json!(model))
        );
        assert_eq!(whole["output"][0]["content"][0]["text"], HELLO);
        assert_eq!((&whole["usage"]["input_tokens"], &whole["usage"]["output_tokens"]), (&json!(11), &json!(7)));
        let events = events(&daemon, "/v1/responses", &responses(&model, true));
        assert!(events.iter().enumerate().all(|(at, event)| event["sequence_number"] == at));
        assert_eq!(events[0]["type"], "response.created");
        assert_eq!(joined(&events, "response.output_text.delta", "delta"), HELLO);
        let last = events.last().expect("events");
        assert_eq!(last["type"], "response.completed");
        assert_eq!(last["response"]["usage"]["total_tokens"], 18);
    }
    assert_eq!(sim.violations(), [""; 0]);
}

#[test]
fn every_model_answers_messages() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).start();
    for format in Format::ALL {
        let model = format!("{}/thinking", format.kind());
        let whole = daemon.post("/v1/messages", &messages(&model, false)).json();
        assert_eq!((&whole["type"], &whole["stop_reason"]), (&json!("message"), &json!("end_turn")));
        assert_eq!(
            (&whole["content"][0]["thinking"], &whole["content"][1]["text"]),
            (&json!("Let me think."), &json!("I have thought."))
        );
        assert_eq!(whole["usage"]["output_tokens"], 7);
        let events = events(&daemon, "/v1/messages", &messages(&model, true));
        assert_eq!(
            (&events[0]["type"], &events[events.len() - 1]["type"]),
            (&json!("message_start"), &json!("message_stop"))
        );
        assert_eq!(joined(&events, "thinking_delta", "thinking"), "Let me think.");
        assert_eq!(joined(&events, "text_delta", "text"), "I have thought.");
        let signature = if format == Format::Anthropic { "sig-0" } else { "" };
        assert_eq!(joined(&events, "signature_delta", "signature"), signature);
        assert_eq!(events[events.len() - 2]["usage"]["output_tokens"], 7);
    }
    assert_eq!(sim.violations(), [""; 0]);
}

#[test]
fn anthropics_own_models_answer_in_their_own_bytes() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).start();
    let mut body = messages("anthropic/thinking", true);
    body["system"] = json!([{ "type": "text", "text": "Be brief.", "cache_control": { "type": "ephemeral" } }]);
    let call =
        daemon.call("POST", "/v1/messages").header("anthropic-beta", "a-1").header("anthropic-version", "2023-06-01");
    let streamed = call.key("").header("x-api-key", CONTROL).json(&body).send();
    let request = sim.chats()[0].request.clone();
    let own: Vec<u8> = by_model(&request)
        .body
        .iter()
        .flat_map(|step| match step {
            crate::sim::Step::Send(bytes) => bytes.clone(),
            _ => Vec::new(),
        })
        .collect();
    assert_eq!(streamed.text(), String::from_utf8(own).expect("text"));
    assert_eq!((request.json()["system"].clone(), request.model().as_str()), (body["system"].clone(), "thinking"));
    assert_eq!(
        (request.header("anthropic-beta"), request.header("x-api-key")),
        (Some("a-1"), Some("sk-sim-0123456789"))
    );
    let usage = daemon.status_until("the tokens to be counted", |status| {
        status["providers"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["name"] == "anthropic" && one["output_tokens"] == 7))
    });
    assert!(usage["providers"].is_array());
    assert_eq!(sim.violations(), [""; 0]);
}

#[test]
fn tools_go_there_and_back() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).start();
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    for format in Format::ALL {
        for model in [format!("{}/parallel", format.kind()), format!("haia/{}-caller", format.kind())] {
            let calls = if model.starts_with("haia/") { 1 } else { 2 };
            let end = format!("Final answer after {calls} results in 1 rounds.");
            // Anthropic's way.
            let mut body = messages(&model, true);
            body["tools"] = json!([{ "name": "look_outside", "input_schema": schema }]);
            let streamed = events(&daemon, "/v1/messages", &body);
            assert!(!joined(&streamed, "input_json_delta", "partial_json").is_empty());
            body["stream"] = json!(false);
            let answer = daemon.post("/v1/messages", &body).json();
            assert_eq!(answer["stop_reason"], "tool_use", "{model}: {answer}");
            let results: Vec<Value> = answer["content"].as_array().expect("blocks").iter().filter(|block| block["type"] == "tool_use")
                .map(|call| json!({ "type": "tool_result", "tool_use_id": call["id"], "content": format!("rain in {}", call["input"]["city"]) }))
                .collect();
            assert_eq!(results.len(), calls);
            let said = body["messages"].as_array_mut().expect("messages");
            said.push(json!({ "role": "assistant", "content": answer["content"] }));
            said.push(json!({ "role": "user", "content": results }));
            let answer = daemon.post("/v1/messages", &body).json();
            assert_eq!(answer["content"][0]["text"], end, "{model}: {answer}");
            // OpenAI's way.
            let mut body = responses(&model, false);
            body["tools"] = json!([{ "type": "function", "name": "look_outside", "parameters": schema }]);
            let answer = daemon.post("/v1/responses", &body).json();
            let output = answer["output"].as_array().expect("items").clone();
            let calls: Vec<&Value> = output.iter().filter(|item| item["type"] == "function_call").collect();
            let outputs: Vec<Value> = calls
                .iter()
                .map(|call| json!({ "type": "function_call_output", "call_id": call["call_id"], "output": "rain" }))
                .collect();
            let asked = json!({ "role": "user", "content": "What is going on?" });
            body["input"] = [vec![asked], output.clone(), outputs].concat().into();
            let answer = daemon.post("/v1/responses", &body).json();
            assert_eq!(answer["output"][0]["content"][0]["text"], end, "{model}: {answer}");
        }
    }
    assert_eq!(sim.violations(), [""; 0]);
}

#[test]
fn pictures_of_results_come_after_all_of_them() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).start();
    let call = |id: &str| json!({ "type": "tool_use", "id": id, "name": "look_outside", "input": {} });
    let result = |id: &str, content: Value| json!({ "type": "tool_result", "tool_use_id": id, "content": content });
    let source = json!({ "type": "base64", "media_type": "image/png", "data": "AA==" });
    let picture = json!([{ "type": "image", "source": source }]);
    let mut body = messages("openai/text", false);
    body["tools"] = json!([{ "name": "look_outside", "input_schema": { "type": "object" } }]);
    let said = body["messages"].as_array_mut().expect("messages");
    said.push(json!({ "role": "assistant", "content": [call("one"), call("two")] }));
    said.push(json!({ "role": "user", "content": [result("one", picture), result("two", json!("rain"))] }));
    let answer = daemon.post("/v1/messages", &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = sim.chats()[0].request.messages();
    let roles: Vec<&str> = sent.iter().filter_map(|message| message["role"].as_str()).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "tool", "user"]);
    let url = json!({ "url": "data:image/png;base64,AA==" });
    assert_eq!(sent[4]["content"], json!([{ "type": "image_url", "image_url": url }]));
    assert_eq!((&sent[2]["tool_call_id"], &sent[3]["content"]), (&json!("one"), &json!("rain")));
    assert_eq!(sim.violations(), [""; 0]);
}

#[test]
fn the_agent_answers_too() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).start();
    let message = daemon.post("/v1/messages", &messages("haia", false)).json();
    assert_eq!((&message["content"][0]["text"], &message["model"]), (&json!(FINAL), &json!("haia")));
    assert_eq!((&message["stop_reason"], &message["usage"]["input_tokens"]), (&json!("end_turn"), &json!(33)));
    assert_eq!(joined(&events(&daemon, "/v1/messages", &messages("haia", true)), "text_delta", "text"), FINAL);
    let streamed = events(&daemon, "/v1/responses", &responses("haia/ollama-agent", true));
    assert_eq!(joined(&streamed, "response.output_text.delta", "delta"), FINAL);
    assert!(!streamed.iter().any(|event| event["item"]["type"] == "function_call"), "HAIA's own calls are its own");
    let thinking = events(&daemon, "/v1/messages", &messages("haia/anthropic-agent-thinking", true));
    assert!(joined(&thinking, "thinking_delta", "thinking").starts_with("Round 0."));
    assert_eq!(sim.violations(), [""; 0]);
}

/// An answer that ends as this provider tells the end of which it knows more than most: Anthropic as it was asked, vLLM at a stop sequence.
fn ended(request: &Request) -> Option<Answer> {
    let streams = request.json()["stream"] == true;
    let lines = |events: &[Value]| {
        let name = |event: &Value| event["type"].as_str().map(|name| format!("event: {name}\n")).unwrap_or_default();
        let text: String = events.iter().map(|event| format!("{}data: {event}\n\n", name(event))).collect();
        text
    };
    let stream = |text: String| Answer::whole(200, "text/event-stream", text);
    match request.format()? {
        Format::Anthropic => {
            let asked = &request.json()["stop_sequences"][0];
            let end = match asked.is_string() {
                true => json!({ "stop_reason": "stop_sequence", "stop_sequence": asked }),
                false => json!({ "stop_reason": "pause_turn", "stop_sequence": null }),
            };
            let counts = json!({ "input_tokens": 3, "output_tokens": 1 });
            let message =
                json!({ "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "usage": counts });
            if !streams {
                let mut whole = message;
                whole["content"] = json!([{ "type": "text", "text": "Hi" }]);
                whole["stop_reason"] = end["stop_reason"].clone();
                whole["stop_sequence"] = end["stop_sequence"].clone();
                return Some(Answer::json(200, &whole));
            }
            Some(stream(lines(&[
                json!({ "type": "message_start", "message": message }),
                json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
                json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": "Hi" } }),
                json!({ "type": "content_block_stop", "index": 0 }),
                json!({ "type": "message_delta", "delta": end, "usage": { "output_tokens": 1 } }),
                json!({ "type": "message_stop" }),
            ])))
        }
        Format::OpenAi => {
            let choice = |member: &str, said: Value, finish: Value, stop: Value| {
                let choice = json!({ "index": 0, member: said, "finish_reason": finish, "stop_reason": stop });
                let object = if member == "delta" { "chat.completion.chunk" } else { "chat.completion" };
                json!({ "id": "c", "object": object, "created": 7, "model": "m", "choices": [choice] })
            };
            let stop = request.json()["stop"][0].clone();
            let hi = json!({ "role": "assistant", "content": "Hi" });
            Some(match streams {
                false => Answer::json(200, &choice("message", hi, json!("stop"), stop)),
                true => {
                    let chunks = [
                        choice("delta", hi, Value::Null, Value::Null),
                        choice("delta", json!({}), json!("stop"), stop),
                    ];
                    stream(lines(&chunks) + "data: [DONE]\n\n")
                }
            })
        }
        Format::Ollama => None,
    }
}

#[test]
fn an_end_is_told_as_far_as_the_provider_tells_it() {
    let sim = Provider::start();
    sim.script(ended);
    let daemon = Setup::with_sim(&sim).route("claude", &["anthropic/text"]).start();
    for (model, stops, reason, sequence) in [
        ("haia/claude", json!(["END"]), "stop_sequence", json!("END")),
        ("haia/claude", Value::Null, "pause_turn", Value::Null),
        ("anthropic/text", json!(["END"]), "stop_sequence", json!("END")),
        ("anthropic/text", Value::Null, "pause_turn", Value::Null),
        ("openai/text", json!(["END"]), "stop_sequence", json!("END")),
        ("openai/text", Value::Null, "end_turn", Value::Null),
        // It does not tell a stop sequence from an end.
        ("ollama/text", json!(["END"]), "end_turn", Value::Null),
    ] {
        let asked = |stream| {
            let mut body = messages(model, stream);
            if stops.is_array() {
                body["stop_sequences"] = stops.clone();
            }
            body
        };
        let whole = daemon.post("/v1/messages", &asked(false)).json();
        assert_eq!((&whole["stop_reason"], &whole["stop_sequence"]), (&json!(reason), &sequence), "{model}: {whole}");
        let events = events(&daemon, "/v1/messages", &asked(true));
        let end = events.iter().find(|event| event["type"] == "message_delta").expect("an end")["delta"].clone();
        assert_eq!((&end["stop_reason"], &end["stop_sequence"]), (&json!(reason), &sequence), "{model}, streamed");
    }
    // Whoever speaks OpenAI's format gets its words.
    let body = json!({ "model": "anthropic/text", "messages": [{ "role": "user", "content": "hi" }], "stop": "END" });
    assert_eq!(daemon.chat(&body).json()["choices"][0]["finish_reason"], "stop");
}

#[test]
fn failures_have_their_formats_shape() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).start();
    for format in Format::ALL {
        let kind = format.kind();
        for stream in [false, true] {
            for (model, status) in [("status-401", 502), ("status-429", 429), ("context-length", 400)] {
                let model = format!("{kind}/{model}");
                let message = daemon.post("/v1/messages", &messages(&model, stream));
                assert_eq!((message.status, &message.json()["type"]), (status, &json!("error")), "{}", message.text());
                let response = daemon.post("/v1/responses", &responses(&model, stream));
                assert_eq!((response.status, response.json().get("type")), (status, None));
                for answer in [message, response] {
                    assert!(answer.json()["error"]["message"].is_string());
                    assert!(
                        !crate::sim::NEVER_TOLD.iter().any(|told| answer.text().contains(told)),
                        "{}",
                        answer.text()
                    );
                }
            }
        }
        for model in ["error-mid", "cut-mid"] {
            let model = format!("{kind}/{model}");
            for (path, body) in [("/v1/messages", messages(&model, true)), ("/v1/responses", responses(&model, true))] {
                let answer = daemon.post(path, &body);
                assert_eq!(answer.status, 200, "{model} {path}");
                let text = answer.text();
                let last = text.trim_end().rsplit("\n\n").next().unwrap_or_default();
                assert!(last.starts_with("event: error\ndata: {"), "{model} {path}: {text}");
                assert!(!text.contains("message_stop") && !text.contains("response.completed"), "{text}");
                assert!(!crate::sim::NEVER_TOLD.iter().any(|told| text.contains(told)), "{text}");
            }
        }
    }
    let refused =
        daemon.post("/v1/responses", &json!({ "model": "haia", "input": "x", "previous_response_id": "resp_1" }));
    assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!("previous_response_id")));
}

#[test]
fn whoever_leaves_cancels() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).start();
    for format in Format::ALL {
        for model in ["hang", "hang-mid"] {
            let model = format!("{}/{model}", format.kind());
            for (path, body) in [("/v1/messages", messages(&model, true)), ("/v1/responses", responses(&model, true))] {
                sim.forget();
                let begun = daemon.call("POST", path).json(&body).begin();
                sim.wait_for_chats(1);
                drop(begun);
                eventually(&format!("the daemon to leave {model}"), || {
                    sim.chats().iter().all(|chat| chat.outcome == Outcome::Left).then_some(())
                });
                daemon.wait_until_idle();
            }
        }
    }
}
