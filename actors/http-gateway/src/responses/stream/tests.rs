//! Responses from events to what a client reads out of them.

use super::*;
use contract::failure::FailureClass;
use runtime::world::TestIds;
use serde_json::Map;
use std::sync::Arc;

fn asked() -> Asked {
    let echo: Map<String, Value> = [("instructions".to_owned(), json!("Be brief."))].into_iter().collect();
    Asked { model: "haia".into(), echo, created: 1_700_000_000, ids: Arc::<TestIds>::default() }
}

/// The events of a stream: numbered without gaps, each with its name.
fn events(response: &mut Response) -> Vec<Value> {
    let text = String::from_utf8(response.take().unwrap_or_default().to_vec()).expect("UTF-8");
    let events = text.split_terminator("\n\n").filter(|event| !event.starts_with(':'));
    events
        .enumerate()
        .map(|(at, event)| {
            let (name, data) = event.split_once('\n').expect("two lines");
            let data: Value = serde_json::from_str(data.strip_prefix("data: ").expect("data")).expect("JSON");
            assert_eq!(name, format!("event: {}", data["type"].as_str().unwrap_or_default()));
            assert_eq!(data["sequence_number"], at);
            data
        })
        .collect()
}

fn full() -> Vec<Event<'static>> {
    vec![
        Event::Head(Head { id: Some("x".into()), created: Some(7), ..Head::default() }),
        Event::Thinking("h"),
        Event::Thinking("m"),
        Event::Text("a "),
        Event::Text("b"),
        Event::Refusal("no"),
        Event::ToolStart { index: 0, id: Some("c0"), name: "look" },
        Event::ToolArguments { index: 0, json: "{\"a\":" },
        Event::ToolStart { index: 1, id: None, name: "now" },
        Event::ToolArguments { index: 0, json: "1}" },
        Event::ToolEnd { index: 0 },
        Event::Usage(Usage { input: Some(3), output: Some(4), ..Usage::default() }),
        Event::Finish(FinishReason::ToolCalls),
    ]
}

