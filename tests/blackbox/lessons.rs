//! What a model turns out not to take, or to want: it is asked once more in another way, the caller is told, and the next request heeds it.

use crate::daemon::{Daemon, Setup};
use crate::sim::{Answer, Format, Provider, Request};
use serde_json::{Value, json};

/// A provider that refuses what `refuses` names, and a daemon in front of it.
fn refusing(refuses: impl Fn(&Request) -> Option<Answer> + Send + 'static) -> (Provider, Daemon) {
    let sim = Provider::start();
    sim.script(move |request| {
        // Nobody tells beforehand what the models can do.
        if request.path == "/api/show" {
            return Some(Answer::whole(404, "text/plain", "404 page not found"));
        }
        request.format().and_then(|_| refuses(request))
    });
    let daemon =
        Setup::with_sim(&sim).route("two", &["anthropic/status-500", "ollama/text", "builtin/offline"]).start();
    (sim, daemon)
}

fn asking(model: &str, stream: bool, more: Value) -> Value {
    let mut body = json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": "Hello?" }] });
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

fn no_thinking(request: &Request) -> Option<Answer> {
    let body = request.json();
    if body["think"] == true {
        return Some(Answer::json(400, &json!({ "error": "\"text\" does not support thinking" })));
    }
    body.get("reasoning_effort").map(|_| {
        let message = "Unsupported parameter: 'reasoning_effort' is not supported with this model.";
        let error = json!({ "message": message, "param": "reasoning_effort", "code": "unsupported_parameter" });
        Answer::json(400, &json!({ "error": error }))
    })
}

const HELLO: &str = "Hello from the simulated model.";

#[test]
fn a_model_that_cannot_think_answers_without() {
    let (sim, daemon) = refusing(no_thinking);
    let notice = "the model text answered without thinking: it cannot";
    for (model, seen) in [("haia/two", 3), ("haia/two", 2), ("openai/text", 2), ("openai/text", 1)] {
        sim.forget();
        let answer = daemon.chat(&asking(model, false, json!({ "reasoning_effort": "medium" })));
        assert!(answer.content().ends_with(HELLO), "{}", answer.text());
        assert!(answer.header("x-haia-notice") == Some(notice) || answer.content().contains(notice), "{model}");
        assert_eq!(sim.chats().len(), seen, "{model}: once more, and never again");
    }
    let thinking = json!({ "thinking": { "type": "enabled", "budget_tokens": 2000 }, "max_tokens": 4000 });
    let answer = daemon.post("/v1/messages", &asking("ollama/text", false, thinking));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn what_the_list_of_models_tells_needs_no_refusal() {
    let sim = Provider::start();
    sim.script(no_thinking);
    let daemon = Setup::with_sim(&sim).start();
    daemon.status_until("the models to be known", |status| {
        let providers = status["providers"].as_array().cloned().unwrap_or_default();
        providers.iter().any(|provider| provider["name"] == "ollama" && provider["state"] == "ready")
    });
    let answer = daemon.chat(&asking("ollama/text", false, json!({ "reasoning_effort": "high" })));
    assert_eq!(answer.content(), HELLO, "{}", answer.text());
    assert_eq!(answer.header("x-haia-notice"), Some("the model text answered without thinking: it cannot"));
    assert_eq!(sim.chats().len(), 1);
}

#[test]
fn a_word_that_a_model_does_not_know_says_nothing_of_the_others() {
    let (sim, daemon) = refusing(|request| {
        let word = request.json()["reasoning_effort"].as_str()?.to_owned();
        (word == "xhigh").then(|| {
            let message = "Unsupported value: 'reasoning_effort' does not support 'xhigh' with this model.";
            let error = json!({ "message": message, "param": "reasoning_effort", "code": "unsupported_value" });
            Answer::json(400, &json!({ "error": error }))
        })
    });
    for (asked, seen) in [("max", &["xhigh", "high"][..]), ("low", &["low"]), ("xhigh", &["xhigh", "high"])] {
        sim.forget();
        let answer = daemon.chat(&asking("openai/text", false, json!({ "reasoning_effort": asked })));
        assert_eq!(answer.content(), HELLO, "{}", answer.text());
        let told: Vec<Value> = sim.chats().iter().map(|chat| chat.request.json()["reasoning_effort"].clone()).collect();
        assert_eq!(told, seen, "{asked}");
        assert_eq!(answer.header("x-haia-notice").is_some(), seen.len() > 1, "{asked}");
    }
}

#[test]
fn a_server_without_stream_options_streams_without_them() {
    let (sim, daemon) = refusing(|request| {
        request.json().get("stream_options").map(|_| {
            let item = json!({ "type": "extra_forbidden", "loc": ["body", "stream_options", "include_usage"], "msg": "Extra inputs are not permitted" });
            let message = json!({ "detail": [item] });
            Answer::json(422, &json!({ "object": "error", "message": message, "type": "invalid_request_error" }))
        })
    });
    for seen in [2, 1] {
        sim.forget();
        let stream = daemon.stream(&asking("openai/text", true, json!({}))).finish();
        assert_eq!(stream.text(), HELLO);
        stream.assert_whole();
        assert_eq!(sim.chats().len(), seen, "once more, and never again");
    }
}

#[test]
fn a_model_that_wants_its_thinking_back_gets_it() {
    let (sim, daemon) = refusing(|request| {
        let own = request.messages().into_iter().filter(|message| message["role"] == "assistant");
        let lacks = own.clone().any(|message| message["reasoning_content"].is_null());
        lacks.then(|| {
            let message = "The `reasoning_content` in the thinking mode must be passed back to the API.";
            Answer::json(400, &json!({ "error": { "message": message, "type": "invalid_request_error" } }))
        })
    });
    let history = json!({ "max_tokens": 100, "messages": [
        { "role": "user", "content": "Hello?" },
        { "role": "assistant", "content": [
            { "type": "thinking", "thinking": "Hm.", "signature": "" },
            { "type": "tool_use", "id": "call_1", "name": "look_outside", "input": {} }] },
        { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "call_1", "content": "Rain." }] },
    ] });
    for seen in [2, 1] {
        sim.forget();
        let answer = daemon.post("/v1/messages", &asking("openai/text", false, history.clone()));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let chats = sim.chats();
        let last = chats.last().map(|chat| chat.request.messages()[1]["reasoning_content"].clone());
        assert_eq!((chats.len(), last), (seen, Some(json!("Hm."))));
    }
    // A client of the same format that kept nothing has nothing to give back, and is answered all the same.
    let plain = json!({ "messages": [
        { "role": "user", "content": "Hello?" }, { "role": "assistant", "content": "Yes?" }, { "role": "user", "content": "Well?" },
    ] });
    assert_eq!(daemon.chat(&asking("openai/text", false, plain)).content(), HELLO);
    assert_eq!(sim.violations(), [""; 0]);
}

