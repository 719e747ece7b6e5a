//! Answers of servers that speak OpenAI's format in their own way, and that no recording shows.

use crate::client::Client;
use crate::kit;
use bytes::Bytes;
use contract::chat::FinishReason;
use contract::failure::{Failure, FailureClass};
use provider_pool::formats::{self, Format};
use serde_json::{Value, json};
use std::time::Duration;

fn openai() -> &'static dyn Format {
    formats::by_kind("openai").expect("the format")
}

/// What is right but for its choice.
fn around(object: &str, choice: Value) -> Value {
    json!({"id": "c1", "object": object, "created": 7, "model": "m", "choices": [choice]})
}

fn chunk(choice: Value) -> Value {
    around("chat.completion.chunk", choice)
}

fn delta(delta: Value) -> Value {
    chunk(json!({"index": 0, "delta": delta, "finish_reason": null}))
}

fn end(reason: Value) -> Value {
    chunk(json!({"index": 0, "delta": {}, "finish_reason": reason}))
}

/// Reads the chunks as one stream, relayed and not: both come to the same.
fn streamed(chunks: &[Value]) -> (Client, Result<(), Failure>) {
    let lines: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    let stream = Bytes::from(lines + "data: [DONE]\n\n");
    let neutral = kit::feed(openai(), Client::neutral(), std::slice::from_ref(&stream));
    let relayed = kit::feed(openai(), Client::relaying(true), &[stream]);
    assert_eq!((&neutral.0.answer.text, &neutral.1), (&relayed.0.answer.text, &relayed.1), "{chunks:?}");
    assert_eq!(neutral.0.answer.finish, relayed.0.answer.finish, "{chunks:?}");
    assert_eq!(neutral.0.answer.usage, relayed.0.answer.usage, "{chunks:?}");
    relayed
}

/// Reads a whole answer, likewise.
fn whole(body: &Value) -> (Client, Result<(), Failure>) {
    let body = Bytes::from(body.to_string());
    let read = |mut client: Client| {
        let outcome = openai().decode_whole(&body, &kit::decoding(), &mut client);
        (client, outcome)
    };
    let (neutral, relayed) = (read(Client::neutral()), read(Client::relaying(true)));
    assert_eq!((&neutral.0.answer.text, &neutral.1), (&relayed.0.answer.text, &relayed.1), "{body:?}");
    assert_eq!(neutral.0.answer.finish, relayed.0.answer.finish, "{body:?}");
    relayed
}

fn calls(client: &Client) -> Vec<(&str, &str, &str)> {
    let calls = client.answer.calls.iter();
    calls.map(|call| (call.id.as_deref().unwrap_or_default(), call.name.as_str(), call.arguments.as_str())).collect()
}

#[test]
fn finish_reasons_in_every_servers_words() {
    let text = || json!({"role": "assistant", "content": "half an ans"});
    for (word, finish) in [
        ("stop", FinishReason::Stop),
        ("eos", FinishReason::Stop),
        ("invented", FinishReason::Stop),
        ("invented: more", FinishReason::Stop),
        ("length", FinishReason::Length),
        ("MAX_TOKENS", FinishReason::Length),
        ("model_context_window_exceeded", FinishReason::Length),
        ("content_filter", FinishReason::ContentFilter),
        ("content_filter: PROHIBITED_CONTENT", FinishReason::ContentFilter),
        ("sensitive", FinishReason::ContentFilter),
    ] {
        let (client, outcome) = streamed(&[delta(text()), end(json!(word))]);
        assert_eq!((outcome, client.answer.finish), (Ok(()), Some(finish)), "{word}");
        let (client, outcome) =
            whole(&around("chat.completion", json!({"index": 0, "message": text(), "finish_reason": word})));
        assert_eq!((outcome, client.answer.finish), (Ok(()), Some(finish)), "{word}, whole");
        assert_eq!(client.answer.text, "half an ans", "{word}, whole");
    }
    for (word, told) in [
        ("error", "does not explain"),
        ("insufficient_system_resource", "insufficient_system_resource"),
        ("network_error", "network_error"),
        ("abort", "abort"),
        ("aborted", "aborted"),
        ("malformed_function_call", "malformed_function_call"),
        ("function_call_filter: MALFORMED_FUNCTION_CALL", "MALFORMED_FUNCTION_CALL"),
        ("inference_error", "inference_error"),
    ] {
        let mut last = end(json!(word));
        last["choices"][0]["usage"] = json!({"prompt_tokens": 3, "completion_tokens": 2});
        let (client, outcome) = streamed(&[delta(text()), last]);
        let failure = outcome.expect_err(word);
        assert_eq!((failure.class, client.answer.finish), (FailureClass::ServerError, None), "{word}");
        assert!(failure.message.contains(told) && failure.class.may_retry(), "{failure}");
        assert_eq!((client.answer.text.as_str(), client.answer.usage.output), ("half an ans", Some(2)), "{word}");
        let body = around("chat.completion", json!({"index": 0, "message": text(), "finish_reason": word}));
        let (client, outcome) = whole(&body);
        assert_eq!((outcome, client.answer.finish), (Err(failure), None), "{word}, whole");
    }
}

