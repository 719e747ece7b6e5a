//! Anthropic's own streams, relayed as they are: what breaks off, what fails, and what makes its reader wait.

use crate::ask as chat;
use crate::daemon::{Daemon, Setup, Stream};
use crate::sim::{Answer, Format, Outcome, Provider, Step};
use serde_json::{Value, json};

const EVENTS: &str = "text/event-stream";
const KEEP_ALIVE: &str = ": keep-alive\n\n";

fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().expect("a type"))
}

fn start() -> String {
    event(&json!({ "type": "message_start", "message": { "id": "msg_1", "type": "message", "role": "assistant",
        "content": [], "model": "m", "usage": { "input_tokens": 3, "output_tokens": 1 } } }))
}

fn block(index: u64, block: &Value) -> String {
    event(&json!({ "type": "content_block_start", "index": index, "content_block": block }))
}

fn text(text: &str) -> String {
    event(&json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": text } }))
}

fn send(text: &str) -> Step {
    Step::Send(text.as_bytes().to_vec())
}

/// A stream of these steps.
fn stream(steps: Vec<Step>) -> Answer {
    Answer { body: steps, ..Answer::pieces(EVENTS, []) }
}

fn ping() -> String {
    event(&json!({ "type": "ping" }))
}

fn end() -> String {
    let delta =
        json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" }, "usage": { "output_tokens": 7 } });
    [
        event(&json!({ "type": "content_block_stop", "index": 0 })),
        event(&delta),
        event(&json!({ "type": "message_stop" })),
    ]
    .concat()
}

/// Thinking begins, and nothing of it is shown.
fn hidden() -> String {
    [start(), block(0, &json!({ "type": "thinking", "thinking": "", "signature": "" })), ping()].concat()
}

fn body() -> Value {
    let said = json!([{ "role": "user", "content": "What is going on?" }]);
    json!({ "model": "anthropic/m", "max_tokens": 500, "stream": true, "messages": said })
}

fn ask(daemon: &Daemon) -> (u16, String) {
    let answer = daemon.post("/v1/messages", &body());
    (answer.status, answer.text())
}

/// Has Anthropic's chats answered with these steps.
fn script(sim: &Provider, steps: Vec<Step>) {
    sim.script(move |request| (request.format()? == Format::Anthropic).then(|| stream(steps.clone())));
}

/// Reads on until `wanted` has come, and gives all that came.
fn read_until(answer: &mut Stream, wanted: &str) -> String {
    let mut text = String::new();
    while !text.contains(wanted) {
        let piece = answer.piece().expect("a body").unwrap_or_else(|| panic!("{text:?} ended without {wanted:?}"));
        text.push_str(&String::from_utf8(piece).expect("text"));
    }
    text
}

/// Reads to the end.
fn read_rest(answer: &mut Stream) -> String {
    let mut text = String::new();
    while let Some(piece) = answer.piece().expect("a body") {
        text.push_str(&String::from_utf8(piece).expect("text"));
    }
    text
}

/// The events as Anthropic's client takes them: an empty line ends one, and the data of each is JSON.
fn events(text: &str) -> Vec<Value> {
    assert!(text.is_empty() || text.ends_with("\n\n"), "{text:?} ends inside an event");
    let mut found = Vec::new();
    for event in text.split_terminator("\n\n") {
        let data: Vec<&str> = event.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        if !data.is_empty() {
            let data = data.join("\n");
            found.push(serde_json::from_str(&data).unwrap_or_else(|error| panic!("{error}: {data:?} of {text:?}")));
        }
    }
    found
}

fn with_sim() -> (Provider, Daemon) {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).start();
    (sim, daemon)
}

/// A daemon with these deadlines.
fn with_deadlines(sim: &Provider, deadlines: &str) -> Daemon {
    let setup = Setup::new().provider(Format::Anthropic, "anthropic", &sim.url(), deadlines);
    setup.route("default", &["anthropic/m"]).start()
}

#[test]
fn a_connection_that_breaks_inside_an_event_leaves_no_half_of_it() {
    let (sim, daemon) = with_sim();
    let begun = [start(), block(0, &json!({ "type": "text", "text": "" })), text("alpha ")].concat();
    let next = text("beta");
    // Within the name, between the lines, within the JSON, and before the empty line.
    for cut in [3, next.find('\n').expect("a line") + 1, next.len() / 2, next.len() - 1] {
        let steps = vec![send(&begun), send(&next[..cut]), Step::Cut];
        script(&sim, steps);
        let (status, told) = ask(&daemon);
        assert_eq!(status, 200, "{told}");
        let told = told.strip_prefix(&begun).expect("what was whole came as it was");
        let found = events(told);
        assert_eq!(found.len(), 1, "{told:?} after a cut at {cut}");
        assert_eq!((&found[0]["type"], &found[0]["error"]["code"]), (&json!("error"), &json!("provider_unavailable")));
    }
    sim.wait_until("the cuts to be over", |chats| chats.iter().all(|chat| chat.outcome == Outcome::Cut));
    daemon.wait_until_idle();
}

#[test]
fn what_comes_together_with_a_failure_is_passed_on_before_it() {
    let (sim, daemon) = with_sim();
    let begun = [start(), block(0, &json!({ "type": "text", "text": "" })), text("alpha ")].concat();
    let failure = event(&json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } }));
    let (gate, more) = (sim.gate(), [text("beta "), ping(), text("gamma ")].concat());
    let last = [more.clone(), failure.clone(), text("delta")].concat();
    script(&sim, vec![send(&begun), Step::Hold(gate.clone()), send(&last)]);
    let mut answer = daemon.call("POST", "/v1/messages").json(&body()).open();
    assert_eq!(read_until(&mut answer, "content_block_delta\"}\n\n"), begun);
    gate.open();
    let rest = read_rest(&mut answer);
    let told = rest.strip_prefix(&more).map(events).expect("what came before the failure");
    assert_eq!((told.len(), &told[0]["error"]["code"]), (1, &json!("provider_unavailable")), "{rest}");
    // Before anything was passed on it is still a status.
    script(&sim, vec![send(&[begun, failure].concat())]);
    assert_eq!(ask(&daemon).0, 503);
    daemon.wait_until_idle();
}