#[test]
fn a_proof_that_is_refused_is_left_out() {
    let (sim, daemon) = refusing(|request| {
        request.json().to_string().contains("sig-0").then(|| {
            let message = "messages.1.content.0: Invalid `signature` in `thinking` block";
            let error = json!({ "type": "invalid_request_error", "message": message });
            Answer::json(400, &json!({ "type": "error", "error": error }))
        })
    });
    let tool =
        json!({ "type": "function", "function": { "name": "look_outside", "parameters": { "type": "object" } } });
    let asked = |more: Value| daemon.chat(&asking("anthropic/agent-thinking", false, more));
    let first = asked(json!({ "tools": [tool] })).json()["choices"][0]["message"].clone();
    let calls = first["tool_calls"].as_array().expect("calls").clone();
    let mut history = vec![
        json!({ "role": "user", "content": "Hello?" }),
        json!({ "role": "assistant", "content": first["content"], "tool_calls": calls }),
    ];
    let result = |call: &Value| json!({ "role": "tool", "tool_call_id": call["id"], "content": "Rain." });
    history.extend(calls.iter().map(result));
    sim.forget();
    let answer = asked(json!({ "messages": history, "tools": [tool] }));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let held: Vec<bool> = sim.chats().iter().map(|chat| chat.request.json().to_string().contains("sig-0")).collect();
    assert_eq!(held, [true, false], "the proof was put back, and once it was refused, left out");
}

#[test]
fn a_server_with_its_own_form_of_ids_gets_the_calls_of_others() {
    let (sim, daemon) = refusing(|request| {
        let ids =
            request.messages().into_iter().filter_map(|message| message["tool_calls"][0]["id"].as_str().map(str::len));
        ids.clone().any(|length| length != 9).then(|| {
            let message = "Tool call id was call_1 but must be a-z, A-Z, 0-9, with a length of 9.";
            Answer::json(400, &json!({ "object": "error", "message": message, "type": "invalid_request_error" }))
        })
    });
    let history = json!({ "messages": [
        { "role": "user", "content": "Hello?" },
        { "role": "assistant", "content": null, "tool_calls": [
            { "id": "call_1", "type": "function", "function": { "name": "look_outside", "arguments": "{}" } }] },
        { "role": "tool", "tool_call_id": "call_1", "content": "Rain." },
    ] });
    for seen in [2, 1] {
        sim.forget();
        let answer = daemon.chat(&asking("openai/text", false, history.clone()));
        assert_eq!((answer.content().as_str(), sim.chats().len()), (HELLO, seen), "{}", answer.text());
    }
    assert_eq!(sim.violations(), [""; 0], "the result has the same id as its call");
}

