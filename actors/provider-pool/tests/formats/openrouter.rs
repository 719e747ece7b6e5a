//! What OpenRouter adds to OpenAI's format: reasoning details, the cost of an answer, calls that are known by their ids, waits in error bodies.

use crate::client::Client;
use crate::kit;
use bytes::Bytes;
use contract::chat::{Event, EventSink};
use contract::provider::CallBody;
use provider_pool::formats::{self, Encode, ErrorAnswer, Format, ModelSettings, PutBack};
use serde_json::{Value, json};

fn format() -> &'static dyn Format {
    formats::by_kind("openrouter").expect("the format")
}

fn exchange(name: &str) -> kit::Exchange {
    let own = |exchange: &kit::Exchange| exchange.name == name && exchange.format.kind() == "openrouter";
    kit::exchanges().into_iter().find(own).expect(name)
}

/// Every cost that an answer tells.
#[derive(Default)]
struct Costs(Vec<u64>);

impl EventSink for Costs {
    fn event(&mut self, event: Event<'_>) {
        if let Event::Cost(nanos) = event {
            self.0.push(nanos);
        }
    }
}

#[test]
fn the_cost_is_told() {
    for (name, cost) in [("or-stream-reasoning", 669_000), ("or-stream-tool", 1_008_000)] {
        let exchange = exchange(name);
        let mut costs = Costs::default();
        let mut decoder = format().stream_decoder(&kit::decoding());
        decoder.feed(&exchange.body, &mut costs).expect("a stream");
        decoder.end(&mut costs).expect("complete");
        assert_eq!(costs.0, [cost], "{name}");
    }
    for (cost, told) in
        [(json!(0.25), vec![250_000_000]), (json!(-1), vec![]), (json!("1"), vec![]), (json!(1e300), vec![])]
    {
        let body = json!({"id": "c", "model": "m", "choices": [{"message": {"content": "a"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1, "cost": cost}});
        let mut costs = Costs::default();
        format().decode_whole(&body.to_string().into(), &kit::decoding(), &mut costs).expect("an answer");
        assert_eq!(costs.0, told);
        let mut costs = Costs::default();
        let openai = formats::by_kind("openai").expect("the format");
        openai.decode_whole(&body.to_string().into(), &kit::decoding(), &mut costs).expect("an answer");
        assert_eq!(costs.0, [0; 0], "another server's cost may be in another currency");
    }
}

#[test]
fn reasoning_details_are_kept_and_their_text_told_once() {
    let exchange = exchange("or-stream-reasoning");
    let (client, outcome) = exchange.feed(Client::relaying(true), std::slice::from_ref(&exchange.body));
    assert_eq!(outcome, Ok(()));
    let parts: Vec<Value> =
        client.answer.opaque.iter().map(|part| serde_json::from_slice(&part.json).expect("JSON")).collect();
    assert_eq!(parts.len(), 1);
    assert_eq!(parts[0]["type"], "reasoning.text");
    assert_eq!(parts[0]["text"], client.answer.thinking);
    let signature = parts[0]["signature"].as_str().expect("a signature");
    assert!(std::str::from_utf8(&exchange.body).expect("text").contains(signature), "byte for byte");
    assert!(client.answer.opaque.iter().all(|part| part.format == "openrouter"));
}

#[test]
fn calls_are_known_by_their_ids_whoever_reads() {
    let exchange = exchange("or-stream-tool");
    let (client, outcome) = exchange.feed(Client::relaying(true), std::slice::from_ref(&exchange.body));
    assert_eq!((outcome, client.neutral.contains(&"ToolStart")), (Ok(()), true));
    let call = json!({"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let body = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0, "finish_reason": "tool_calls",
        "message": {"role": "assistant", "content": null, "tool_calls": [call], "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}}]});
    let mut client = Client::relaying(true);
    format().decode_whole(&body.to_string().into(), &kit::decoding(), &mut client).expect("an answer");
    assert_eq!((client.whole, client.neutral.contains(&"ToolStart"), client.answer.opaque.len()), (None, true, 1));
    let mut client = Client::relaying(true);
    let text = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "a"}}]});
    format().decode_whole(&text.to_string().into(), &kit::decoding(), &mut client).expect("an answer");
    assert!(client.whole.is_some(), "what needs no mending is relayed");
}

#[test]
fn proof_goes_back_into_the_clients_own_bytes() {
    let request = r#"{"model":"p/m","messages":[{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a","content":[{"type":"text","text":"r","cache_control":{"type":"ephemeral"}}]}],"reasoning":{"effort":"low"}}"#;
    let body = CallBody::Raw(Bytes::from_static(request.as_bytes()));
    let part = |json: &'static str| contract::chat::OpaquePart {
        format: "openrouter",
        json: Bytes::from_static(json.as_bytes()),
        call: None,
    };
    let parts = vec![part(r#"{"b":1.0, "a":"x"}"#), part(r#"{"c":2}"#)];
    let body = format().put_back(&body, &[PutBack { message: 1, parts }]).expect("readable");
    let settings = ModelSettings::default();
    let encoded =
        format().encode(&Encode { body: &body, model: "m", stream: false, settings: &settings }).expect("encodes");
    let wanted = request
        .replace("\"p/m\"", "\"m\"")
        .replace(r#""{}"}}]}"#, r#""{}"}}],"reasoning_details":[{"b":1.0, "a":"x"},{"c":2}]}"#)
        .replace(r#""low"}}"#, r#""low"},"stream":false}"#);
    assert_eq!(encoded.body, wanted);
}

#[test]
fn a_used_up_limit_tells_its_reset_in_the_body() {
    let body = r#"{"error":{"message":"Rate limit exceeded: free-models-per-day","code":429,"metadata":{"headers":{"X-RateLimit-Limit":"50","X-RateLimit-Remaining":"0","X-RateLimit-Reset":"90000"}}}}"#;
    let now = jiff::Timestamp::UNIX_EPOCH;
    let failure = format().failure(&ErrorAnswer { status: 429, headers: &[], body: body.as_bytes(), now });
    // A figure this small is seconds from now; of more than a day, a day is kept.
    assert_eq!(failure.retry_after, Some(std::time::Duration::from_secs(86_400)));
    let body = body.replace("90000", "60");
    let failure = format().failure(&ErrorAnswer { status: 429, headers: &[], body: body.as_bytes(), now });
    assert_eq!(failure.retry_after, Some(std::time::Duration::from_secs(60)));
}