#[test]
fn a_tool_of_the_providers_own_is_seen_to_run() {
    let (sim, daemon) = with_sim();
    let gate = sim.gate();
    let tool = json!({ "type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {} });
    let begun = [start(), block(0, &tool), ping()].concat();
    let rest = [block(1, &json!({ "type": "text", "text": "" })), text("found"), end()].concat();
    script(&sim, vec![send(&begun), Step::Hold(gate.clone()), send(&rest)]);
    let mut answer = daemon.call("POST", "/v1/messages").json(&body()).open();
    assert_eq!((answer.status, read_until(&mut answer, "ping\"}\n\n")), (200, begun));
    gate.open();
    assert_eq!(read_until(&mut answer, "message_stop\"}\n\n"), rest);
    daemon.wait_until_idle();
}

#[test]
fn what_came_in_ten_seconds_is_passed_on_and_a_failure_after_it_is_told_in_the_stream() {
    let sim = Provider::start();
    let daemon = with_deadlines(&sim, "first_token_timeout = \"15s\"");
    let begun = [start(), ping()].concat();
    // The text begins late; the provider fails; nothing more ever comes.
    let late = [block(0, &json!({ "type": "text", "text": "" })), text("alpha"), end()].concat();
    let failure = event(&json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } }));
    let cases = [
        ("late", late.as_str(), None),
        ("fails", "", Some("provider_unavailable")),
        ("never", "", Some("provider_timeout")),
    ];
    let gate = sim.gate();
    let (first, held, rest) = (begun.clone(), gate.clone(), late.clone());
    sim.script(move |request| {
        let last = match request.model().as_str() {
            "late" => send(&rest),
            "fails" => send(&failure),
            _ => Step::Hang,
        };
        Some(stream(vec![send(&first), Step::Hold(held.clone()), last]))
    });
    let answers = cases.map(|(model, _, _)| {
        let mut body = body();
        body["model"] = format!("anthropic/{model}").into();
        daemon.call("POST", "/v1/messages").json(&body).begin()
    });
    let mut answers = answers.map(|answer| answer.open().expect("a head"));
    for answer in &mut answers {
        let text = read_until(answer, &begun);
        // A sign of HAIA's own life may come before.
        assert_eq!((answer.status, text.replace(KEEP_ALIVE, "")), (200, begun.clone()));
    }
    gate.open();
    for (answer, (model, told, code)) in answers.iter_mut().zip(cases) {
        let text = read_rest(answer).replace(KEEP_ALIVE, "");
        let found = text.strip_prefix(told).map(events).expect("what came is passed on");
        let found = found.first().map(|event| event["error"]["code"].as_str().unwrap_or_default());
        assert_eq!(found, code, "{model}: {text}");
    }
    daemon.wait_until_idle();
}

#[test]
fn thinking_that_stays_hidden_may_take_longer_than_a_first_token() {
    let sim = Provider::start();
    let daemon = with_deadlines(&sim, "first_token_timeout = \"2s\"\nretries = 0");
    let signature =
        json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "signature_delta", "signature": "s" } });
    let stop = event(&json!({ "type": "content_block_stop", "index": 0 }));
    let rest =
        [event(&signature), stop, block(0, &json!({ "type": "text", "text": "" })), text("thought"), end()].concat();
    let (gate, whole) = (sim.gate(), [hidden(), rest.clone()].concat());
    let held = gate.clone();
    sim.script(move |request| match request.model().as_str() {
        "never" => Some(stream(vec![Step::Hang])),
        _ => Some(stream(vec![send(&hidden()), Step::Hold(held.clone()), send(&rest)])),
    });
    let chat_stream = daemon.call("POST", "/v1/chat/completions").json(&chat("anthropic/m", true)).begin();
    let relayed = daemon.call("POST", "/v1/messages").json(&body()).begin();
    sim.wait_for_chats(2);
    // Who is asked after them, and says nothing, is given up before them: the deadline for a first token is over.
    assert_eq!(daemon.chat(&chat("anthropic/never", true)).status, 504);
    gate.open();
    let streamed = chat_stream.open().expect("a head").finish();
    streamed.assert_whole();
    assert_eq!(streamed.text(), "thought");
    assert_eq!(relayed.read().expect("an answer").text(), whole);
    daemon.wait_until_idle();
}

#[test]
fn thinking_that_falls_silent_is_given_up() {
    let sim = Provider::start();
    let daemon = with_deadlines(&sim, "first_token_timeout = \"30s\"\nidle_timeout = \"400ms\"\nretries = 0");
    script(&sim, vec![send(&hidden()), Step::Hang]);
    let refused = daemon.chat(&chat("anthropic/m", true));
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (504, &json!("provider_timeout")));
    let (status, told) = ask(&daemon);
    let told = told.strip_prefix(&hidden()).map(events).expect("what came is passed on");
    assert_eq!((status, &told[0]["error"]["code"]), (200, &json!("provider_timeout")));
    sim.wait_until("the daemon to leave", |chats| chats.iter().all(|chat| chat.outcome == Outcome::Left));
    daemon.wait_until_idle();
}