#[test]
fn an_error_within_a_choice_is_read_like_one_beside_it() {
    let message = "Upstream idle timeout exceeded";
    for (error, class, told) in [
        (json!({"code": 502, "message": message}), FailureClass::ServerError, message),
        (json!({"code": 400, "message": "prompt is too long"}), FailureClass::ContextLength, "prompt is too long"),
        (json!("out of memory"), FailureClass::ServerError, "out of memory"),
    ] {
        for reason in [Value::Null, json!("error"), json!("stop")] {
            let said = |member: &str| json!({"index": 0, member: {"role": "assistant", "content": ""}, "finish_reason": reason, "error": error});
            let beside = json!({"error": error});
            for (outcome, reference) in [
                (streamed(&[chunk(said("delta"))]).1, streamed(std::slice::from_ref(&beside)).1),
                (whole(&around("chat.completion", said("message"))).1, whole(&beside).1),
            ] {
                let failure = outcome.clone().expect_err(told);
                assert_eq!((failure.class, failure.message.as_ref()), (class, told), "{reason}");
                assert_eq!(outcome, reference, "{reason}");
            }
        }
    }
    let limited = json!({"code": 429, "message": "limited", "details": [{"retryDelay": "7s"}]});
    let (client, outcome) = streamed(&[
        delta(json!({"role": "assistant", "content": "a"})),
        chunk(json!({"index": 0, "delta": {"content": "b"}, "finish_reason": "error", "error": limited})),
    ]);
    let failure = outcome.expect_err("limited");
    assert_eq!((failure.class, failure.retry_after), (FailureClass::RateLimit, Some(Duration::from_secs(7))));
    assert_eq!((client.answer.text.as_str(), client.answer.finish), ("ab", None), "what came before it is told");
}

#[test]
fn an_error_that_says_nothing_is_none() {
    for error in [json!(null), json!({}), json!(""), json!(false), json!({"code": null, "message": ""})] {
        let said = |member: &str, reason: Value| json!({"index": 0, member: {"role": "assistant", "content": "a"}, "finish_reason": reason, "error": error});
        let mut last = end(json!("stop"));
        if !error.is_null() {
            last["error"] = error.clone();
        }
        let (client, outcome) = streamed(&[chunk(said("delta", Value::Null)), last]);
        assert_eq!((outcome, client.answer.finish), (Ok(()), Some(FinishReason::Stop)), "{error}");
        assert_eq!(client.answer.text, "a", "{error}");
        let within = around("chat.completion", said("message", json!("stop")));
        let mut beside = within.clone();
        beside["choices"][0]["error"] = Value::Null;
        beside["error"] = error.clone();
        for body in [within, beside] {
            let (client, outcome) = whole(&body);
            assert_eq!((outcome, client.answer.text.as_str()), (Ok(()), "a"), "{body}");
            assert_eq!(client.whole.is_some(), error.is_null(), "{body}: clients need not see it");
        }
        let (_, outcome) = streamed(&[chunk(said("delta", json!("error")))]);
        assert_eq!(outcome.expect_err("failed").class, FailureClass::ServerError, "{error}");
    }
    for alone in [json!({}), json!(""), json!("x")] {
        let (_, outcome) = streamed(&[json!({"error": alone})]);
        assert_eq!(outcome.expect_err("an error").class, FailureClass::ServerError, "{alone}");
    }
}

