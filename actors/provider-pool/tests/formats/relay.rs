//! What an OpenAI client gets verbatim, and what is mended for it.

use crate::client::Client;
use crate::kit;
use bytes::Bytes;
use contract::chat::{Event, EventSink, FinishReason, Relayed};
use contract::failure::FailureClass;
use provider_pool::formats::{self, Format, MAX_EVENT};
use serde_json::{Value, json};

fn openai() -> &'static dyn Format {
    formats::by_kind("openai").expect("the format")
}

/// A right chunk around a choice.
fn chunk(delta: Value, finish: Value) -> Value {
    json!({"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
}

fn line(chunk: &Value) -> String {
    format!("data: {chunk}\n\n")
}

/// With thinking, so that what is kept beside calls is checked with every stream here that has some.
fn role() -> String {
    line(&chunk(json!({"role": "assistant", "content": "", "reasoning_content": "So."}), Value::Null))
}

fn word(text: &str) -> String {
    line(&chunk(json!({"content": text}), Value::Null))
}

fn finish(reason: &str) -> String {
    line(&chunk(json!({}), json!(reason)))
}

fn calls(calls: Value) -> String {
    line(&chunk(json!({"tool_calls": calls}), Value::Null))
}

const USAGE: &str = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn relayed(stream: &str) -> Client {
    let (client, outcome) = kit::feed(openai(), Client::relaying(true), &[Bytes::copy_from_slice(stream.as_bytes())]);
    assert_eq!(outcome, Ok(()), "{stream}");
    client
}

#[test]
fn clean_recordings_are_relayed_byte_for_byte() {
    for name in [
        "oa-stream-text",
        "oa-stream-tool",
        "oa-stream-after-tool",
        "oa-stream-parallel-tools",
        "vl-stream",
        "oq-length",
        "az-stream",
        "oq-llamacpp-timings",
    ] {
        let exchange = kit::exchanges().into_iter().find(|exchange| exchange.name == name).expect(name);
        let body = std::str::from_utf8(&exchange.body).expect("text");
        for usage in [false, true] {
            let wanted: String = body
                .split_inclusive("\n\n")
                .filter(|event| {
                    let is_usage = event.contains("\"choices\":[]") || event.contains("\"choices\": []");
                    // llama.cpp's usage chunk has another id; Azure's first chunk has none.
                    let keeps = usage && !name.starts_with("az") && !name.ends_with("timings");
                    !event.contains("[DONE]") && (keeps || !is_usage)
                })
                .collect();
            let (client, outcome) = exchange.feed(Client::relaying(usage), std::slice::from_ref(&exchange.body));
            assert_eq!(outcome, Ok(()), "{name}");
            assert_eq!(String::from_utf8(client.relayed).expect("text"), wanted, "{name}");
            assert_eq!(client.neutral, ["Usage"; 0], "{name}: nothing needed mending");
            assert_eq!(client.relays_made, 1, "{name}: one piece in, one piece out");
        }
    }
}

#[test]
fn relayed_bytes_are_slices_of_what_came() {
    #[derive(Default)]
    struct Slices(Vec<(Bytes, Relayed)>);
    impl EventSink for Slices {
        fn event(&mut self, _: Event<'_>) {}
        fn relay(&mut self, bytes: Bytes, holds: Relayed) {
            self.0.push((bytes, holds));
        }
        fn relays(&self) -> bool {
            true
        }
    }
    let pieces = [role() + &word("a") + &word("b"), word("c"), finish("stop") + DONE].map(Bytes::from);
    let mut decoder = openai().stream_decoder(&kit::decoding());
    let mut sink = Slices::default();
    for piece in &pieces {
        decoder.feed(piece, &mut sink).expect("clean");
    }
    assert!(decoder.is_complete());
    let content = Relayed { content: true, ..Relayed::default() };
    let wanted = [
        (pieces[0].clone(), Relayed { role: true, ..content }),
        (pieces[1].clone(), content),
        (pieces[2].slice(..pieces[2].len() - DONE.len()), Relayed { finish: true, ..Relayed::default() }),
    ];
    assert_eq!(sink.0, wanted);
    for ((got, _), piece) in sink.0.iter().zip(&pieces) {
        assert_eq!(got.as_ptr(), piece.as_ptr(), "no copy");
    }
}

#[test]
fn what_is_wrong_is_mended_and_the_rest_relayed() {
    let first = r#"{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}"#;
    let first: Value = serde_json::from_str(first).expect("JSON");
    let with = |pointer: &str, value: Value| {
        let mut call = first.clone();
        *call.pointer_mut(pointer).expect("a member") = value;
        calls(json!([call]))
    };
    let spoiled = |member: &str, value: Value| {
        let mut spoiled = chunk(json!({"content": "b"}), Value::Null);
        spoiled[member] = value;
        line(&spoiled)
    };
    let delta = |delta: Value| line(&chunk(delta, Value::Null));
    let begun = with("/function/arguments", json!("{\"a\":"));
    let piece = |function: Value| calls(json!([{"index": 0, "function": function}]));
    let call_events = ["ToolStart", "ToolArguments", "ToolEnd", "Finish"];
    for (what, middle, end, neutral, bits) in [
        ("nothing", word("b"), finish("stop"), &[][..], 4),
        ("CRLF", word("b").replace('\n', "\r\n"), finish("stop"), &[], 4),
        ("no space", word("b").replace("data: ", "data:"), finish("stop"), &[], 4),
        ("an event line", format!("event: x\n{}", word("b")), finish("stop"), &[], 4),
        ("an id line", format!("id: 5\n{}", word("b")), finish("stop"), &[], 4),
        ("a comment", format!(": x\n\n{}", word("b")), finish("stop"), &[], 4),
        ("an empty event", format!("data:\n\n{}", word("b")), finish("stop"), &[], 4),
        ("JSON over two lines", word("b").replace(",\"id\"", ",\ndata: \"id\""), finish("stop"), &["Text"], 3),
        ("an empty id", spoiled("id", json!("")), finish("stop"), &["Text"], 3),
        ("another id", spoiled("id", json!("c2")), finish("stop"), &["Text"], 3),
        ("another time", spoiled("created", json!(8)), finish("stop"), &["Text"], 3),
        ("another object", spoiled("object", json!("")), finish("stop"), &["Text"], 3),
        ("usage beside a choice", spoiled("usage", json!({"prompt_tokens": 1})), finish("stop"), &["Text"], 3),
        ("an odd role", delta(json!({"role": "", "content": "b"})), finish("stop"), &["Text"], 3),
        ("a refusal", delta(json!({"refusal": "no"})), finish("stop"), &["Refusal"], 3),
        ("reasoning", delta(json!({"reasoning": "hm"})), finish("stop"), &["Thinking"], 3),
        ("reasoning_content", delta(json!({"reasoning_content": "hm"})), finish("stop"), &[], 4),
        (
            "reasoning details beside words",
            delta(json!({"content": "b", "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]})),
            finish("stop"),
            &["Text", "Opaque"],
            3,
        ),
        (
            "reasoning details",
            delta(json!({"reasoning": "h", "reasoning_details": [{"type": "reasoning.text", "text": "h"}]})),
            finish("stop"),
            &["Thinking", "Opaque"],
            3,
        ),
        ("parts", delta(json!({"content": [{"type": "text", "text": "b"}]})), finish("stop"), &["Text"], 3),
        ("no choices", line(&json!({"choices": []})), finish("stop"), &[], 3),
        ("a choice without a delta", line(&json!({"choices": [{"index": 0}]})), finish("stop"), &[], 3),
        ("a right call", with("/index", json!(0)), finish("tool_calls"), &[], 4),
        ("a call in pieces", begun.clone() + &piece(json!({"arguments": "1}"})), finish("tool_calls"), &[], 5),
        (
            "a piece with a name",
            begun + &piece(json!({"name": "", "arguments": "1"})) + &piece(json!({"arguments": "}"})),
            finish("tool_calls"),
            &["ToolArguments"],
            5,
        ),
        ("an index from 1", with("/index", json!(1)), finish("tool_calls"), &call_events[..3], 3),
        ("no index", with("/index", Value::Null), finish("tool_calls"), &call_events[..3], 3),
        ("an empty call id", with("/id", json!("")), finish("tool_calls"), &call_events[..3], 3),
        ("arguments as an object", with("/function/arguments", json!({})), finish("tool_calls"), &call_events[..3], 3),
        ("no arguments", with("/function/arguments", json!("")), finish("tool_calls"), &["ToolArguments"], 4),
        ("stop though calls were made", with("/index", json!(0)), finish("stop"), &["Finish"], 3),
        ("tool_calls without calls", word("b"), finish("tool_calls"), &["Finish"], 3),
        ("an unknown reason", word("b"), finish("eos"), &["Finish"], 3),
        ("no finish reason", word("b"), String::new(), &["Finish"], 3),
        (
            "words beside the reason",
            word("b"),
            line(&chunk(json!({"content": "c"}), json!("stop"))),
            &["Text", "Finish"],
            3,
        ),
        ("two finish reasons", finish("stop"), finish("stop"), &[], 3),
        ("words after the reason", finish("stop"), word("b"), &["Text"], 3),
    ] {
        let stream = [role(), word("a"), middle, end, DONE.to_owned()].concat();
        let client = relayed(&stream);
        assert_eq!(client.neutral, neutral, "{what}");
        let events = String::from_utf8(client.relayed).expect("text").matches("data: ").count();
        assert_eq!(events, bits, "{what}: the right events are relayed");
        assert!(client.answer.text.starts_with('a'), "{what}");
        assert!(client.answer.finish.is_some(), "{what}");
    }
}

#[test]
fn without_a_role_the_first_words_are_neutral() {
    let stream = [word(""), word("a"), word("b"), finish("stop"), DONE.to_owned()].concat();
    let client = relayed(&stream);
    assert_eq!(client.neutral, ["Text"]);
    assert_eq!(client.answer.text, "ab");
}

#[test]
fn without_an_id_nothing_is_relayed() {
    for (right, odd) in [
        ("\"id\":\"c1\"", "\"x\":0"),
        ("\"id\":\"c1\"", "\"id\":\"\""),
        ("\"created\":7", "\"x\":0"),
        ("\"created\":7", "\"created\":0"),
        ("\"created\":7", "\"created\":7.5"),
        ("\"model\":\"m\"", "\"x\":0"),
    ] {
        let stream = [role(), word("a"), finish("stop"), DONE.to_owned()].concat();
        let client = relayed(&stream.replace(right, odd));
        assert_eq!((client.relayed.len(), client.answer.text.as_str()), (0, "a"), "{odd}");
    }
}

#[test]
fn only_a_right_usage_chunk_is_relayed() {
    let begun = role() + &word("a") + &finish("stop");
    for (what, usage, is_relayed) in [
        ("right", USAGE.to_owned(), true),
        ("no choices", USAGE.replace("\"choices\":[],", ""), false),
        ("another choice", USAGE.replace("[]", "[{\"index\":1,\"delta\":{}}]"), false),
        ("half the counts", USAGE.replace("prompt_tokens", "x"), false),
        ("another id", USAGE.replace("c1", "c2"), false),
    ] {
        let client = relayed(&[begun.as_str(), &usage, DONE].concat());
        assert_eq!(client.relayed.len() > begun.len(), is_relayed, "{what}");
        assert_eq!(client.answer.usage.output, Some(2), "{what}");
        assert_eq!(client.answer.finish, Some(FinishReason::Stop), "{what}");
    }
    let twice = relayed(&[begun.as_str(), USAGE, USAGE, DONE].concat());
    assert_eq!(twice.relayed.len(), begun.len() + USAGE.len(), "never twice");
}

#[test]
fn an_error_after_the_finish_reason_leaves_none() {
    let stream = [role(), word("a"), finish("stop"), line(&json!({"error": {"message": "m", "code": 500}}))].concat();
    for client in [Client::neutral(), Client::relaying(true)] {
        let (client, outcome) = kit::feed(openai(), client, &[Bytes::copy_from_slice(stream.as_bytes())]);
        assert_eq!(outcome.map_err(|failure| failure.class), Err(FailureClass::ServerError));
        assert_eq!((client.answer.finish, client.answer.text.as_str()), (None, "a"));
    }
}

#[test]
fn a_missing_done_is_borne_a_missing_reason_is_not() {
    let begun = role() + &word("a");
    let end = |stream: String| kit::feed(openai(), Client::relaying(true), &[stream.into()]);
    let (client, outcome) = end(begun.clone() + &finish("length") + USAGE);
    assert_eq!((outcome, client.answer.finish), (Ok(()), Some(FinishReason::Length)));
    assert_eq!(client.relayed.len(), begun.len() + finish("length").len() + USAGE.len());
    let (_, outcome) = end(begun.clone());
    assert_eq!(outcome.map_err(|failure| failure.class), Err(FailureClass::Truncated));
    let (_, outcome) = end(begun + "data: {\"id\":\"c1\",\"obj");
    assert_eq!(
        outcome.map_err(|failure| failure.message.into_owned()),
        Err("the provider's answer broke off before its end".to_owned())
    );
}

#[test]
fn broken_characters_are_replaced_and_never_relayed() {
    let mut stream = (role() + &word("a?b") + &finish("stop") + DONE).into_bytes();
    let at = stream.iter().position(|byte| *byte == b'?').expect("a mark");
    stream[at] = 0xff;
    let (client, outcome) = kit::feed(openai(), Client::relaying(true), &[stream.into()]);
    assert_eq!(
        (outcome, client.answer.text.as_str(), client.neutral.as_slice()),
        (Ok(()), "a\u{fffd}b", &["Text"][..])
    );
}

#[test]
fn an_endless_event_is_refused() {
    let piece = Bytes::from(vec![b'x'; 1 << 20]);
    for kind in ["openai", "anthropic", "ollama"] {
        let mut decoder = formats::by_kind(kind).expect("a format").stream_decoder(&kit::decoding());
        let mut client = Client::neutral();
        let fed = (0..=MAX_EVENT / piece.len()).find_map(|_| decoder.feed(&piece, &mut client).err());
        assert_eq!(fed.map(|failure| failure.class), Some(FailureClass::Truncated), "{kind}");
    }
}

#[test]
fn whole_answers_are_relayed_only_if_they_are_right() {
    let right = json!({"id": "c1", "object": "chat.completion", "created": 7, "model": "m", "choices": [{"index": 0,
        "message": {"role": "assistant", "content": "a", "refusal": null}, "logprobs": null, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2}, "extra": [1.50]});
    let call = json!({"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let read = |body: &Value| {
        let mut client = Client::relaying(false);
        let outcome = openai().decode_whole(&body.to_string().into(), &kit::decoding(), &mut client);
        (client, outcome)
    };
    let with = |pointer: &str, value: Value| {
        let mut body = right.clone();
        let (parent, name) = pointer.rsplit_once('/').expect("a path");
        body.pointer_mut(parent).expect("a parent")[name] = value;
        body
    };
    let message = "/choices/0/message";
    let calling = |call: Value| {
        let mut body = with(&format!("{message}/tool_calls"), json!([call]));
        body["choices"][0]["finish_reason"] = json!("tool_calls");
        body
    };
    for good in [right.clone(), with(&format!("{message}/content"), Value::Null), calling(call.clone())] {
        let (client, outcome) = read(&good);
        assert_eq!(outcome, Ok(()));
        assert_eq!(client.whole.as_deref(), Some(good.to_string().as_bytes()));
        assert_eq!((client.answer.usage.input, client.answer.finish.is_some()), (Some(1), true));
        assert_eq!(client.neutral, ["Usage"; 0]);
    }
    let mut object = call.clone();
    object["function"]["arguments"] = json!({"a": 1});
    let mut nameless = call.clone();
    nameless["id"] = json!("");
    for odd in [
        with("/id", json!("")),
        with("/object", json!("chat.completion.done")),
        with("/created", json!(0)),
        with("/model", Value::Null),
        with("/choices/0/index", json!(null)),
        with("/choices/0/finish_reason", json!("eos")),
        with("/choices/0/finish_reason", json!("tool_calls")),
        with(&format!("{message}/role"), json!("")),
        with(&format!("{message}/content"), json!([{"type": "text", "text": "a"}])),
        with(&format!("{message}/refusal"), json!("no")),
        with(&format!("{message}/reasoning"), json!("hm")),
        with(&format!("{message}/tool_calls"), json!([call])),
        calling(object),
        calling(nameless),
    ] {
        let (client, outcome) = read(&odd);
        assert_eq!(outcome, Ok(()), "{odd}");
        assert_eq!(client.whole, None, "{odd}");
        assert!(client.answer.finish.is_some(), "{odd}");
    }
    for (body, class) in [
        (json!({"error": {"message": "m", "code": 429}}), FailureClass::RateLimit),
        (json!({"choices": []}), FailureClass::Truncated),
        (json!("text"), FailureClass::Truncated),
        (with("/choices/0/finish_reason", json!("error")), FailureClass::ServerError),
    ] {
        assert_eq!(read(&body).1.map_err(|failure| failure.class), Err(class), "{body}");
    }
}

#[test]
fn sound_counts_as_something_that_came() {
    #[derive(Default)]
    struct Came(Vec<bool>);
    impl EventSink for Came {
        fn event(&mut self, _: Event<'_>) {}
        fn relay(&mut self, _: Bytes, holds: Relayed) {
            self.0.push(holds.content);
        }
        fn relays(&self) -> bool {
            true
        }
    }
    let delta = |delta: Value| Bytes::from(line(&chunk(delta, Value::Null)));
    let (mut came, mut decoder) = (Came::default(), openai().stream_decoder(&kit::decoding()));
    for delta in [
        delta(json!({"role": "assistant", "content": "", "refusal": null, "audio": {"id": "audio_1"}})),
        delta(json!({"audio": null, "annotations": [], "x": {}, "y": ""})),
        delta(json!({"audio": {"data": "AAAA"}})),
        delta(json!({"role": "assistant", "content": "", "images": [{"type": "image_url"}]})),
        Bytes::from(line(&chunk(json!({"audio": {"expires_at": 9}}), json!("stop")))),
        Bytes::from_static(DONE.as_bytes()),
    ] {
        decoder.feed(&delta, &mut came).expect("a stream");
    }
    assert_eq!(came.0, [false, false, true, true, false], "the finish reason comes with what is beside it");
}
