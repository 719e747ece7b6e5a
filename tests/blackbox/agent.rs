//! The agent: its prompt, its rounds of tools, what it shows while they run.

use crate::ask;
use crate::daemon::{Event, Setup};
use crate::sim::{Format, Provider};
use serde_json::json;

const FINAL: &str = "Let me look. \n\nFinal answer after 3 results in 2 rounds.";

#[test]
fn two_calls_at_once_a_third_and_the_answer_in_every_format() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).start();
    for format in Format::ALL {
        sim.forget();
        let mut body = ask(&format!("haia/{}-agent", format.kind()), true);
        body["stream_options"] = json!({ "include_usage": true });
        let streamed = daemon.stream(&body).finish();
        streamed.assert_whole();
        assert_eq!(streamed.text(), FINAL, "{}", format.kind());
        assert_eq!(streamed.finish_reasons(), ["stop"]);
        assert_eq!(streamed.tool_calls(), [], "HAIA's own calls are its own");
        assert!(!streamed.statuses().is_empty(), "what runs is shown: {:?}", streamed.events);
        let usage = streamed.usage().expect("asked for");
        assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(33), &json!(21)), "three rounds");
        assert_eq!(streamed.chunks()[0]["model"], body["model"], "the id that was asked for");

        let rounds = sim.chats();
        assert_eq!(rounds.len(), 3);
        let results: Vec<usize> = rounds.iter().map(|round| round.request.results().len()).collect();
        assert_eq!(results, [0, 2, 3]);
        let last = rounds[2].request.results();
        assert!(last[0].contains("20") && last[1].contains("actors"), "the time and the status: {last:?}");
    }
    assert_eq!(sim.violations(), [""; 0]);
}

#[test]
fn the_same_whole() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).start();
    for format in Format::ALL {
        let answer = daemon.chat(&ask(&format!("haia/{}-agent", format.kind()), false));
        assert_eq!(answer.content(), FINAL);
        let body = answer.json();
        assert!(body["choices"][0]["message"].get("tool_calls").is_none_or(|calls| calls.is_null()), "{body}");
        assert_eq!((&body["usage"]["prompt_tokens"], &body["usage"]["completion_tokens"]), (&json!(33), &json!(21)));
    }
    assert_eq!(daemon.chat(&ask("haia", false)).json()["model"], "haia");
    assert_eq!(sim.violations(), [""; 0]);
}

#[test]
fn thinking_goes_back_to_its_provider_within_the_turn() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).start();
    let streamed = daemon.stream(&ask("haia/anthropic-agent-thinking", true)).finish();
    streamed.assert_whole();
    assert_eq!((streamed.text().as_str(), streamed.thinking().as_str()), (FINAL, "Round 0.\n\nRound 1."));
    assert_eq!(sim.violations(), [""; 0]);
}

#[test]
fn the_agent_has_a_prompt_and_the_client_keeps_its_own() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).config("[agent]\nsystem_prompt = \"You are the keeper of this lab.\"\n").start();
    let body = json!({ "model": "haia", "messages": [
        { "role": "system", "content": "Answer in rhymes." },
        { "role": "user", "content": "What is going on?" },
    ] });
    daemon.chat(&body).content();
    let first = &sim.chats()[0].request;
    let messages = first.messages();
    let system: String = messages
        .iter()
        .filter(|message| message["role"] != "user")
        .map(|system| system["content"].to_string())
        .collect();
    assert!(system.contains("keeper of this lab") && system.contains("Answer in rhymes."), "{system}");
    let tools = first.tools();
    let mut sorted = tools.clone();
    sorted.sort();
    assert_eq!(tools, sorted, "the same order always, for the provider's cache");
    assert!(tools.contains(&"get_time".to_owned()) && tools.contains(&"get_haia_status".to_owned()), "{tools:?}");
}

#[test]
fn housekeeping_is_answered_plainly() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).start();
    let task = "### Task:\nGenerate a concise title for the chat history, as JSON.";
    for stream in [false, true] {
        sim.forget();
        let body = json!({ "model": "haia", "stream": stream, "messages": [{ "role": "user", "content": task }] });
        let text = if stream { daemon.stream(&body).finish().text() } else { daemon.chat(&body).content() };
        assert_eq!(text, "Final answer after 0 results in 0 rounds.");
        let chats = sim.chats();
        assert_eq!((chats.len(), chats[0].request.tools().len()), (1, 0), "no tools are offered");
    }
}

#[test]
fn status_events_stand_beside_an_empty_delta() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).start();
    let streamed = daemon.stream(&ask("haia", true)).finish();
    let with_event: Vec<_> = streamed.chunks().into_iter().filter(|chunk| chunk.get("event").is_some()).collect();
    assert!(!with_event.is_empty());
    for chunk in with_event {
        assert_eq!(chunk["event"]["type"], "status");
        assert!(
            chunk["event"]["data"]["description"].is_string() && chunk["event"]["data"]["done"].is_boolean(),
            "{chunk}"
        );
        assert_eq!(chunk["choices"][0]["delta"], json!({}), "{chunk}");
        assert!(chunk["choices"][0]["finish_reason"].is_null());
    }
    let comments = streamed.events.iter().filter(|event| matches!(event, Event::Comment(_)));
    assert!(comments.count() < 100, "comments keep alive, they do not chatter");
}

#[test]
fn the_offline_responder_answers_without_any_provider() {
    let setup = Setup::new();
    let daemon = setup.start();
    let ready = daemon.get("/ready").json();
    assert_eq!(ready["degraded"], true, "{ready}");
    for (model, stream) in [("haia", false), ("builtin/offline", false), ("builtin/offline", true), ("haia", true)] {
        let body = json!({ "model": model, "stream": stream,
            "messages": [{ "role": "user", "content": "What time is it?" }] });
        let text = if stream {
            let streamed = daemon.stream(&body).finish();
            streamed.assert_whole();
            streamed.text()
        } else {
            daemon.chat(&body).content()
        };
        assert!(text.to_lowercase().contains("offline"), "it says what it is: {text}");
        assert!(text.contains("20"), "and tells the time: {text}");
    }
}

#[test]
fn the_last_entry_of_a_route_answers_when_every_model_is_down() {
    let down = crate::sim::refused_address();
    let setup = Setup::new().provider(Format::OpenAi, "down", &format!("http://{down}"), "models = [\"text\"]");
    let daemon = setup.route("default", &["down/text", "builtin/offline"]).start();
    let text = daemon.chat(&ask("haia", false)).content();
    assert!(text.to_lowercase().contains("offline"), "{text}");
}
