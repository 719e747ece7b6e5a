//! A plain gateway: what the client asks goes to the model, what the model says comes back.

use crate::daemon::{CONTROL, Call, Event, READ, Setup};
use crate::sim::{Format, MODELS, Provider};
use crate::{ask, callers_tool};
use serde_json::{Value, json};

const HELLO: &str = "Hello from the simulated model.";

#[test]
fn every_format_answers_whole() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).start();
    for format in Format::ALL {
        let answer = daemon.chat(&ask(&format!("{}/text", format.kind()), false));
        assert_eq!(answer.content(), HELLO);
        let body = answer.json();
        assert_eq!(body["object"], "chat.completion");
        assert_eq!(body["choices"][0]["finish_reason"], "stop");
        assert_eq!(body["choices"][0]["message"]["role"], "assistant");
        assert_eq!((&body["usage"]["prompt_tokens"], &body["usage"]["completion_tokens"]), (&json!(11), &json!(7)));
        assert_eq!(body["usage"]["total_tokens"], 18);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert!(answer.header("x-request-id").is_some_and(|id| !id.is_empty()));
    }
    assert_eq!(sim.violations(), [""; 0]);
}

#[test]
fn every_format_answers_streamed() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).start();
    for format in Format::ALL {
        let model = format!("{}/text", format.kind());
        let stream = daemon.stream(&ask(&model, true));
        assert!(stream.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")));
        assert_eq!(stream.header("cache-control"), Some("no-cache"));
        assert_eq!(stream.header("x-accel-buffering"), Some("no"));
        assert_eq!(stream.header("content-encoding"), None);
        let streamed = stream.finish();
        streamed.assert_whole();
        assert_eq!((streamed.text().as_str(), streamed.finish_reasons()), (HELLO, vec!["stop"]));
        assert_eq!(streamed.usage(), None, "nobody asked for it");

        let mut body = ask(&model, true);
        body["stream_options"] = json!({ "include_usage": true });
        let streamed = daemon.stream(&body).finish();
        streamed.assert_whole();
        let usage = streamed.usage().expect("asked for");
        assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(11), &json!(7)));
    }
    assert_eq!(sim.violations(), [""; 0]);
}

#[test]
fn words_leave_as_they_come() {
    let sim = Provider::start();
    let gate = sim.gate();
    let held = gate.clone();
    sim.script(move |request| {
        // The piece after the first word is held back.
        let at = if request.format() == Some(Format::Anthropic) { 4 } else { 2 };
        request.format().map(|_| crate::sim::by_model(request).after(at, crate::sim::Step::Hold(held.clone())))
    });
    let daemon = Setup::with_sim(&sim).start();
    let mut streams: Vec<_> =
        Format::ALL.iter().map(|format| daemon.stream(&ask(&format!("{}/text", format.kind()), true))).collect();
    for stream in &mut streams {
        let events = stream.read_until_text();
        let is_text =
            |event: &&Event| matches!(event, Event::Data(data) if data["choices"][0]["delta"]["content"] == "Hello ");
        assert_eq!(events.iter().filter(is_text).count(), 1);
    }
    gate.open();
    for stream in streams {
        let rest = stream.finish();
        assert_eq!((rest.text().as_str(), &rest.broken), ("from the simulated model.", &None));
    }
}

#[test]
fn thinking_and_limits_are_told() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).start();
    for format in Format::ALL {
        let kind = format.kind();
        let streamed = daemon.stream(&ask(&format!("{kind}/thinking"), true)).finish();
        streamed.assert_whole();
        assert_eq!((streamed.thinking().as_str(), streamed.text().as_str()), ("Let me think.", "I have thought."));
        let whole = daemon.chat(&ask(&format!("{kind}/thinking"), false)).json();
        assert_eq!(whole["choices"][0]["message"]["reasoning_content"], "Let me think.", "{kind}");
        assert_eq!(whole["choices"][0]["message"]["content"], "I have thought.");

        let streamed = daemon.stream(&ask(&format!("{kind}/length"), true)).finish();
        streamed.assert_whole();
        assert_eq!(streamed.finish_reasons(), ["length"]);
    }
}

#[test]
fn parameters_tools_and_pictures_arrive_unchanged_in_meaning() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).start();
    let picture = "A".repeat(8 * 1024 * 1024);
    for format in Format::ALL {
        let body = json!({
            "model": format!("{}/echo", format.kind()), "temperature": 0.25, "seed": 7, "unknown_field": null,
            "tools": [callers_tool()],
            "messages": [{ "role": "user", "content": [
                { "type": "text", "text": "Schau, ein Bild: 🖼" },
                { "type": "image_url", "image_url": { "url": format!("data:image/png;base64,{picture}") } },
            ] }],
        });
        let echo: Value = serde_json::from_str(&daemon.chat(&body).content()).expect("the echo is JSON");
        assert_eq!(echo["image_bytes"], picture.len(), "{}", format.kind());
        assert_eq!(echo["tools"], json!(["look_outside"]));
        assert!(echo["last"].as_str().is_some_and(|text| text.contains("Schau, ein Bild: 🖼")), "{echo}");
        if format != Format::Ollama {
            assert_eq!(echo["temperature"], 0.25);
        }
    }
    assert_eq!(sim.violations(), [""; 0]);
}