#[test]
fn a_refusal_of_anything_else_is_told_at_once() {
    let (sim, daemon) = refusing(|request| {
        (request.format() == Some(Format::OpenAi)).then(|| Answer::json(400, &json!({ "error": "no" })))
    });
    assert_eq!(daemon.chat(&asking("openai/text", false, json!({ "reasoning_effort": "low" }))).status, 400);
    assert_eq!(sim.chats().len(), 1);
}

#[test]
fn a_smaller_request_does_not_load_an_ollama_model_anew() {
    let sim = Provider::start();
    sim.script(|request| match request.path.as_str() {
        "/api/show" => {
            let parameters = if request.model() == "long" { "stop \"x\"\nnum_ctx    24000" } else { "" };
            Some(Answer::json(200, &json!({ "capabilities": ["completion", "tools"], "parameters": parameters })))
        }
        "/api/ps" => Some(Answer::json(200, &json!({ "models": [{ "model": "caller", "context_length": 8192 }] }))),
        _ => None,
    });
    let daemon = Setup::with_sim(&sim).start();
    daemon.status_until("the models to be known", |status| {
        let providers = status["providers"].as_array().cloned().unwrap_or_default();
        providers.iter().any(|provider| provider["name"] == "ollama" && provider["state"] == "ready")
    });
    let size = |model: &str, content: &str| {
        sim.forget();
        let messages = json!([{ "role": "user", "content": content }]);
        let answer = daemon.chat(&asking(model, false, json!({ "messages": messages })));
        assert_eq!(answer.status, 200, "{}", answer.text());
        sim.chats()[0].request.json()["options"]["num_ctx"].clone()
    };
    let long = "word ".repeat(8000);
    for (content, expected) in [("Hello?", 4096), (long.as_str(), 16_384), ("A title, please.", 16_384)] {
        assert_eq!(size("ollama/text", content), expected);
    }
    assert_eq!(size("ollama/long", "Hello?"), 24_000, "the model's own parameter");
    assert_eq!(size("ollama/caller", "Hello?"), 8192, "what another program loaded");
}

#[test]
fn a_configured_member_that_anthropics_own_input_meets_a_refusal_with_is_left_out() {
    let sim = Provider::start();
    sim.script(|request| {
        let body = request.json();
        let has = |name: &str| !body[name].is_null();
        let message = match (request.format()?, request.model().as_str()) {
            (Format::Anthropic, "text") if has("temperature") => "`temperature` is deprecated for this model.",
            (Format::Anthropic, "long") if has("temperature") && has("top_p") => {
                "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
            }
            _ => return None,
        };
        let error = json!({ "type": "invalid_request_error", "message": message });
        Some(Answer::json(400, &json!({ "type": "error", "error": error })))
    });
    let daemon = Setup::with_sim(&sim)
        .config("[providers.anthropic.model.text]\ntemperature = 0.7\n")
        .config("[providers.anthropic.model.long]\noptions = { top_p = 0.9 }\n")
        .start();
    let asked = |model: &str, stream: bool, more: Value| {
        sim.forget();
        let mut body = asking(model, stream, more);
        body["max_tokens"] = json!(50);
        let answer = daemon.post("/v1/messages", &body);
        (answer.status, sim.chats().len(), answer.text().to_owned())
    };
    // What the caller wrote itself is refused, and the refusal is told.
    let (status, seen, text) = asked("anthropic/text", false, json!({ "temperature": 0.2 }));
    assert!((status, seen) == (400, 1) && text.contains("`temperature` is deprecated"), "{text}");
    for (stream, seen) in [(true, 2), (true, 1), (false, 1)] {
        let (status, asked, text) = asked("anthropic/long", stream, json!({ "temperature": 0.2 }));
        assert_eq!((status, asked), (200, seen), "once more, and never again: {text}");
        assert_eq!(sim.chats().last().map(|chat| chat.request.json()["temperature"].clone()), Some(json!(0.2)));
    }
    // What a caller wrote teaches nothing, what is configured does.
    for (stream, seen) in [(false, 2), (true, 1), (false, 1)] {
        let (status, asked, text) = asked("anthropic/text", stream, json!({}));
        assert_eq!((status, asked), (200, seen), "{text}");
    }
    let both = json!({ "temperature": 0.2, "top_p": 0.5 });
    let (status, seen, text) = asked("anthropic/long", false, both);
    assert!((status, seen) == (400, 1) && text.contains("cannot both be specified"), "{text}");
    assert_eq!(sim.violations(), [""; 0]);
}

