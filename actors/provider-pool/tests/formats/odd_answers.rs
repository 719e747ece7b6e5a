//! Answers of Anthropic, Gemini and Ollama that no recording shows, and that servers in their clothes send.

use crate::client::Client;
use crate::kit;
use bytes::Bytes;
use contract::chat::{FinishReason, Stop};
use contract::failure::{Failure, FailureClass};
use provider_pool::formats;
use serde_json::{Value, json};

fn anthropic(events: &[Value]) -> (Client, Result<(), Failure>) {
    let stream: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    kit::feed(formats::by_kind("anthropic").expect("the format"), Client::neutral(), &[stream.into()])
}

fn ollama(lines: &[Value]) -> (Client, Result<(), Failure>) {
    let stream: String = lines.iter().map(|line| format!("{line}\n")).collect();
    kit::feed(formats::by_kind("ollama").expect("the format"), Client::neutral(), &[stream.into()])
}

fn gemini(chunks: &[Value]) -> (Client, Result<(), Failure>) {
    let format = formats::by_kind("gemini").expect("the format");
    let stream: String = chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect();
    let streamed = kit::feed(format, Client::neutral(), &[stream.into()]);
    // Without `alt=sse` the same chunks come as one array.
    let mut client = Client::neutral();
    let whole = format.decode_whole(&json!(chunks).to_string().into(), &kit::decoding(), &mut client);
    assert_eq!(client.answer, streamed.0.answer);
    assert_eq!(class(whole), class(streamed.1.clone()));
    streamed
}

/// A chunk with these parts and this finish reason.
fn candidate(parts: Value, reason: Value) -> Value {
    json!({"candidates": [{"content": {"parts": parts}, "finishReason": reason}]})
}

fn class(outcome: Result<(), Failure>) -> Option<FailureClass> {
    outcome.err().map(|failure| failure.class)
}

#[test]
fn a_call_whose_input_stands_in_its_start() {
    let (client, outcome) = anthropic(&[
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "b", "name": "g", "input": {"x": 1}}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{}"}}),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
        json!({"type": "message_stop"}),
    ]);
    assert_eq!(outcome, Ok(()));
    let calls: Vec<(&str, &str)> =
        client.answer.calls.iter().map(|call| (call.name.as_str(), call.arguments.as_str())).collect();
    assert_eq!(calls, [("f", "{\"x\":1}"), ("g", "{}")]);
    assert_eq!(client.answer.finish, Some(FinishReason::ToolCalls), "calls were made, whatever the reason says");
    assert_eq!(client.answer.head.model.as_deref(), Some("asked-model"));
}

#[test]
fn unknown_blocks_and_unsigned_thinking() {
    let (client, outcome) = anthropic(&[
        json!({"type": "message_start", "message": {"id": "m", "model": "c"}}),
        json!({"type": "hologram", "index": 0}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "h"}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "m"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "hologram"}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "not text"}}),
        json!({"type": "content_block_start", "index": 2, "content_block": {"type": "text", "text": "a"}}),
        json!({"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": "b"}}),
        json!({"type": "message_stop"}),
    ]);
    assert_eq!((outcome, client.answer.opaque.len()), (Ok(()), 0), "without a signature there is no proof");
    assert_eq!((client.answer.thinking.as_str(), client.answer.text.as_str()), ("hm", "ab"));
    assert_eq!(client.answer.finish, Some(FinishReason::Stop));
}

#[test]
fn a_stop_sequence_is_told_where_the_server_tells_it() {
    let sequence = Some(Stop::Sequence("END".into()));
    let delta = json!({"type": "message_delta", "delta": {"stop_reason": "stop_sequence", "stop_sequence": "END"}});
    let (client, outcome) = anthropic(&[delta, json!({"type": "message_stop"})]);
    assert_eq!((outcome, client.answer.stopped), (Ok(()), sequence.clone()));
    let openai = formats::by_kind("openai").expect("the format");
    for (more, expected) in [
        (json!({"stop_reason": "END"}), sequence.clone()),
        (json!({"matched_stop": "END"}), sequence),
        (json!({"stop_reason": 128_009, "matched_stop": 128_009}), None),
        (json!({"stop_reason": null}), None),
        (json!({}), None),
    ] {
        let choice = |member: &str, said: Value| {
            let mut choice = json!({"index": 0, member: said, "finish_reason": "stop"});
            more.as_object().expect("members").iter().for_each(|(name, value)| choice[name] = value.clone());
            json!({"choices": [choice]})
        };
        let stream = format!("data: {}\n\ndata: [DONE]\n\n", choice("delta", json!({"content": "a"})));
        let (client, outcome) = kit::feed(openai, Client::neutral(), &[stream.into()]);
        assert_eq!((outcome, client.answer.stopped), (Ok(()), expected.clone()), "{more}");
        let mut client = Client::neutral();
        let body = choice("message", json!({"content": "a"})).to_string();
        openai.decode_whole(&body.into(), &kit::decoding(), &mut client).expect("an answer");
        assert_eq!(client.answer.stopped, expected, "{more}, whole");
    }
}

