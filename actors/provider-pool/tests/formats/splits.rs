//! Properties of the decoders: how the network cut the bytes does not matter, and no bytes are too odd.

use crate::client::Client;
use crate::kit;
use bytes::Bytes;
use proptest::prelude::*;
use provider_pool::formats::{self, ErrorAnswer};
use serde_json::json;

const KINDS: [&str; 5] = ["openai", "openrouter", "anthropic", "gemini", "ollama"];

/// A stream of the format with these texts.
fn stream(kind: &str, texts: &[String], line_end: &str) -> Vec<u8> {
    let mut lines: Vec<String> = Vec::new();
    match kind {
        "openai" | "openrouter" => {
            let chunk = |delta, finish: Option<&str>| {
                json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
                    "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
            };
            lines.push(format!("data: {}", chunk(json!({"role": "assistant"}), None)));
            lines.extend(texts.iter().map(|text| format!("data: {}", chunk(json!({"content": text}), None))));
            lines.push(format!("data: {}", chunk(json!({}), Some("stop"))));
            lines.push("data: [DONE]".to_owned());
        }
        "anthropic" => {
            let event = |event: serde_json::Value| {
                format!("event: {}{line_end}data: {event}", event["type"].as_str().unwrap_or_default())
            };
            lines.push(event(json!({"type": "message_start", "message": {"id": "m", "model": "m"}})));
            lines.push(event(
                json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            ));
            lines.extend(texts.iter().map(|text| {
                event(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}))
            }));
            lines.push(event(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}})));
            lines.push(event(json!({"type": "message_stop"})));
        }
        "gemini" => {
            let chunk = |text: &str, finish: Option<&str>| json!({"candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": finish, "index": 0}]});
            lines.extend(texts.iter().map(|text| format!("data: {}", chunk(text, None))));
            lines.push(format!("data: {}", chunk("", Some("STOP"))));
        }
        _ => {
            lines.extend(texts.iter().map(|text| json!({"message": {"content": text}, "done": false}).to_string()));
            lines.push(json!({"done": true, "done_reason": "stop"}).to_string());
        }
    }
    let end = if kind == "ollama" { line_end.to_owned() } else { line_end.repeat(2) };
    lines.iter().flat_map(|line| [line.as_str(), &end]).collect::<String>().into_bytes()
}

fn places(cuts: &[prop::sample::Index], length: usize) -> Vec<usize> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(length + 1)).collect();
    places.sort_unstable();
    places
}

proptest! {
    #[test]
    fn any_split_gives_the_same_answer(
        texts in prop::collection::vec("(\\PC|\n|\"|\\\\|é|👩‍💻){0,8}", 0..6),
        crlf in any::<bool>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        for kind in KINDS {
            let format = formats::by_kind(kind).expect("a format");
            let body = Bytes::from(stream(kind, &texts, if crlf { "\r\n" } else { "\n" }));
            let pieces = kit::cut(&body, places(&cuts, body.len()));
            for client in [Client::neutral, || Client::relaying(true)] {
                let (client, outcome) = kit::feed(format, client(), &pieces);
                prop_assert_eq!(outcome, Ok(()));
                prop_assert_eq!(&client.answer.text, &texts.concat());
            }
        }
    }

    #[test]
    fn no_bytes_are_too_odd(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let bytes = Bytes::from(bytes);
        let pieces = kit::cut(&bytes, places(&cuts, bytes.len()));
        for kind in KINDS {
            let format = formats::by_kind(kind).expect("a format");
            let (_, outcome) = kit::feed(format, Client::relaying(true), &pieces);
            prop_assert!(outcome.is_err(), "garbage is no answer");
            prop_assert!(format.decode_whole(&bytes, &kit::decoding(), &mut Client::neutral()).is_err());
            let now = jiff::Timestamp::UNIX_EPOCH;
            let failure = format.failure(&ErrorAnswer { status: 500, headers: &[], body: &bytes, now });
            prop_assert!(!failure.message.is_empty());
            prop_assert!(format.decode_models(&bytes).is_err());
        }
    }

    /// Recorded streams with some bytes overwritten: whatever comes of it, order is kept (the client checks it) and nothing panics.
    #[test]
    fn damaged_streams_are_borne(
        which in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), "[\\[\\]{}\",:0-9a-z\n\r ]"), 1..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let exchanges: Vec<_> = kit::exchanges().into_iter().filter(|exchange| exchange.streamed).collect();
        let exchange = which.get(&exchanges);
        let mut body = exchange.body.to_vec();
        for (at, byte) in &damage {
            let at = at.index(body.len());
            body[at] = byte.as_bytes()[0];
        }
        let body = Bytes::from(body);
        let pieces = kit::cut(&body, places(&cuts, body.len()));
        for client in [Client::neutral, || Client::relaying(true)] {
            let (cut, outcome) = exchange.feed(client(), &pieces);
            let (whole, whole_outcome) = exchange.feed(client(), std::slice::from_ref(&body));
            prop_assert_eq!(outcome, whole_outcome);
            prop_assert_eq!(cut.answer, whole.answer);
        }
    }
}