#[test]
fn what_one_caller_may_not_use_at_anthropics_own_input_is_not_taken_from_the_others() {
    let sim = Provider::start();
    sim.script(|request| {
        let body = request.json();
        let message = match request.format()? {
            Format::Anthropic if body["tools"][0]["type"] == "computer_20241022" => {
                "'text' does not support tool types: computer_20241022"
            }
            // HAIA itself has this model think in the adaptive way.
            Format::Anthropic if body["thinking"]["type"] == "enabled" => {
                "budgeted thinking is not supported on this model"
            }
            _ => return None,
        };
        let error = json!({ "type": "invalid_request_error", "message": message });
        Some(Answer::json(400, &json!({ "type": "error", "error": error })))
    });
    let daemon = Setup::with_sim(&sim).start();
    for (more, told) in [
        (json!({ "tools": [{ "type": "computer_20241022", "name": "computer" }] }), "does not support tool types"),
        (json!({ "thinking": { "type": "enabled", "budget_tokens": 1024 } }), "thinking is not supported"),
    ] {
        sim.forget();
        let mut body = asking("anthropic/text", false, more);
        body["max_tokens"] = json!(50);
        let answer = daemon.post("/v1/messages", &body);
        assert!(answer.status == 400 && answer.text().contains(told), "{}", answer.text());
        assert_eq!(sim.chats().len(), 1, "nothing of it can be changed");
    }
    sim.forget();
    let function = json!({ "name": "look", "parameters": { "type": "object", "properties": {} } });
    let more = json!({ "tools": [{ "type": "function", "function": function }], "reasoning_effort": "low" });
    let answer = daemon.chat(&asking("anthropic/text", false, more));
    assert_eq!((answer.status, answer.header("x-haia-notice")), (200, None), "{}", answer.text());
    let sent = sim.chats()[0].request.json();
    assert_eq!(sent["tools"][0]["name"], "look", "{sent}");
    assert_ne!(sent["thinking"], Value::Null, "{sent}");
}

#[test]
fn sampling_that_a_model_refuses_is_left_out() {
    let (sim, daemon) = refusing(|request| {
        let body = request.json();
        let has = |name: &str| !body[name].is_null();
        let refusal = |message: &str, param: &str, code: &str| {
            let error = json!({ "message": message, "type": "invalid_request_error", "param": param, "code": code });
            Some(Answer::json(400, &json!({ "type": "error", "error": error })))
        };
        match request.format()? {
            Format::Anthropic if has("temperature") && has("top_p") => {
                let message = "`temperature` and `top_p` cannot both be specified for this model. Please use only one.";
                let error = json!({ "message": message, "type": "invalid_request_error" });
                Some(Answer::json(400, &json!({ "type": "error", "error": error })))
            }
            Format::OpenAi if has("max_tokens") => refusal(
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
                "max_tokens",
                "unsupported_parameter",
            ),
            Format::OpenAi if has("temperature") => refusal(
                "Unsupported value: 'temperature' does not support 0.7 with this model. Only the default (1) value is supported.",
                "temperature",
                "unsupported_value",
            ),
            _ => None,
        }
    });
    let more = json!({ "temperature": 0.7, "top_p": 0.5, "max_tokens": 50 });
    for (model, seen, left_out) in [
        ("anthropic/text", 2, "top_p 0.5"),
        ("anthropic/text", 1, "top_p 0.5"),
        ("openai/text", 3, "temperature 0.7"),
        ("openai/text", 1, "temperature 0.7"),
    ] {
        sim.forget();
        let answer = daemon.chat(&asking(model, false, more.clone()));
        assert_eq!(answer.content(), HELLO, "{}", answer.text());
        assert_eq!(sim.chats().len(), seen, "{model}: once for each lesson, and never again");
        let notice = format!("the model text refuses the {left_out}; asked without it");
        assert_eq!(answer.header("x-haia-notice"), Some(notice.as_str()));
    }
    assert_eq!(sim.chats()[0].request.json()["max_completion_tokens"], 50);
}