#[test]
fn stop_reasons_in_openais_words() {
    for (reason, finish) in [
        ("end_turn", FinishReason::Stop),
        ("stop_sequence", FinishReason::Stop),
        ("pause_turn", FinishReason::Stop),
        ("tool_use", FinishReason::Stop),
        ("max_tokens", FinishReason::Length),
        ("model_context_window_exceeded", FinishReason::Length),
        ("refusal", FinishReason::ContentFilter),
        ("invented", FinishReason::Stop),
    ] {
        let delta = json!({"type": "message_delta", "delta": {"stop_reason": reason}});
        let (client, outcome) = anthropic(&[delta, json!({"type": "message_stop"})]);
        assert_eq!((outcome, client.answer.finish), (Ok(()), Some(finish)), "{reason}");
        let stopped = (reason == "pause_turn").then_some(Stop::Paused);
        assert_eq!(client.answer.stopped, stopped, "{reason}");
        let body = json!({"type": "message", "content": [], "stop_reason": reason}).to_string();
        let mut client = Client::neutral();
        let format = formats::by_kind("anthropic").expect("the format");
        format.decode_whole(&body.into(), &kit::decoding(), &mut client).expect("an answer");
        assert_eq!((client.answer.finish, client.answer.stopped), (Some(finish), stopped), "{reason}, whole");
    }
}

#[test]
fn errors_in_any_dress() {
    for event in [
        json!({"type": "error", "error": {"type": "rate_limit_error", "message": "m"}}),
        json!({"error": {"type": "rate_limit_error", "message": "m"}}),
    ] {
        assert_eq!(class(anthropic(&[event]).1), Some(FailureClass::RateLimit));
    }
    let named = Bytes::from_static(b"event: error\ndata: {\"message\":\"m\",\"code\":429}\n\n");
    let format = formats::by_kind("anthropic").expect("the format");
    assert_eq!(class(kit::feed(format, Client::neutral(), &[named]).1), Some(FailureClass::RateLimit));
    let body = Bytes::from_static(b"{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}");
    let whole = format.decode_whole(&body, &kit::decoding(), &mut Client::neutral());
    assert_eq!(class(whole), Some(FailureClass::Overloaded));
    assert_eq!(class(ollama(&[json!({"error": "x", "status": 404})]).1), Some(FailureClass::NotFound));
    assert_eq!(class(ollama(&[json!({"message": {"content": "a"}, "done": false})]).1), Some(FailureClass::Truncated));
}

#[test]
fn a_server_that_can_only_stream_is_read_where_a_whole_answer_was_asked_for() {
    let openai = concat!(
        ": OPENROUTER PROCESSING\n\n",
        "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":",
        "{\"role\":\"assistant\",\"content\":\"Hello\"},\"finish_reason\":null}]}\n\n",
        "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},",
        "\"finish_reason\":\"stop\"}]}\n\n",
        "data: [DONE]\n\n",
    );
    let anthropic = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"m\",\"usage\":{}}}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":",
        "{\"type\":\"text\",\"text\":\"Hello\"}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );
    for (kind, body) in [("openai", openai), ("anthropic", anthropic)] {
        let format = formats::by_kind(kind).expect("the format");
        let read = |body: &'static str, mut client: Client| {
            let outcome = format.decode_whole(&Bytes::from_static(body.as_bytes()), &kit::decoding(), &mut client);
            (client, outcome)
        };
        // A sink that could take a verbatim body must not be given a stream as one.
        for client in [Client::neutral(), Client::relaying(true)] {
            let (client, outcome) = read(body, client);
            assert_eq!(outcome, Ok(()), "{kind}");
            assert_eq!(
                (client.answer.text.as_str(), client.answer.finish),
                ("Hello", Some(FinishReason::Stop)),
                "{kind}"
            );
            assert!(client.relayed.is_empty() && client.whole.is_none(), "{kind}");
        }
        let cut = body.find("stop").expect("an end");
        assert_eq!(class(read(&body[..cut], Client::neutral()).1), Some(FailureClass::Truncated), "{kind}");
    }
}

