//! Streams from events to what a client reads out of them.

use super::*;
use crate::anthropic::message::Whole;
use crate::encoder::WholeEncoder as _;
use contract::chat::{FinishReason, Stop};
use contract::failure::FailureClass;
use runtime::world::TestIds;
use std::sync::Arc;

fn asked() -> Asked {
    Asked { model: "haia".into(), ids: Arc::<TestIds>::default(), stops: vec!["END".to_owned()] }
}

fn stream() -> MessageStream {
    MessageStream::new(asked())
}

/// The events of a stream: each has its name and its data, of the same type.
fn events(stream: &mut MessageStream) -> Vec<Value> {
    let text = String::from_utf8(stream.take().unwrap_or_default().to_vec()).expect("UTF-8");
    let read = |event: &str| {
        let (name, data) = event.split_once('\n').expect("two lines");
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").expect("data")).expect("JSON");
        assert_eq!(name, format!("event: {}", data["type"].as_str().unwrap_or_default()));
        data
    };
    text.split_terminator("\n\n").map(read).collect()
}

fn run(given: &[Event<'_>]) -> Vec<Value> {
    let mut stream = stream();
    for event in given {
        stream.event(event.clone());
    }
    stream.complete().expect("whole");
    events(&mut stream)
}

/// What a client puts together; one block is open at a time and each index is used once.
fn message(events: &[Value]) -> (Vec<Value>, Value) {
    let (mut blocks, mut open): (Vec<Value>, Option<usize>) = (Vec::new(), None);
    let mut texts: Vec<String> = Vec::new();
    assert_eq!(events[0]["type"], "message_start");
    assert_eq!(events[events.len() - 1]["type"], "message_stop");
    for event in events {
        let index = event["index"].as_u64().map(|index| index as usize);
        match event["type"].as_str().unwrap_or_default() {
            "content_block_start" => {
                assert_eq!((open, index), (None, Some(blocks.len())));
                open = index;
                blocks.push(event["content_block"].clone());
                texts.push(String::new());
            }
            "content_block_delta" => {
                assert_eq!(open, index);
                let (at, delta) = (index.expect("an index"), &event["delta"]);
                match delta["type"].as_str().unwrap_or_default() {
                    "text_delta" => texts[at].push_str(delta["text"].as_str().expect("text")),
                    "thinking_delta" => texts[at].push_str(delta["thinking"].as_str().expect("thinking")),
                    "input_json_delta" => texts[at].push_str(delta["partial_json"].as_str().expect("json")),
                    "signature_delta" => blocks[at]["signature"] = delta["signature"].clone(),
                    other => panic!("{other}"),
                }
            }
            "content_block_stop" => assert_eq!(open.take(), index),
            _ => assert_eq!(open, None),
        }
    }
    for (block, text) in blocks.iter_mut().zip(texts) {
        match block["type"].as_str().unwrap_or_default() {
            "text" => block["text"] = text.into(),
            "thinking" if block["thinking"] == "" => block["thinking"] = text.into(),
            "tool_use" if !text.is_empty() => block["input"] = serde_json::from_str(&text).expect("JSON"),
            _ => {}
        }
    }
    (blocks, events[events.len() - 2].clone())
}

fn start(index: u32, id: &'static str) -> Event<'static> {
    Event::ToolStart { index, id: Some(id), name: "look" }
}

fn arguments(index: u32, json: &'static str) -> Event<'static> {
    Event::ToolArguments { index, json }
}

fn call(id: &str, input: &Value) -> Value {
    json!({ "type": "tool_use", "id": id, "name": "look", "input": input })
}

#[test]
fn a_stream_in_full() {
    let proof = OpaquePart {
        format: "anthropic",
        json: Bytes::from_static(br#"{"type":"thinking","thinking":"hm","signature":"sig"}"#),
        call: None,
    };
    let redacted = OpaquePart {
        format: "anthropic",
        json: Bytes::from_static(br#"{"type":"redacted_thinking","data":"xx"}"#),
        call: None,
    };
    let usage = Usage { input: Some(10), output: Some(5), cached_input: Some(4), ..Usage::default() };
    let events = run(&[
        Event::Head(Head { id: Some("msg_1".into()), ..Head::default() }),
        Event::Thinking("h"),
        Event::Thinking("m"),
        Event::Opaque(proof),
        Event::Opaque(redacted),
        Event::Text("a "),
        Event::Text("b"),
        start(0, "c1"),
        arguments(0, "{\"a\":"),
        arguments(0, "1}"),
        Event::ToolEnd { index: 0 },
        Event::Usage(usage),
        Event::Finish(FinishReason::ToolCalls),
    ]);
    assert_eq!((&events[0]["message"]["id"], &events[0]["message"]["model"]), (&json!("msg_1"), &json!("haia")));
    let (blocks, end) = message(&events);
    assert_eq!(
        blocks,
        [
            json!({ "type": "thinking", "thinking": "hm", "signature": "sig" }),
            json!({ "type": "redacted_thinking", "data": "xx" }),
            json!({ "type": "text", "text": "a b" }),
            call("c1", &json!({ "a": 1 })),
        ]
    );
    assert_eq!(end["delta"], json!({ "stop_reason": "tool_use", "stop_sequence": null }));
    assert_eq!(end["usage"], json!({ "input_tokens": 6, "output_tokens": 5, "cache_read_input_tokens": 4 }));
}

#[test]
fn calls_come_one_after_the_other_however_they_arrive() {
    let finish = Event::Finish(FinishReason::ToolCalls);
    let ends = [Event::ToolEnd { index: 0 }, Event::ToolEnd { index: 1 }];
    let both = [call("c0", &json!({ "a": 0 })), call("c1", &json!({ "a": 1 }))];
    for given in [
        // Interleaved, ended together.
        vec![start(0, "c0"), start(1, "c1"), arguments(1, "{\"a\":"), arguments(0, "{\"a\":0}"), arguments(1, "1}")],
        // One after the other, and no word of where the first ends.
        vec![start(0, "c0"), arguments(0, "{\"a\":0}"), start(1, "c1"), arguments(1, "{\"a\":1}")],
    ] {
        let given: Vec<Event<'_>> = given.into_iter().chain(ends.clone()).chain([finish.clone()]).collect();
        assert_eq!(message(&run(&given)).0, both);
        let without_ends: Vec<Event<'_>> =
            given.into_iter().filter(|event| !matches!(event, Event::ToolEnd { .. })).collect();
        assert_eq!(message(&run(&without_ends)).0, both);
    }
}

#[test]
fn text_amid_a_call_loses_nothing() {
    let (blocks, _) = message(&run(&[
        start(0, "c0"),
        arguments(0, "{\"a\":"),
        Event::Text("x"),
        Event::Thinking("t"),
        arguments(0, "0}"),
        Event::ToolEnd { index: 0 },
        Event::Text("y"),
        Event::Finish(FinishReason::ToolCalls),
    ]));
    assert_eq!(
        blocks,
        [
            call("c0", &json!({ "a": 0 })),
            json!({ "type": "text", "text": "x" }),
            json!({ "type": "thinking", "thinking": "t", "signature": "" }),
            json!({ "type": "text", "text": "y" }),
        ]
    );
}

#[test]
fn a_call_without_arguments_has_an_empty_object() {
    let (blocks, _) = message(&run(&[start(0, "c0"), Event::ToolEnd { index: 0 }, Event::Finish(FinishReason::Stop)]));
    assert_eq!(blocks, [call("c0", &json!({}))]);
}

#[test]
fn reasons_are_translated() {
    for (reason, word) in [
        (FinishReason::Stop, "end_turn"),
        (FinishReason::Length, "max_tokens"),
        (FinishReason::ContentFilter, "refusal"),
    ] {
        let (blocks, end) = message(&run(&[Event::Text("x"), Event::Finish(reason)]));
        assert_eq!((blocks.len(), &end["delta"]["stop_reason"]), (1, &json!(word)));
        assert!(end["usage"]["output_tokens"].is_null(), "unknown is not 0");
    }
    assert_eq!(message(&run(&[Event::Finish(FinishReason::Stop)])).0, [""; 0]);
}

#[test]
fn what_is_known_of_a_stop_is_told_and_nothing_is_guessed() {
    let met = |sequence: &str| Some(Stop::Sequence(sequence.into()));
    for (stopped, reason, calls, expected) in [
        (met("END"), FinishReason::Stop, false, json!({ "stop_reason": "stop_sequence", "stop_sequence": "END" })),
        // Nobody named it.
        (met("eos"), FinishReason::Stop, false, json!({ "stop_reason": "end_turn", "stop_sequence": null })),
        (None, FinishReason::Stop, false, json!({ "stop_reason": "end_turn", "stop_sequence": null })),
        (Some(Stop::Paused), FinishReason::Stop, false, json!({ "stop_reason": "pause_turn", "stop_sequence": null })),
        (met("END"), FinishReason::ToolCalls, true, json!({ "stop_reason": "tool_use", "stop_sequence": null })),
        (met("END"), FinishReason::Length, false, json!({ "stop_reason": "max_tokens", "stop_sequence": null })),
    ] {
        let mut given = vec![Event::Text("x")];
        given.extend(calls.then(|| start(0, "c0")));
        given.extend(stopped.map(Event::Stopped));
        given.push(Event::Finish(reason));
        assert_eq!(message(&run(&given)).1["delta"], expected);
        let mut whole = Whole::new(asked());
        given.into_iter().for_each(|event| whole.event(event));
        let whole: Value = serde_json::from_slice(&whole.complete().expect("whole")).expect("JSON");
        let told = json!({ "stop_reason": whole["stop_reason"], "stop_sequence": whole["stop_sequence"] });
        assert_eq!(told, expected);
    }
}

#[test]
fn waiting_is_told_by_pings() {
    let mut stream = stream();
    stream.event(Event::KeepAlive);
    assert!(!stream.has_output(), "nothing has begun");
    stream.event(Event::Status { description: "Looking", done: false });
    stream.event(Event::KeepAlive);
    let kinds: Vec<Value> = events(&mut stream).iter().map(|event| event["type"].clone()).collect();
    assert_eq!(kinds, ["message_start", "ping", "ping"]);
}

#[test]
fn a_failure_is_the_last_event() {
    let mut stream = stream();
    stream.event(Event::Text("x"));
    assert_eq!(stream.complete().expect_err("unfinished").class, FailureClass::Truncated);
    stream.fail(&Failure::new(FailureClass::Truncated, "cut").into());
    let events = events(&mut stream);
    let last = events.last().expect("events");
    assert_eq!((&last["type"], &last["error"]["message"]), (&json!("error"), &json!("cut")));
    assert_eq!(last["error"]["type"], "provider_error");
}