fn streamed(given: &[Event<'_>]) -> Vec<Value> {
    let mut response = Response::streamed(asked());
    given.iter().for_each(|event| response.event(event.clone()));
    StreamEncoder::complete(&mut response).expect("whole");
    events(&mut response)
}

fn whole(given: &[Event<'_>]) -> Value {
    let mut response = Response::whole(asked());
    given.iter().for_each(|event| response.event(event.clone()));
    serde_json::from_slice(&WholeEncoder::complete(response).expect("whole")).expect("JSON")
}

#[test]
fn a_response_in_full() {
    let response = whole(&full());
    assert_eq!((&response["object"], &response["status"]), (&json!("response"), &json!("completed")));
    assert_eq!((&response["model"], &response["created_at"]), (&json!("haia"), &json!(7)));
    assert_eq!((&response["instructions"], &response["store"]), (&json!("Be brief."), &json!(false)));
    assert_eq!(
        response["usage"],
        json!({
            "input_tokens": 3, "input_tokens_details": { "cached_tokens": 0 }, "output_tokens": 4,
            "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": 7,
        })
    );
    let items = response["output"].as_array().expect("items");
    let kinds: Vec<_> = items.iter().map(|item| item["type"].as_str().unwrap_or_default()).collect();
    assert_eq!(kinds, ["reasoning", "message", "function_call", "function_call"]);
    assert_eq!(items[0]["summary"], json!([{ "type": "summary_text", "text": "hm" }]));
    let parts = &items[1]["content"];
    assert_eq!((&parts[0]["text"], &parts[1]["refusal"]), (&json!("a b"), &json!("no")));
    assert_eq!((&items[2]["call_id"], &items[2]["arguments"]), (&json!("c0"), &json!("{\"a\":1}")));
    assert!(items[3]["call_id"].as_str().is_some_and(|id| id.starts_with("call_")), "{}", items[3]);
    assert_eq!(items[3]["arguments"], "{}");
}

#[test]
fn a_stream_tells_the_same_piece_by_piece() {
    let events = streamed(&full());
    assert_eq!((&events[0]["type"], &events[1]["type"]), (&json!("response.created"), &json!("response.in_progress")));
    assert_eq!(events[0]["response"]["status"], "in_progress");
    let last = events.last().expect("events");
    assert_eq!(last["type"], "response.completed");
    let response = &last["response"];
    assert_eq!(response["output"], whole(&full())["output"]);
    // Every item is added once, done once, and between the two its deltas join to what it is in the end.
    for (at, item) in response["output"].as_array().expect("items").iter().enumerate() {
        let own: Vec<&Value> = events.iter().filter(|event| event["output_index"] == at).collect();
        let of = |kind: &str| own.iter().filter(|event| event["type"] == kind).collect::<Vec<_>>();
        assert_eq!((of("response.output_item.added").len(), of("response.output_item.done").len()), (1, 1));
        assert_eq!(own[0]["type"], "response.output_item.added");
        let done = own.last().expect("events");
        assert_eq!((&done["type"], &done["item"]), (&json!("response.output_item.done"), item));
        assert!(own.iter().all(|event| event["item_id"].is_null() || event["item_id"] == item["id"]));
        let joined = |kind: &str| -> String { of(kind).iter().filter_map(|event| event["delta"].as_str()).collect() };
        match item["type"].as_str().unwrap_or_default() {
            "reasoning" => {
                assert_eq!(joined("response.reasoning_summary_text.delta"), item["summary"][0]["text"]);
                assert_eq!(of("response.reasoning_summary_part.done").len(), 1);
            }
            "message" => {
                assert_eq!(joined("response.output_text.delta"), item["content"][0]["text"]);
                assert_eq!(joined("response.refusal.delta"), item["content"][1]["refusal"]);
                for kind in ["response.content_part.added", "response.content_part.done"] {
                    let indexes: Vec<_> = of(kind).iter().map(|event| event["content_index"].as_u64()).collect();
                    assert_eq!(indexes, [Some(0), Some(1)], "{kind}");
                }
            }
            _ => {
                let told = joined("response.function_call_arguments.delta");
                assert_eq!(if told.is_empty() { "{}".to_owned() } else { told }, item["arguments"]);
                assert_eq!(of("response.function_call_arguments.done")[0]["arguments"], item["arguments"]);
            }
        }
    }
}

#[test]
fn usage_is_whole_numbers_or_null() {
    let usage = |usage: Usage| {
        let given = [Event::Text("a"), Event::Usage(usage), Event::Finish(FinishReason::Stop)];
        let told = whole(&given)["usage"].clone();
        assert_eq!(streamed(&given).last().expect("events")["response"]["usage"], told);
        told
    };
    let known = Usage { input: Some(3), output: Some(4), ..Usage::default() };
    let told = usage(Usage { cached_input: Some(2), reasoning: Some(1), ..known });
    assert_eq!((&told["input_tokens_details"]["cached_tokens"], &told["total_tokens"]), (&json!(2), &json!(7)));
    assert_eq!(told["output_tokens_details"]["reasoning_tokens"], 1);
    for half in [Usage { input: None, ..known }, Usage { output: None, ..known }] {
        assert_eq!(usage(half), Value::Null, "half of it is not it");
    }
}

#[test]
fn a_limit_or_a_filter_leaves_it_incomplete() {
    for (reason, word) in [(FinishReason::Length, "max_output_tokens"), (FinishReason::ContentFilter, "content_filter")]
    {
        let given = [Event::Text("a"), Event::Finish(reason)];
        let response = whole(&given);
        assert_eq!(
            (&response["status"], &response["incomplete_details"]["reason"]),
            (&json!("incomplete"), &json!(word))
        );
        assert_eq!(response["output"][0]["status"], "incomplete");
        assert_eq!(streamed(&given).last().expect("events")["type"], "response.incomplete");
        assert!(response["usage"].is_null(), "unknown is not 0");
    }
}

#[test]
fn waiting_is_told_by_comments_and_a_failure_by_the_last_event() {
    let mut response = Response::streamed(asked());
    response.event(Event::KeepAlive);
    assert!(!response.has_output(), "nothing has begun");
    response.event(Event::Status { description: "Looking", done: false });
    let text = String::from_utf8(response.take().expect("begun").to_vec()).expect("UTF-8");
    assert!(text.starts_with("event: response.created\n") && text.ends_with("\n\n: keep-alive\n\n"), "{text}");
    assert_eq!(StreamEncoder::complete(&mut response).expect_err("unfinished").class, FailureClass::Truncated);
    response.fail(&Failure::new(FailureClass::Timeout, "late").into());
    let text = String::from_utf8(response.take().expect("an event").to_vec()).expect("UTF-8");
    let data: Value =
        serde_json::from_str(text.trim().strip_prefix("event: error\ndata: ").expect("an error")).expect("JSON");
    assert_eq!((&data["code"], &data["error"]["code"]), (&json!("provider_timeout"), &json!("provider_timeout")));
    assert_eq!((&data["message"], &data["sequence_number"]), (&json!("late"), &json!(2)));
}
