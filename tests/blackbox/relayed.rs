//! Anthropic's own streams, relayed as they are: what breaks off, what fails, and what makes its reader wait.

use crate::daemon::{Daemon, Setup};
use crate::sim::{Answer, Format, Outcome, Provider, Step};
use serde_json::{Value, json};

const EVENTS: &str = "text/event-stream";

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

fn ask(daemon: &Daemon) -> (u16, String) {
    let said = json!([{ "role": "user", "content": "What is going on?" }]);
    let body = json!({ "model": "anthropic/m", "max_tokens": 500, "stream": true, "messages": said });
    let answer = daemon.post("/v1/messages", &body);
    (answer.status, answer.text())
}

/// The events as Anthropic's client takes them: an empty line ends one, and the data of each is JSON.
fn events(text: &str) -> Vec<Value> {
    assert!(text.ends_with("\n\n"), "{text:?} ends inside an event");
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

#[test]
fn a_connection_that_breaks_inside_an_event_leaves_no_half_of_it() {
    let (sim, daemon) = with_sim();
    let begun = [start(), block(0, &json!({ "type": "text", "text": "" })), text("alpha ")].concat();
    let next = text("beta");
    // Within the name, between the lines, within the JSON, and before the empty line.
    for cut in [3, next.find('\n').expect("a line") + 1, next.len() / 2, next.len() - 1] {
        let steps = vec![send(&begun), send(&next[..cut]), Step::Cut];
        sim.script(move |request| (request.format()? == Format::Anthropic).then(|| stream(steps.clone())));
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