#[test]
fn unknown_events_of_anthropic_are_skipped_whatever_they_hold() {
    let around = |event: Value| {
        anthropic(&[
            json!({"type": "message_start", "message": {"model": "m"}}),
            event,
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "a"}}),
            json!({"type": "message_stop"}),
        ])
    };
    for odd in [
        json!({"type": "notice", "message": "cache warmed"}),
        json!({"type": "ping", "delta": [1]}),
        json!({"type": "notice", "usage": 5, "delta": "x", "error": null}),
    ] {
        let (client, outcome) = around(odd.clone());
        assert_eq!((outcome, client.answer.text.as_str()), (Ok(()), "a"), "{odd}");
    }
    for odd in [
        json!({"type": "message_start", "message": "m"}),
        json!({"type": "message_delta", "delta": 5}),
        json!({"type": "content_block_delta", "index": 0, "delta": "x"}),
        json!({"delta": "x"}),
        json!([1]),
    ] {
        assert_eq!(class(around(odd.clone()).1), Some(FailureClass::Truncated), "{odd}");
    }
    let refused = json!({"type": "problem", "message": 5, "error": {"type": "overloaded_error", "message": "busy"}});
    assert_eq!(class(around(refused).1), Some(FailureClass::Overloaded));
}

#[test]
fn what_goes_into_the_cache_of_anthropic_is_counted_apart() {
    let counts = json!({"input_tokens": 10, "cache_creation_input_tokens": 10_000, "cache_read_input_tokens": 5, "output_tokens": 1});
    let (client, outcome) = anthropic(&[
        json!({"type": "message_start", "message": {"usage": counts}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}}),
        json!({"type": "message_stop"}),
    ]);
    assert_eq!(outcome, Ok(()));
    let usage = client.answer.usage;
    assert_eq!((usage.input, usage.cache_written, usage.cached_input), (Some(10_015), Some(10_000), Some(5)));
}

#[test]
fn calls_of_ollama_are_numbered_anew() {
    let call = |name: &str, arguments: Value| json!({"id": "", "function": {"index": 0, "name": name, "arguments": arguments}});
    let (client, outcome) = ollama(&[
        json!({"model": "m", "created_at": "2026-01-02T03:04:05Z", "message": {"tool_calls": [call("f", json!({})), call("g", json!("{\"a\":1}"))]}}),
        json!({"message": {"content": "", "tool_calls": [call("h", Value::Null)]}, "done": true, "done_reason": "stop", "eval_count": 3, "prompt_eval_cached_count": 2}),
    ]);
    assert_eq!(outcome, Ok(()));
    let calls: Vec<(&str, &str, bool)> = client
        .answer
        .calls
        .iter()
        .map(|call| (call.name.as_str(), call.arguments.as_str(), call.id.is_none()))
        .collect();
    assert_eq!(calls, [("f", "{}", true), ("g", "{\"a\":1}", true), ("h", "", true)]);
    assert_eq!(client.answer.finish, Some(FinishReason::ToolCalls));
    assert_eq!((client.answer.usage.input, client.answer.usage.cached_input), (None, Some(2)));
    assert_eq!(client.answer.head.created, Some(1_767_323_045));
}

#[test]
fn answers_without_bounds_are_refused() {
    let start = |index: u64| json!({"type": "content_block_start", "index": index, "content_block": {"type": "tool_use", "id": "a", "name": "f"}});
    let open: Vec<Value> = (0..300).map(start).collect();
    assert_eq!(class(anthropic(&open).1), Some(FailureClass::Truncated));
    let calls: Vec<Value> = (0..300).map(|_| json!({"function": {"name": "f", "arguments": {}}})).collect();
    assert_eq!(class(ollama(&[json!({"message": {"tool_calls": calls}})]).1), Some(FailureClass::Truncated));
}

