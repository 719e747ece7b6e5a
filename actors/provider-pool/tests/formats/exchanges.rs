//! Every exchange means what its `expected.json` says: fed whole, byte by byte, and cut at every place; as neutral events and relayed.

use crate::client::Client;
use crate::kit::{self, Exchange};
use contract::chat::{Answer, Usage};
use contract::failure::{Failure, FailureClass};
use serde_json::{Value, json};

type MakeClient = fn() -> Client;

/// The three ways to read an answer.
fn clients() -> [(&'static str, MakeClient); 3] {
    [
        ("neutral", Client::neutral),
        ("relaying", || Client::relaying(false)),
        ("relaying usage", || Client::relaying(true)),
    ]
}

/// An answer in the words of `expected.json`.
fn told(answer: &Answer, outcome: &Result<(), Failure>) -> Value {
    let calls: Vec<Value> = answer
        .calls
        .iter()
        .map(|call| {
            let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
            json!({"id": call.id, "name": call.name, "arguments": serde_json::from_str::<Value>(arguments).ok()})
        })
        .collect();
    // The corpus does not list reasoning details, which are checked in `openrouter`.
    let proofs: Vec<Value> = answer
        .opaque
        .iter()
        .filter(|part| matches!(part.format, "anthropic" | "gemini"))
        .map(|part| serde_json::from_slice(&part.json).expect("a part is JSON"))
        .collect();
    let proofs = |keys: [&str; 2]| -> Vec<Value> {
        proofs.iter().flat_map(|part| keys.iter().filter_map(|key| part.get(*key).cloned())).collect()
    };
    let refusal = Some(&answer.refusal).filter(|text| !text.is_empty());
    json!({
        "text": answer.text,
        "thinking": answer.thinking,
        "tool_calls": calls,
        "finish_reason": answer.finish,
        "refusal": refusal,
        "signatures": proofs(["signature", "thoughtSignature"]),
        "redacted": proofs(["data", ""]),
        "complete": outcome.is_ok(),
    })
}

fn expected(exchange: &Exchange) -> Value {
    let mut expected = exchange.expected.clone();
    let members = expected.as_object_mut().expect("an object");
    for beside in ["usage", "error"] {
        members.remove(beside);
    }
    for call in members["tool_calls"].as_array_mut().expect("calls") {
        call.as_object_mut().expect("a call").remove("arguments_raw");
    }
    if !exchange.expected["error"].is_null() {
        // A failed answer has no finish reason, even where the provider gave one before it failed; and
        // what came after the failure is not read, so it cannot be complete.
        members.insert("finish_reason".to_owned(), Value::Null);
        members.insert("complete".to_owned(), json!(false));
    }
    expected
}

fn check_usage(exchange: &Exchange, usage: Usage, label: &str) {
    let wanted = &exchange.expected["usage"];
    for (name, figure) in [
        ("input", usage.input),
        ("output", usage.output),
        ("cached_input", usage.cached_input),
        ("reasoning", usage.reasoning),
    ] {
        if let Some(wanted) = wanted.get(name) {
            assert_eq!(wanted.as_u64(), figure, "{} {label}: usage.{name}", exchange.name);
        }
    }
}

fn check(exchange: &Exchange, client: &Client, outcome: &Result<(), Failure>, label: &str) {
    let name = &exchange.name;
    assert_eq!(told(&client.answer, outcome), expected(exchange), "{name} {label}: {outcome:?}");
    check_usage(exchange, client.answer.usage, label);
    let error = &exchange.expected["error"];
    let Err(failure) = outcome else { return };
    assert_eq!(error["mid_stream"], true, "{name} {label}: {failure:?}");
    let truncated = error["class"] == "truncated";
    assert_eq!(failure.class == FailureClass::Truncated, truncated, "{name} {label}: {failure:?}");
    if let Some(message) = error["message"].as_str() {
        assert!(message.starts_with(failure.message.as_ref()), "{name} {label}: {failure:?}");
    }
    let class = match name.as_str() {
        "an-stream-overloaded" | "ge-stream-error" => FailureClass::Overloaded,
        "gq-stream-error" | "or-stream-error" => FailureClass::InvalidRequest,
        "oq-cut" => FailureClass::Truncated,
        "lb-stream-error" | "ol-stream-error" | "oq-stream-error-object" => FailureClass::ServerError,
        _ => panic!("{name}: of which class is its failure?"),
    };
    assert_eq!(failure.class, class, "{name} {label}: {failure:?}");
}

#[test]
fn the_fixtures_are_there() {
    let count = |kind: &str, streamed: bool| {
        kit::exchanges()
            .iter()
            .filter(|exchange| exchange.format.kind() == kind && exchange.streamed == streamed)
            .count()
    };
    let counts =
        ["openai", "anthropic", "gemini", "openrouter", "ollama"].map(|kind| (count(kind, true), count(kind, false)));
    assert_eq!(counts, [(27, 20), (13, 10), (6, 8), (3, 2), (8, 4)], "streamed and whole");
}

#[test]
fn streams_mean_what_is_expected() {
    kit::each("streams", kit::exchanges().iter().filter(|exchange| exchange.streamed), |exchange| {
        for (label, client) in clients() {
            let (client, outcome) = exchange.feed(client(), std::slice::from_ref(&exchange.body));
            check(exchange, &client, &outcome, label);
            if label == "neutral" {
                // What a call is made of comes through unchanged.
                for (call, wanted) in
                    client.answer.calls.iter().zip(exchange.expected["tool_calls"].as_array().expect("calls"))
                {
                    let raw = wanted["arguments_raw"].as_str().expect("raw arguments");
                    // Ollama and Gemini send an object, which `arguments_raw` prints in another spelling.
                    if !matches!(exchange.format.kind(), "ollama" | "gemini") {
                        assert_eq!(call.arguments, raw, "{}", exchange.name);
                    }
                    assert!(call.complete || outcome.is_err(), "{}", exchange.name);
                }
            }
        }
    });
}

#[test]
fn whole_answers_mean_what_is_expected() {
    let exchanges = kit::exchanges();
    kit::each("whole", exchanges.iter().filter(|exchange| !exchange.streamed && exchange.status == 200), |exchange| {
        for (label, client) in clients() {
            let (client, outcome) = exchange.whole(client());
            check(exchange, &client, &outcome, label);
        }
    });
}

#[test]
fn streams_in_answer_to_a_request_for_a_whole_mean_the_same() {
    kit::each("streams read whole", kit::exchanges().iter().filter(|exchange| exchange.streamed), |exchange| {
        for (label, client) in clients() {
            let (client, outcome) = exchange.whole(client());
            check(exchange, &client, &outcome, label);
            assert!(client.whole.is_none(), "{label}");
        }
    });
}

#[test]
fn whole_answers_to_a_request_for_a_stream_mean_the_same() {
    let exchanges = kit::exchanges();
    kit::each(
        "wholes read as streams",
        exchanges.iter().filter(|exchange| !exchange.streamed && exchange.status == 200),
        |exchange| {
            for (label, client) in clients() {
                let single = kit::cut(&exchange.body, 0..exchange.body.len());
                for pieces in kit::every_cut(&exchange.body).iter().chain([&single]) {
                    let (client, outcome) = exchange.feed(client(), pieces);
                    check(exchange, &client, &outcome, label);
                    assert_eq!((client.relayed.len(), client.whole), (0, None), "{}", exchange.name);
                }
                let cut = kit::cut(&exchange.body, [exchange.body.len() / 2]);
                let (_, outcome) = exchange.feed(client(), &cut[..1]);
                assert_eq!(outcome.map_err(|failure| failure.class), Err(FailureClass::Truncated), "{}", exchange.name);
            }
        },
    );
}

#[test]
fn errors_under_a_good_status_keep_their_class() {
    for exchange in kit::exchanges().iter().filter(|exchange| exchange.status >= 400) {
        let (_, outcome) = exchange.feed(Client::relaying(false), std::slice::from_ref(&exchange.body));
        let failure = outcome.expect_err("an error");
        // Without a status only what the body itself tells is left.
        assert!(!failure.message.contains('<'), "{}: {failure}", exchange.name);
        // Only what the body itself tells of a wait is left.
        let in_body = exchange.format.kind() == "gemini";
        let wait = exchange.expected["error"]["retry_after_s"].as_f64().filter(|_| in_body);
        assert_eq!(failure.retry_after.map(|wait| wait.as_secs_f64()), wait, "{}", exchange.name);
        let told = exchange.expected["error"]["type"].as_str();
        if told.is_some_and(|kind| kind.ends_with("_error") && kind != "api_error") {
            assert_ne!(failure.class, FailureClass::ServerError, "{}: {failure}", exchange.name);
        }
    }
}

#[test]
fn error_answers_have_their_class_and_wait() {
    kit::each("errors", kit::exchanges().iter().filter(|exchange| exchange.status >= 400), |exchange| {
        let failure = exchange.failure();
        let error = &exchange.expected["error"];
        let name = &exchange.name;
        assert_eq!(Some(failure.class.as_str()), error["class"].as_str(), "{name}");
        assert_eq!(failure.retry_after.map(|wait| wait.as_secs_f64()), error["retry_after_s"].as_f64(), "{name}");
        assert!(!failure.message.is_empty() && !failure.message.contains('<'), "{name}: {}", failure.message);
        if failure.class != FailureClass::Authentication
            && let Some(message) = error["message"].as_str()
        {
            let message: Vec<&str> = message.split_whitespace().collect();
            assert_eq!(failure.message, message.join(" "), "{name}");
        }
        let retry = exchange.headers.iter().find(|(name, _)| name == "x-should-retry").map(|(_, told)| told == "true");
        assert_eq!(failure.retry, retry, "{name}");
    });
}

#[test]
fn no_cut_changes_an_answer() {
    kit::each("streams cut at every byte", kit::exchanges().iter().filter(|exchange| exchange.streamed), |exchange| {
        for (label, client) in clients() {
            let (whole, outcome) = exchange.feed(client(), std::slice::from_ref(&exchange.body));
            let single = kit::cut(&exchange.body, 0..exchange.body.len());
            for pieces in kit::every_cut(&exchange.body).iter().chain([&single]) {
                let (cut, cut_outcome) = exchange.feed(client(), pieces);
                let places: Vec<usize> = pieces.iter().map(|piece| piece.len()).take(3).collect();
                let label = format!("{} {label} {places:?}", exchange.name);
                assert_eq!(cut.answer, whole.answer, "{label}");
                assert_eq!(cut_outcome, outcome, "{label}");
                assert_eq!(cut.relayed, whole.relayed, "{label}");
                assert_eq!(cut.neutral.contains(&"Text"), whole.neutral.contains(&"Text"), "{label}");
            }
        }
    });
}

#[test]
fn an_answer_cut_off_anywhere_is_no_success() {
    for exchange in kit::exchanges().iter().filter(|exchange| exchange.streamed) {
        let body = &exchange.body;
        let (_, outcome) = exchange.feed(Client::neutral(), std::slice::from_ref(body));
        let step = (body.len() / 400).max(1);
        for length in (0..body.len()).step_by(step) {
            let (client, cut) = exchange.feed(Client::neutral(), &[body.slice(..length)]);
            match cut {
                Ok(()) => {
                    // An error may come after the finish reason; a connection that ends well between the two tells nothing of it.
                    let ended = outcome.is_ok() || exchange.expected["finish_reason"].is_string();
                    assert!(ended, "{} at {length}", exchange.name);
                    assert_eq!(
                        told(&client.answer, &Ok(()))["text"],
                        exchange.expected["text"],
                        "{} at {length}",
                        exchange.name
                    );
                }
                Err(_) => assert_eq!(client.answer.finish, None, "{} at {length}", exchange.name),
            }
        }
    }
}