#[test]
fn errors_of_the_old_form_are_errors() {
    for (error, class, message) in [
        (
            json!({"object": "error", "message": "out of memory", "type": "internal_error", "code": 500}),
            FailureClass::ServerError,
            "out of memory",
        ),
        (
            json!({"object": "error", "message": "no such field", "type": "BadRequestError", "code": 400}),
            FailureClass::InvalidRequest,
            "no such field",
        ),
        (
            json!({"id": "c1", "choices": null, "error_type": "rate_limit_error", "error_message": "slowly"}),
            FailureClass::RateLimit,
            "slowly",
        ),
        (json!({"error_message": "busy", "error_code": 503}), FailureClass::ServerError, "busy"),
    ] {
        for outcome in [streamed(std::slice::from_ref(&error)).1, whole(&error).1] {
            let failure = outcome.expect_err(message);
            assert_eq!((failure.class, failure.message.as_ref()), (class, message), "{error}");
        }
    }
    let mut hollow = delta(json!({"role": "assistant", "content": "a"}));
    (hollow["error_type"], hollow["error_message"]) = (json!(null), json!(""));
    let (client, outcome) = streamed(&[hollow, end(json!("stop"))]);
    assert_eq!((outcome, client.answer.text.as_str()), (Ok(()), "a"));
}

