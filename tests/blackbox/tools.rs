//! The caller's own tools: offered beside HAIA's, never run here, and put back in place when the caller returns.

use crate::callers_tool;
use crate::daemon::{Daemon, Setup};
use crate::sim::{Format, Provider};
use serde_json::{Value, json};

/// The calls of an answer, whole or streamed: id, name, arguments; and its finish reason.
fn calls(daemon: &Daemon, body: &Value) -> (Vec<(String, String, String)>, String) {
    if body["stream"] == true {
        let streamed = daemon.stream(body).finish();
        streamed.assert_whole();
        return (streamed.tool_calls(), streamed.finish_reasons()[0].to_owned());
    }
    let answer = daemon.chat(body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let choice = answer.json()["choices"][0].clone();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let calls = choice["message"]["tool_calls"].as_array().cloned().unwrap_or_default();
    let calls = calls.iter().map(|c| (text(&c["id"]), text(&c["function"]["name"]), text(&c["function"]["arguments"])));
    (calls.collect(), text(&choice["finish_reason"]))
}

fn begin(model: &str, stream: bool) -> Value {
    let question = json!({ "role": "user", "content": "How is the weather?" });
    json!({ "model": model, "stream": stream, "messages": [question], "tools": [callers_tool()] })
}

/// The next request: the calls as the assistant's message, a result for each.
fn go_on(mut body: Value, calls: &[(String, String, String)], content: Value) -> Value {
    let made: Vec<Value> = calls
        .iter()
        .map(|(id, name, arguments)| json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } }))
        .collect();
    let messages = body["messages"].as_array_mut().expect("messages");
    messages.push(json!({ "role": "assistant", "content": content, "tool_calls": made }));
    for (id, _, arguments) in calls {
        messages.push(json!({ "role": "tool", "tool_call_id": id, "content": format!("rain, for {arguments}") }));
    }
    body
}

fn text(daemon: &Daemon, body: &Value) -> String {
    if body["stream"] == true {
        let streamed = daemon.stream(body).finish();
        streamed.assert_whole();
        streamed.text()
    } else {
        daemon.chat(body).content()
    }
}

#[test]
fn a_plain_gateway_hands_calls_to_the_caller() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).start();
    for format in Format::ALL {
        for stream in [false, true] {
            let body = begin(&format!("{}/parallel", format.kind()), stream);
            let (calls, finish) = calls(&daemon, &body);
            assert_eq!(finish, "tool_calls");
            let names: Vec<_> = calls.iter().map(|(_, name, _)| name.as_str()).collect();
            assert_eq!(names, ["look_outside", "look_outside"], "{}", format.kind());
            assert!(!calls[0].0.is_empty() && calls[0].0 != calls[1].0, "ids of their own: {calls:?}");
            let arguments: Vec<Value> =
                calls.iter().map(|(_, _, arguments)| serde_json::from_str(arguments).expect("JSON")).collect();
            assert_eq!(arguments, [json!({ "city": "Zürich" }), json!({ "city": "Genève" })]);
            let answer = text(&daemon, &go_on(body, &calls, Value::Null));
            assert_eq!(answer, "Final answer after 2 results in 1 rounds.");
        }
    }
    assert_eq!(sim.violations(), [""; 0]);
}

#[test]
fn the_agent_hands_calls_of_the_callers_tools_to_the_caller() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).start();
    for format in Format::ALL {
        sim.forget();
        let body = begin(&format!("haia/{}-caller", format.kind()), true);
        let (calls, finish) = calls(&daemon, &body);
        assert_eq!((calls.len(), finish.as_str()), (1, "tool_calls"));
        let offered = sim.chats()[0].request.tools();
        assert!(
            offered.contains(&"look_outside".to_owned()) && offered.contains(&"get_time".to_owned()),
            "{offered:?}"
        );
        assert_eq!(text(&daemon, &go_on(body, &calls, json!(""))), "Final answer after 1 results in 1 rounds.");
        assert!(sim.chats()[1].request.results()[0].contains("rain"), "the caller's own result");
    }
    assert_eq!(sim.violations(), [""; 0]);
}

#[test]
fn a_mixed_round_is_put_together_again() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).start();
    for format in Format::ALL {
        for stream in [false, true] {
            sim.forget();
            let body = begin(&format!("haia/{}-mixed", format.kind()), stream);
            let (calls, finish) = calls(&daemon, &body);
            assert_eq!((calls.len(), finish.as_str()), (1, "tool_calls"), "only the caller's: {calls:?}");
            assert_eq!(calls[0].1, "look_outside");
            let answer = text(&daemon, &go_on(body, &calls, json!("Let me look. ")));
            assert_eq!(answer, "Final answer after 2 results in 1 rounds.", "{}", format.kind());
            let chats = sim.chats();
            assert_eq!(chats.len(), 2, "nothing is asked while the caller works");
            let results = chats[1].request.results();
            assert!(results[0].contains("20") && results[1].contains("rain"), "in the order of the calls: {results:?}");
        }
    }
    assert_eq!(sim.violations(), [""; 0]);
}