#[test]
fn odd_but_harmless_requests_are_taken() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).start();
    let body = json!({
        "model": "openai/text", "stream": null, "tools": [], "n": 1, "stop": null, "max_completion_tokens": 100,
        "service_tier": "auto", "metadata": { "a": "b" }, "reasoning_effort": "low", "logprobs": null,
        "messages": [
            { "role": "developer", "content": "Be brief." },
            { "role": "user", "content": [{ "type": "text", "text": "Hi" }], "extra": 1 },
            { "role": "assistant", "content": "", "tool_calls": [{ "id": "c1", "type": "function",
                "function": { "name": "look_outside", "arguments": "{}" } }] },
            { "role": "tool", "tool_call_id": "c1", "content": [{ "type": "text", "text": "sunny" }] },
            { "role": "assistant", "content": null, "refusal": null, "reasoning_content": "hm" },
            { "role": "user", "name": "anna", "content": "Go on." },
        ],
    });
    for format in Format::ALL {
        let mut body = body.clone();
        body["model"] = json!(format!("{}/text", format.kind()));
        assert_eq!(daemon.chat(&body).content(), HELLO, "{}", format.kind());
    }
    for path in ["//v1//chat/completions", "/v1/chat/completions/"] {
        assert_eq!(daemon.post(path, &ask("openai/text", false)).content(), HELLO, "{path}");
    }
    let lower = daemon
        .call("POST", "/v1/chat/completions")
        .header("authorization", &format!("bearer {}", crate::daemon::CONTROL));
    assert_eq!(lower.json(&ask("openai/text", false)).send().content(), HELLO);
    assert_eq!(sim.violations(), [""; 0]);
}

#[test]
fn the_list_of_models_names_the_agent_its_routes_and_every_model() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).start();
    let ids = || -> Vec<String> {
        let list = daemon.call("GET", "/v1/models").key(READ).send().json();
        assert_eq!(list["object"], "list");
        let entries = list["data"].as_array().cloned().unwrap_or_default();
        assert!(entries.iter().all(|entry| entry["object"] == "model" && entry["owned_by"].is_string()), "{list}");
        entries.iter().map(|entry| entry["id"].as_str().expect("an id").to_owned()).collect()
    };
    let all = crate::daemon::eventually("every model to be discovered", || {
        let ids = ids();
        let known = |format: &Format| ids.contains(&format!("{}/{}", format.kind(), MODELS[0]));
        Format::ALL.iter().all(known).then_some(ids)
    });
    for expected in ["haia", "haia/default", "haia/openai-agent", "anthropic/text", "builtin/offline"] {
        assert!(all.iter().any(|id| id == expected), "no {expected} in {all:?}");
    }
    let one = daemon.get("/v1/models/openai/text").json();
    assert_eq!((&one["id"], &one["object"]), (&json!("openai/text"), &json!("model")));
    assert_eq!(daemon.get("/v1/models/haia").json()["id"], "haia");
    assert_eq!(daemon.get("/v1/models/nobody/nothing").status, 404);
    assert!(daemon.get("//v1/models/").status == 200, "Open WebUI sends such paths");
}

#[test]
fn connections_to_providers_are_used_again() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).start();
    for at in 0..30 {
        let model = format!("{}/text", Format::ALL[at % 3].kind());
        if at % 2 == 0 {
            daemon.stream(&ask(&model, true)).finish().assert_whole();
        } else {
            daemon.chat(&ask(&model, false)).content();
        }
    }
    // Two workers and the discovery of models, each with connections of its own to three providers at one address.
    assert!(sim.accepted_connections() <= 9, "{} connections for 30 chats", sim.accepted_connections());
}

#[test]
fn a_client_may_keep_its_connection_over_streams_and_errors() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).start();
    let mut call = daemon.call("POST", "/v1/chat/completions");
    let models = [
        ("openai/text", 200),
        ("anthropic/status-503", 503),
        ("nobody/nothing", 404),
        ("ollama/text", 200),
        ("haia", 200),
    ];
    for (model, status) in models {
        let mut stream = call.key(CONTROL).json(&ask(model, true)).open();
        assert_eq!(stream.status, status, "{model}");
        stream.skip();
        call = Call::next_after(stream, "POST", "/v1/chat/completions");
    }
}