#[test]
fn finish_reasons_of_gemini_in_openais_words() {
    for (reason, finish) in [
        ("STOP", FinishReason::Stop),
        ("INVENTED", FinishReason::Stop),
        ("MAX_TOKENS", FinishReason::Length),
        ("SAFETY", FinishReason::ContentFilter),
        ("RECITATION", FinishReason::ContentFilter),
        ("IMAGE_SAFETY", FinishReason::ContentFilter),
        ("MODEL_ARMOR", FinishReason::ContentFilter),
    ] {
        let (client, outcome) = gemini(&[candidate(json!([]), json!(reason))]);
        assert_eq!((outcome, client.answer.finish), (Ok(()), Some(finish)), "{reason}");
        assert_eq!(client.answer.head.model.as_deref(), Some("asked-model"));
    }
    for reason in ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MISSING_THOUGHT_SIGNATURE", "OTHER"] {
        let (client, outcome) = gemini(&[candidate(json!([{"text": "a"}]), json!(reason))]);
        let failure = outcome.expect_err("no answer");
        assert_eq!((failure.class, client.answer.finish), (FailureClass::ServerError, None));
        assert!(failure.message.contains(reason), "{failure}");
    }
    let blocked = json!({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}});
    let (client, outcome) = gemini(&[blocked]);
    assert_eq!((outcome, client.answer.finish), (Ok(()), Some(FinishReason::ContentFilter)));
    assert_eq!((client.answer.usage.input, client.answer.usage.output), (Some(3), Some(0)));
    let (_, outcome) = gemini(&[candidate(json!([{"text": "a"}]), Value::Null)]);
    assert_eq!(class(outcome), Some(FailureClass::Truncated), "no end");
}

#[test]
fn parts_of_gemini_in_any_mixture() {
    let signed = |signature: &str| json!({"text": "", "thoughtSignature": signature});
    let (client, outcome) = gemini(&[
        candidate(
            json!([{"text": "h", "thought": true}, {"executableCode": {"code": "x"}}, {"text": "a"}]),
            Value::Null,
        ),
        json!({}),
        candidate(
            json!([signed("s"), signed(""), {"functionCall": {"id": "i", "name": "f", "args": {"a": 1}}}, {"functionCall": {"name": "g"}, "thoughtSignature": "t"}]),
            json!("STOP"),
        ),
        json!({"usageMetadata": {"promptTokenCount": 5, "toolUsePromptTokenCount": 2, "thoughtsTokenCount": 3, "cachedContentTokenCount": 4}}),
    ]);
    assert_eq!(outcome, Ok(()));
    let answer = &client.answer;
    assert_eq!((answer.thinking.as_str(), answer.text.as_str()), ("h", "a"));
    let calls: Vec<(Option<&str>, &str, &str)> =
        answer.calls.iter().map(|call| (call.id.as_deref(), call.name.as_str(), call.arguments.as_str())).collect();
    assert_eq!(calls, [(Some("i"), "f", "{\"a\":1}"), (None, "g", "")]);
    let proofs: Vec<(Option<u32>, &[u8])> = answer.opaque.iter().map(|part| (part.call, part.json.as_ref())).collect();
    assert_eq!(proofs, [(None, &br#"{"thoughtSignature":"s"}"#[..]), (Some(1), br#"{"thoughtSignature":"t"}"#)]);
    assert_eq!(answer.finish, Some(FinishReason::ToolCalls));
    let usage = &answer.usage;
    assert_eq!((usage.input, usage.output, usage.cached_input, usage.reasoning), (Some(7), Some(3), Some(4), Some(3)));
    let many: Vec<Value> = (0..300).map(|_| json!({"functionCall": {"name": "f"}})).collect();
    assert_eq!(class(gemini(&[candidate(json!(many), json!("STOP"))]).1), Some(FailureClass::Truncated));
    for odd in [json!({"candidates": 5}), json!([1]), json!("x")] {
        assert!(gemini(std::slice::from_ref(&odd)).1.is_err(), "{odd}");
    }
}

#[test]
fn pictures_of_gemini_are_shown_as_markdown() {
    let picture = json!({"inlineData": {"mimeType": "image/png", "data": "AAEC"}});
    let (client, outcome) = gemini(&[candidate(json!([picture]), json!("STOP"))]);
    assert_eq!(outcome, Ok(()));
    assert_eq!(client.answer.text, "![picture](data:image/png;base64,AAEC)");
    let draft = json!({"thought": true, "inlineData": {"mimeType": "image/png", "data": "AAEC"}});
    let (client, outcome) = gemini(&[
        candidate(json!([draft, {"text": "Here "}, {"text": "it is:"}]), Value::Null),
        candidate(json!([picture, picture, {"text": "Well?"}]), Value::Null),
        candidate(json!([{"inlineData": {"mimeType": "audio/wav", "data": "AA=="}}]), json!("STOP")),
    ]);
    assert_eq!(outcome, Ok(()));
    let shown = "![picture](data:image/png;base64,AAEC)";
    let text = format!("Here it is:\n\n{shown}\n\n{shown}\n\nWell?\n\n(a file of 1 bytes was left out)");
    assert_eq!((client.answer.text, client.answer.thinking.as_str()), (text, "(a picture of 3 bytes was left out)"));
    assert_eq!(client.answer.finish, Some(FinishReason::Stop));
}
