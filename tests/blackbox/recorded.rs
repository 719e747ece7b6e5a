//! Recorded traffic of real providers through the whole daemon, in awkward pieces: what a client reads is what the recording means.

use crate::daemon::{Daemon, Setup};
use crate::sim::{Fixture, Provider, Request, fixtures};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Every kind of provider, and what stands before its paths.
const KINDS: [(&str, &str); 5] =
    [("openai", "/v1"), ("openrouter", "/api/v1"), ("anthropic", ""), ("gemini", "/v1beta"), ("ollama", "")];

fn setup(sim: &Provider, all: &[Fixture]) -> Setup {
    let mut setup = Setup::new();
    for (kind, version) in KINDS {
        let own = all.iter().filter(|fixture| fixture.kinds().contains(&kind));
        let ids: Vec<String> = own.map(|fixture| format!("\"fixture-{}\"", fixture.id)).collect();
        assert!(!ids.is_empty(), "{kind}: nothing was recorded");
        setup = setup.config(&format!(
            "[providers.{kind}]\nkind = \"{kind}\"\nbase_url = \"{}{version}\"\nmodels = [{}]\n",
            sim.url(),
            ids.join(", ")
        ));
    }
    setup
}

/// The exchange that a request asks for: by the model in its body, or in Gemini's address.
fn asked(request: &Request) -> Option<Fixture> {
    let model = request.model();
    let in_path = || request.path.rsplit_once("/models/").and_then(|(_, rest)| rest.split(':').next());
    let model = if model.is_empty() { in_path()? } else { &model };
    Fixture::load(model.strip_prefix("fixture-")?)
}

/// What differs from what was expected, in words.
fn differences(daemon: &Daemon, fixture: &Fixture, kind: &str) -> String {
    let mut differences = String::new();
    let mut expected = fixture.expected.clone();
    if let (Some(refusal), Some("")) = (expected["refusal"].as_str(), expected["text"].as_str()) {
        // Shown as text too, for clients that know no refusals.
        expected["text"] = json!(refusal);
    }
    let expected = &expected;
    let mut body = fixture.client_request.clone();
    body["model"] = json!(format!("{kind}/fixture-{}", fixture.id));
    body["stream"] = json!(fixture.streamed());
    body["stream_options"] = if fixture.streamed() { json!({ "include_usage": true }) } else { Value::Null };
    let mut differ = |what: &str, found: Value, expected: &Value| {
        if found != *expected {
            let _ = writeln!(differences, "{kind} {} {what}: found {found}, expected {expected}", fixture.id);
        }
    };
    let statuses = expected["error"]["client_status_any"].as_array().cloned().unwrap_or_default();
    if expected["error"]["mid_stream"] == false {
        let status = json!(daemon.chat(&body).status);
        differ("a status of the allowed ones", json!(statuses.contains(&status)), &json!(true));
        return differences;
    }
    if !fixture.streamed() {
        let answer = daemon.chat(&body);
        let body = if answer.status == 200 {
            answer.json()
        } else {
            json!({ "status": answer.status, "body": answer.text() })
        };
        let message = &body["choices"][0]["message"];
        differ("text", json!(message["content"].as_str().unwrap_or_default()), &expected["text"]);
        differ("finish reason", body["choices"][0]["finish_reason"].clone(), &expected["finish_reason"]);
        differ("usage", known_usage(&body["usage"], &expected["usage"]), &expected["usage"]);
        return differences;
    }
    let stream = daemon.stream(&body);
    if stream.status != 200 {
        // The failure came with its first piece, so that it could still be an HTTP status.
        differ("a status of the allowed ones", json!(statuses.contains(&json!(stream.status))), &json!(true));
        return differences;
    }
    let streamed = stream.finish();
    differ("text", json!(streamed.text()), &expected["text"]);
    differ("thinking", json!(streamed.thinking()), &expected["thinking"]);
    if expected["error"].is_null() {
        let calls: Vec<Value> = streamed
            .tool_calls()
            .iter()
            .map(|(_, name, arguments)| json!([name, serde_json::from_str::<Value>(arguments).unwrap_or(Value::Null)]))
            .collect();
        let wanted: Vec<Value> = expected["tool_calls"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|call| json!([call["name"], call["arguments"]]))
            .collect();
        differ("calls", json!(calls), &json!(wanted));
        differ("finish reason", json!(streamed.finish_reasons()), &json!([expected["finish_reason"]]));
        let usage = streamed.usage().cloned().unwrap_or_default();
        differ("usage", known_usage(&usage, &expected["usage"]), &expected["usage"]);
    } else {
        differ("an error event", json!(streamed.error().is_some()), &json!(true));
        differ("finish reason of a failed stream", json!(streamed.finish_reasons()), &json!([]));
    }
    differences
}

/// The figures of `usage` that `expected` names, by its names.
fn known_usage(usage: &Value, expected: &Value) -> Value {
    let mut known = json!({
        "input": usage["prompt_tokens"], "output": usage["completion_tokens"],
        "cached_input": usage["prompt_tokens_details"]["cached_tokens"],
        "reasoning": usage["completion_tokens_details"]["reasoning_tokens"],
    });
    if let Some(figures) = known.as_object_mut() {
        figures.retain(|name, _| expected.get(name).is_some());
    }
    known
}

#[test]
fn every_recorded_exchange_means_to_the_client_what_it_meant() {
    let all = fixtures();
    assert!(all.len() > 90, "the recordings are in the repository, not {}", all.len());
    let mut differing = String::new();
    for size in [usize::MAX, 7, 1] {
        let sim = Provider::start();
        sim.script(move |request| {
            let answer = asked(request)?.answer();
            Some(if answer.chunked { answer.cut_into(size) } else { answer })
        });
        let daemon = setup(&sim, &all).start();
        let (mut passed, mut failed) = (0, 0);
        for (fixture, kind) in
            all.iter().flat_map(|fixture| fixture.kinds().into_iter().map(move |kind| (fixture, kind)))
        {
            let found = differences(&daemon, fixture, kind);
            if found.is_empty() {
                passed += 1;
            } else {
                failed += 1;
                let _ = writeln!(differing, "in pieces of {size}:\n{found}");
            }
        }
        let size = if size == usize::MAX { "any size".to_owned() } else { size.to_string() };
        println!("in pieces of {size}: {passed} passed, {failed} failed");
        daemon.wait_until_idle();
    }
    assert!(differing.is_empty(), "{differing}");
}
