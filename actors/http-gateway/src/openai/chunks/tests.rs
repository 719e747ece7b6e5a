//! The exact text of streams.

use super::*;
use contract::failure::FailureClass;
use runtime::world::TestIds;
use std::sync::Arc;

fn encoder(relay: bool, usage: bool) -> ChunkEncoder {
    let ids: SharedIds = Arc::new(TestIds::default());
    ChunkEncoder::new(Asked { model: "haia".into(), relay, usage, created: 1_700_000_000, ids })
}

fn text(encoder: &mut ChunkEncoder) -> String {
    let mut text = Vec::new();
    while let Some(bytes) = encoder.take() {
        text.extend_from_slice(&bytes);
    }
    String::from_utf8(text).expect("UTF-8")
}

/// The chunks without what all of them share.
fn deltas(stream: &str) -> Vec<String> {
    const SHARED: &str =
        r#"{"id":"chatcmpl-id000000","object":"chat.completion.chunk","created":1700000000,"model":"haia","choices":"#;
    let events = stream.strip_suffix("\n\n").expect("whole events").split("\n\n");
    events
        .map(|event| {
            let data = event.strip_prefix("data: ").unwrap_or(event);
            assert!(!data.contains('\n'), "one line for each event: {data}");
            data.replace(SHARED, "").replace(r#"[{"index":0,"delta":"#, "").replace(r#","finish_reason":null}]}"#, "")
        })
        .collect()
}

const ROLE: &str = r#"{"role":"assistant","content":""}"#;
const STOP: &str = r#"{},"finish_reason":"stop"}]}"#;

fn run(usage: bool, events: &[Event<'_>]) -> Vec<String> {
    let mut encoder = encoder(false, usage);
    for event in events {
        encoder.event(event.clone());
    }
    encoder.complete().expect("a whole answer");
    deltas(&text(&mut encoder))
}

#[test]
fn a_chunk_in_full() {
    let mut encoder = encoder(false, false);
    encoder.event(Event::Text("Hi \"you\"\n"));
    assert_eq!(
        text(&mut encoder),
        "data: {\"id\":\"chatcmpl-id000000\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"haia\",\
         \"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n\
         data: {\"id\":\"chatcmpl-id000000\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"haia\",\
         \"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi \\\"you\\\"\\n\"},\"finish_reason\":null}]}\n\n"
    );
}

#[test]
fn text_and_thinking() {
    assert_eq!(
        run(
            false,
            &[
                Event::Thinking("hm"),
                Event::Text("a"),
                Event::Text(""),
                Event::Text("é"),
                Event::Finish(FinishReason::Stop)
            ]
        ),
        [ROLE, r#"{"reasoning_content":"hm"}"#, r#"{"content":"a"}"#, r#"{"content":"é"}"#, STOP, "[DONE]"]
    );
}

#[test]
fn the_finish_reason_waits_for_the_end() {
    let mut encoder = encoder(false, false);
    encoder.event(Event::Text("a"));
    encoder.event(Event::Finish(FinishReason::Stop));
    let before = text(&mut encoder);
    assert!(!before.contains("\"stop\""), "{before}");
    encoder.fail(&Failure::new(FailureClass::Truncated, "cut").into());
    let after = text(&mut encoder);
    assert_eq!(
        after,
        "data: {\"error\":{\"message\":\"cut\",\"type\":\"provider_error\",\"param\":null,\"code\":\"provider_unavailable\"}}\n\n"
    );
}

#[test]
fn an_end_without_a_finish_reason_is_a_failure() {
    let mut encoder = encoder(false, false);
    encoder.event(Event::Text("a"));
    let failure = encoder.complete().expect_err("not whole");
    assert_eq!(failure.class, FailureClass::Truncated);
    assert!(!text(&mut encoder).contains("[DONE]"));
}

#[test]
fn every_finish_reason() {
    for (reason, word) in [
        (FinishReason::Stop, "stop"),
        (FinishReason::Length, "length"),
        (FinishReason::ToolCalls, "tool_calls"),
        (FinishReason::ContentFilter, "content_filter"),
    ] {
        let finish = format!("{{}},\"finish_reason\":\"{word}\"}}]}}");
        assert_eq!(run(false, &[Event::Text("a"), Event::Finish(reason)])[2], finish);
    }
    // An empty answer still has its role and its end.
    assert_eq!(run(false, &[Event::Finish(FinishReason::Stop)]), [ROLE, STOP, "[DONE]"]);
}

#[test]
fn tool_calls_carry_their_index_and_begin_with_id_and_name() {
    let found = run(
        false,
        &[
            Event::ToolStart { index: 0, id: Some("c1"), name: "look" },
            Event::ToolArguments { index: 0, json: "{\"a\":" },
            Event::ToolArguments { index: 0, json: "1}" },
            Event::ToolEnd { index: 0 },
            Event::ToolStart { index: 1, id: None, name: "now" },
            Event::ToolEnd { index: 1 },
            Event::Finish(FinishReason::Stop),
        ],
    );
    assert_eq!(
        found,
        [
            ROLE,
            r#"{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"look","arguments":""}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}"#,
            r#"{"tool_calls":[{"index":1,"id":"call_id000001","type":"function","function":{"name":"now","arguments":""}}]}"#,
            r#"{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]}"#,
            r#"{},"finish_reason":"tool_calls"}]}"#,
            "[DONE]",
        ]
    );
}

#[test]
fn a_call_that_nobody_ended_still_has_arguments() {
    let found =
        run(false, &[Event::ToolStart { index: 0, id: Some(""), name: "now" }, Event::Finish(FinishReason::Length)]);
    assert_eq!(found[2], r#"{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}"#);
    assert_eq!(found[3], r#"{},"finish_reason":"length"}]}"#);
}

#[test]
fn a_refusal_is_shown_as_content_too() {
    let found = run(false, &[Event::Refusal("no"), Event::Finish(FinishReason::Stop)]);
    assert_eq!(found[1], r#"{"content":"no","refusal":"no"}"#);
}

#[test]
fn usage_only_if_asked_for_and_only_what_is_known() {
    let counts =
        Usage { input: Some(3), output: Some(4), cached_input: Some(1), reasoning: Some(2), ..Usage::default() };
    let events = [Event::Text("a"), Event::Usage(counts), Event::Finish(FinishReason::Stop)];
    assert_eq!(run(false, &events).len(), 4);
    assert_eq!(
        run(true, &events)[3],
        r#"[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":1},"completion_tokens_details":{"reasoning_tokens":2}}}"#
    );
    let half = Usage { output: Some(4), ..Usage::default() };
    let events = [Event::Text("a"), Event::Usage(half), Event::Finish(FinishReason::Stop)];
    assert_eq!(run(true, &events)[3], r#"[],"usage":{"completion_tokens":4}}"#);
    let untold = [Event::Text("a"), Event::Finish(FinishReason::Stop)];
    assert_eq!(run(true, &untold).last().map(String::as_str), Some("[DONE]"));
    assert_eq!(run(true, &untold).len(), 4);
}

#[test]
fn the_last_counts_win() {
    let mut found = run(
        true,
        &[
            Event::Usage(Usage { input: Some(9), output: Some(1), ..Usage::default() }),
            Event::Usage(Usage { output: Some(5), ..Usage::default() }),
            Event::Finish(FinishReason::Stop),
        ],
    );
    found.pop();
    assert_eq!(
        found.last().map(String::as_str),
        Some(r#"[],"usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14}}"#)
    );
}

#[test]
fn a_status_stands_beside_an_empty_delta() {
    let found = run(
        false,
        &[Event::Status { description: "Looking", done: false }, Event::Text("a"), Event::Finish(FinishReason::Stop)],
    );
    assert_eq!(found[0], ROLE);
    assert_eq!(
        found[1],
        r#"{},"finish_reason":null}],"event":{"type":"status","data":{"description":"Looking","done":false}}}"#
    );
}

#[test]
fn a_keep_alive_is_a_comment_and_never_the_first_thing() {
    let mut encoder = encoder(false, false);
    encoder.event(Event::KeepAlive);
    encoder.event(Event::Head(Head::default()));
    encoder.event(Event::Usage(Usage::default()));
    assert!(!encoder.has_output(), "the head still waits");
    encoder.event(Event::Text("a"));
    text(&mut encoder);
    encoder.event(Event::KeepAlive);
    assert_eq!(text(&mut encoder), ": keep-alive\n\n");
}

#[test]
fn notices_come_after_the_role() {
    let mut encoder = encoder(false, false);
    encoder.notices(vec!["no tools".into()]);
    assert!(!encoder.has_output());
    encoder.event(Event::Text("a"));
    let found = deltas(&text(&mut encoder));
    assert_eq!(found[0], ROLE);
    assert!(found[1].contains(r#""description":"no tools","done":true"#), "{found:?}");
    assert_eq!(found[2], r#"{"content":"a"}"#);
}

#[test]
fn relayed_bytes_pass_untouched_and_in_order() {
    let role = Relayed { role: true, ..Relayed::default() };
    let finish = Relayed { finish: true, ..Relayed::default() };
    let mut encoder = encoder(true, false);
    assert!(encoder.relays());
    let first = Bytes::from_static(b"data: {\"x\":1}\n\n");
    encoder.relay(first.clone(), role);
    let taken = encoder.take().expect("bytes");
    assert_eq!(taken.as_ptr(), first.as_ptr(), "not copied");
    encoder.relay(Bytes::from_static(b"data: a\n\n"), Relayed { content: true, ..Relayed::default() });
    encoder.relay(Bytes::from_static(b"data: b\n\n"), finish);
    encoder.complete().expect("whole");
    assert_eq!(text(&mut encoder), "data: a\n\ndata: b\n\ndata: [DONE]\n\n");
}

#[test]
fn what_is_mended_among_relayed_chunks_keeps_their_identity() {
    let mut encoder = encoder(true, true);
    encoder.event(Event::Head(Head { id: Some("p-1".into()), model: Some("gpt".into()), created: Some(7) }));
    encoder.relay(Bytes::from_static(b"data: a\n\n"), Relayed { content: true, ..Relayed::default() });
    encoder.event(Event::Usage(Usage { input: Some(1), output: Some(1), ..Usage::default() }));
    encoder.event(Event::Finish(FinishReason::Stop));
    encoder.complete().expect("whole");
    let found = text(&mut encoder);
    let lines: Vec<&str> = found.split("\n\n").collect();
    assert!(lines[0].contains(r#""id":"p-1""#) && lines[0].contains(r#""role":"assistant""#), "{found}");
    assert_eq!(lines[1], "data: a");
    for at in [0, 2, 3] {
        assert!(
            lines[at].starts_with(r#"data: {"id":"p-1","object":"chat.completion.chunk","created":7,"model":"gpt","#),
            "{found}"
        );
    }
    assert!(lines[2].contains(r#""finish_reason":"stop""#) && lines[3].contains(r#""choices":[],"usage""#), "{found}");
    assert_eq!(lines[4], "data: [DONE]");
}

#[test]
fn a_translated_answer_keeps_its_providers_id_and_the_asked_model() {
    let mut encoder = encoder(true, false);
    encoder.event(Event::Head(Head { id: Some("msg_1".into()), model: Some("claude".into()), created: None }));
    encoder.event(Event::Text("a"));
    assert!(
        text(&mut encoder).starts_with(
            r#"data: {"id":"msg_1","object":"chat.completion.chunk","created":1700000000,"model":"haia","#
        )
    );
}

#[test]
fn a_mended_chunk_in_front_of_relayed_ones_has_their_identity() {
    let mut encoder = encoder(true, false);
    encoder.event(Event::Head(Head { id: Some("p-1".into()), model: Some("gpt".into()), created: Some(7) }));
    encoder.event(Event::Text("a"));
    encoder.relay(Bytes::from_static(b"data: b\n\n"), Relayed { content: true, ..Relayed::default() });
    let found = text(&mut encoder);
    assert!(
        found.starts_with(r#"data: {"id":"p-1","object":"chat.completion.chunk","created":7,"model":"gpt","#),
        "{found}"
    );
    assert_eq!(found.matches("\"role\"").count(), 1);
    assert!(found.ends_with("data: b\n\n"));
}

#[test]
fn relayed_usage_is_not_told_twice() {
    let mut encoder = encoder(true, true);
    encoder.relay(Bytes::from_static(b"data: a\n\n"), Relayed { role: true, finish: true, usage: true, content: true });
    encoder.event(Event::Usage(Usage { input: Some(1), ..Usage::default() }));
    encoder.complete().expect("whole");
    assert_eq!(text(&mut encoder), "data: a\n\ndata: [DONE]\n\n");
}