#[test]
fn a_message_in_place_of_a_delta_is_read() {
    let message = |object: &str, text: &str, reason: Value| {
        let message = json!({"role": "assistant", "content": text});
        around(object, json!({"index": 0, "message": message, "finish_reason": reason}))
    };
    let (part, all) = ("chat.completion.chunk", "chat.completion");
    let role = || delta(json!({"role": "assistant", "content": "Hel"}));
    for (what, chunks, text) in [
        ("messages alone", vec![message(part, "Hel", Value::Null), message(part, "lo", json!("stop"))], "Hello"),
        ("of another object", vec![message(all, "Hel", Value::Null), message(all, "lo", json!("stop"))], "Hello"),
        ("after a delta", vec![role(), message(part, "lo", json!("stop"))], "Hello"),
        ("the whole answer again", vec![role(), message(all, "Hel", json!("stop"))], "Hel"),
    ] {
        let (client, outcome) = streamed(&chunks);
        assert_eq!((outcome, client.answer.text.as_str()), (Ok(()), text), "{what}");
        assert_eq!(client.answer.finish, Some(FinishReason::Stop), "{what}");
    }
    let call = json!([{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]);
    let message = json!({"role": "assistant", "content": null, "tool_calls": call});
    let (client, outcome) = streamed(&[chunk(json!({"index": 0, "message": message, "finish_reason": "tool_calls"}))]);
    assert_eq!((outcome, calls(&client)), (Ok(()), vec![("a", "f", "{}")]));
    for odd in [json!("lo"), json!(["lo"]), json!(7)] {
        let last = chunk(json!({"index": 0, "message": odd, "finish_reason": "stop"}));
        let (client, outcome) = streamed(&[role(), last]);
        assert_eq!((outcome, client.answer.text.as_str()), (Ok(()), "Hel"), "{odd}");
    }
    let said = json!({"role": "assistant", "content": "a"});
    let (client, outcome) = whole(&around(all, json!({"index": 0, "delta": said, "finish_reason": "stop"})));
    assert_eq!((outcome, client.answer.text.as_str(), client.whole), (Ok(()), "a", None), "and the other way round");
}

#[test]
fn interleaved_calls_stay_whole() {
    let call = |index: Value, id: Value, name: Value, arguments: &str| {
        let mut call =
            json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
        for (member, value) in [("index", index), ("id", id)] {
            if value.is_null() {
                call.as_object_mut().expect("an object").remove(member);
            }
        }
        if name.is_null() {
            call["function"].as_object_mut().expect("an object").remove("name");
        }
        delta(json!({"tool_calls": [call]}))
    };
    let role = || delta(json!({"role": "assistant", "content": null}));
    let (a, b, none) = (json!("a"), json!("b"), Value::Null);
    let wanted = vec![("a", "f", "{\"x\":1}"), ("b", "g", "{\"y\":2}")];
    for index in [json!(null), json!(0), json!(7)] {
        let piece = |id: &Value, name: &str, json: &str| {
            let name = if name.is_empty() { Value::Null } else { json!(name) };
            call(index.clone(), id.clone(), name, json)
        };
        let chunks = [
            role(),
            piece(&a, "f", "{\"x\""),
            piece(&b, "g", "{\"y\""),
            piece(&a, "", ":1}"),
            piece(&b, "", ":2}"),
            end(json!("tool_calls")),
        ];
        let (client, outcome) = streamed(&chunks);
        assert_eq!((outcome, calls(&client)), (Ok(()), wanted.clone()), "{index}");
    }
    // What has no id goes on with the last call of that index.
    let zero = json!(0);
    let (client, outcome) = streamed(&[
        role(),
        call(zero.clone(), a, json!("f"), "{\"x\":1}"),
        call(zero.clone(), b, json!("g"), "{\"y\""),
        call(zero, none.clone(), none, ":2}"),
        end(json!("tool_calls")),
    ]);
    assert_eq!((outcome, calls(&client)), (Ok(()), wanted));
}

#[test]
fn a_byte_order_mark_before_a_whole_answer_is_skipped() {
    let openai = around(
        "chat.completion",
        json!({"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}),
    );
    let anthropic =
        json!({"type": "message", "content": [{"type": "text", "text": "Hello"}], "stop_reason": "end_turn"});
    let gemini = json!({"candidates": [{"content": {"parts": [{"text": "Hello"}]}, "finishReason": "STOP"}]});
    let ollama = json!({"model": "m", "message": {"role": "assistant", "content": "Hello"}, "done": true, "done_reason": "stop"});
    for (kind, body) in [
        ("openai", &openai),
        ("openrouter", &openai),
        ("anthropic", &anthropic),
        ("gemini", &gemini),
        ("ollama", &ollama),
    ] {
        let format = formats::by_kind(kind).expect("the format");
        for mut client in [Client::neutral(), Client::relaying(true)] {
            let marked = Bytes::from(format!("\u{feff}{body}"));
            format.decode_whole(&marked, &kit::decoding(), &mut client).expect(kind);
            assert_eq!(
                (client.answer.text.as_str(), client.answer.finish),
                ("Hello", Some(FinishReason::Stop)),
                "{kind}"
            );
            assert!(client.whole.is_none_or(|relayed| relayed == body.to_string()), "{kind}: the mark is not relayed");
        }
    }
}

#[test]
fn a_byte_order_mark_before_a_piece_of_a_stream_is_not_relayed() {
    let pieces = [delta(json!({"role": "assistant", "content": "a"})), end(json!("stop"))];
    let stream: String = pieces.iter().map(|piece| format!("data: \u{feff}{piece}\n\n")).collect();
    let (client, outcome) = kit::feed(openai(), Client::relaying(true), &[(stream + "data: [DONE]\n\n").into()]);
    assert_eq!((outcome, client.answer.text.as_str()), (Ok(()), "a"));
    assert!(client.relayed.is_empty(), "clients would not read it");
}

#[test]
fn counts_within_the_choice_are_read() {
    let usage = |output: u64| json!({"prompt_tokens": 3, "completion_tokens": output});
    let choice = |member: &str| json!({"index": 0, member: {"role": "assistant", "content": "a"}, "finish_reason": null, "usage": usage(2)});
    let ended =
        |member: &str| json!({"index": 0, member: {"role": "assistant"}, "finish_reason": "stop", "usage": usage(5)});
    let (client, outcome) = streamed(&[chunk(choice("delta")), chunk(ended("delta"))]);
    assert_eq!((outcome, client.answer.usage.input, client.answer.usage.output), (Ok(()), Some(3), Some(5)));
    assert_eq!(client.neutral, ["Usage"; 0], "nothing needed mending");
    let mut body = around("chat.completion", ended("message"));
    assert_eq!(whole(&body).0.answer.usage.output, Some(5));
    // One beside the choices goes before.
    body["usage"] = usage(9);
    assert_eq!(whole(&body).0.answer.usage.output, Some(9));
    let mut last = chunk(ended("delta"));
    last["usage"] = usage(9);
    assert_eq!(streamed(&[chunk(choice("delta")), last]).0.answer.usage.output, Some(9));
}

#[test]
fn a_null_among_calls_is_skipped() {
    let call = json!({"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let role = || delta(json!({"role": "assistant", "content": "b", "tool_calls": [null]}));
    let (client, outcome) = streamed(&[role(), end(json!("stop"))]);
    assert_eq!((outcome, client.answer.text.as_str(), client.answer.calls.len()), (Ok(()), "b", 0));
    assert!(!String::from_utf8_lossy(&client.relayed).contains("[null]"), "clients need not see it");
    let (client, outcome) = streamed(&[role(), delta(json!({"tool_calls": [null, call]})), end(json!("stop"))]);
    assert_eq!((outcome, calls(&client)), (Ok(()), vec![("a", "f", "{}")]));
    for (sent, finish) in [(json!([null]), FinishReason::Stop), (json!([call, null]), FinishReason::ToolCalls)] {
        let message = json!({"role": "assistant", "content": "b", "tool_calls": sent});
        let (client, outcome) =
            whole(&around("chat.completion", json!({"index": 0, "message": message, "finish_reason": "stop"})));
        assert_eq!((outcome, client.answer.finish, client.whole), (Ok(()), Some(finish), None), "{sent}");
    }
}
