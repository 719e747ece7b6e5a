//! Gathers the calls and proofs of thinking of one answer on their way to its reader, and keeps them when the answer is complete.
//!
//! It changes nothing of an answer but one thing: a call without an id gets one here, because both sides must know it by the same.

use super::proofs::{Proofs, Whose};
use crate::formats::Decoder;
use bytes::Bytes;
use contract::chat::{Event, EventSink, OpaquePart, Relayed, ToolCall};
use contract::failure::Failure;
use contract::ids::SharedIds;
use std::sync::Arc;
use std::time::Duration;

/// The most bytes of one answer's calls and proofs that are kept.
const ONE: usize = 4 << 20;

/// What was gathered of one answer so far.
pub(super) struct Gathering {
    proofs: Arc<Proofs>,
    ids: SharedIds,
    whose: Whose,
    now: Duration,
    calls: Vec<ToolCall>,
    parts: Vec<OpaquePart>,
    bytes: usize,
}

impl Gathering {
    /// For an answer to `whose` call. `now` is about when it will be kept.
    pub(super) fn new(proofs: &Arc<Proofs>, ids: &SharedIds, whose: Whose, now: Duration) -> Self {
        Self {
            proofs: Arc::clone(proofs),
            ids: Arc::clone(ids),
            whose,
            now,
            calls: Vec::new(),
            parts: Vec::new(),
            bytes: 0,
        }
    }

    /// A sink that gathers what goes on to `sink`.
    pub(super) fn sink<'a>(&'a mut self, sink: &'a mut dyn EventSink) -> impl EventSink + 'a {
        Gatherer { gathering: self, sink }
    }

    /// A decoder that gathers what `decoder` reads.
    pub(super) fn around(self, decoder: Box<dyn Decoder>) -> Box<dyn Decoder> {
        Box::new(GatheringDecoder { gathering: self, decoder })
    }

    fn keep(&mut self) {
        if self.parts.is_empty() || self.calls.is_empty() || self.bytes > ONE {
            return;
        }
        let calls = std::mem::take(&mut self.calls);
        self.proofs.keep(&self.whose, &calls, std::mem::take(&mut self.parts), self.now);
    }
}

struct Gatherer<'a> {
    gathering: &'a mut Gathering,
    sink: &'a mut dyn EventSink,
}

impl EventSink for Gatherer<'_> {
    fn event(&mut self, event: Event<'_>) {
        let gathering = &mut *self.gathering;
        match &event {
            Event::ToolStart { index, id, name } => {
                let made: String;
                let id = match id {
                    Some(id) => *id,
                    None => {
                        made = format!("call_{}", gathering.ids.unique());
                        &made
                    }
                };
                gathering.calls.push(ToolCall::new(id, *name, ""));
                return self.sink.event(Event::ToolStart { index: *index, id: Some(id), name });
            }
            Event::ToolArguments { index, json } => {
                gathering.bytes += json.len();
                if let Some(call) = gathering.calls.get_mut(*index as usize).filter(|_| gathering.bytes <= ONE) {
                    call.function.arguments.push_str(json);
                }
            }
            Event::Opaque(part) => {
                gathering.bytes += part.json.len();
                if gathering.bytes <= ONE {
                    gathering.parts.push(part.clone());
                }
            }
            // It comes only when the answer is complete.
            Event::Finish(_) => gathering.keep(),
            _ => {}
        }
        self.sink.event(event);
    }

    fn relay(&mut self, bytes: Bytes, holds: Relayed) {
        if holds.finish {
            self.gathering.keep();
        }
        self.sink.relay(bytes, holds);
    }

    fn relay_whole(&mut self, body: Bytes) {
        self.sink.relay_whole(body);
    }

    fn relays(&self) -> bool {
        self.sink.relays()
    }

    fn relays_usage(&self) -> bool {
        self.sink.relays_usage()
    }
}

struct GatheringDecoder {
    gathering: Gathering,
    decoder: Box<dyn Decoder>,
}

impl Decoder for GatheringDecoder {
    fn feed(&mut self, bytes: &Bytes, sink: &mut dyn EventSink) -> Result<(), Failure> {
        self.decoder.feed(bytes, &mut self.gathering.sink(sink))
    }

    fn end(&mut self, sink: &mut dyn EventSink) -> Result<(), Failure> {
        self.decoder.end(&mut self.gathering.sink(sink))
    }

    fn is_complete(&self) -> bool {
        self.decoder.is_complete()
    }

    fn is_at_work(&self) -> bool {
        self.decoder.is_at_work()
    }
}

#[cfg(test)]
mod tests {
    use super::super::proofs::AGE;
    use super::*;
    use crate::formats::{self, Decoding, Encode, ModelSettings};
    use contract::chat::Answer;
    use contract::ids::Ids;
    use contract::provider::CallBody;
    use serde_json::{Value, json};
    use std::sync::atomic::{AtomicU64, Ordering};

    #[derive(Default)]
    struct Counted(AtomicU64);

    impl Ids for Counted {
        fn unique(&self) -> String {
            self.0.fetch_add(1, Ordering::Relaxed).to_string()
        }
        fn secret(&self, _: &mut [u8]) {}
    }

    const EARLY: Duration = Duration::from_secs(1);

    fn whose(who: &str) -> Whose {
        Whose { who: who.into(), model: "p/m".into() }
    }

    /// Has a stream of the format read for a caller, byte by byte.
    fn answered(proofs: &Arc<Proofs>, kind: &str, stream: &str, now: Duration) -> Answer {
        let format = formats::by_kind(kind).expect("a format");
        let ids: SharedIds = Arc::new(Counted::default());
        let gathering = Gathering::new(proofs, &ids, whose("me"), now);
        let mut decoder = gathering.around(format.stream_decoder(&Decoding { model: "m".into(), thoughts: None }));
        let mut answer = Answer::default();
        for byte in stream.bytes() {
            decoder.feed(&Bytes::copy_from_slice(&[byte]), &mut answer).expect("a stream");
        }
        decoder.end(&mut answer).expect("complete");
        answer
    }

    /// The request with which a client returns: it prints arguments in its own way.
    fn returning(answer: &Answer) -> CallBody {
        let calls: Vec<Value> = answer
            .calls
            .iter()
            .map(|call| {
                let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or(json!({}));
                let arguments = serde_json::to_string_pretty(&arguments).expect("JSON");
                json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}})
            })
            .collect();
        let mut messages = vec![json!({"role": "user", "content": "q"})];
        messages.push(json!({"role": "assistant", "content": null, "tool_calls": calls}));
        let result = |call: &Value| json!({"role": "tool", "tool_call_id": call["id"], "content": "r"});
        messages.extend(calls.iter().map(result));
        CallBody::Raw(json!({"model": "p/m", "messages": messages}).to_string().into())
    }

    fn written(kind: &str, model: &str, body: &CallBody) -> String {
        let format = formats::by_kind(kind).expect("a format");
        let call = Encode { body, model, stream: false, settings: &ModelSettings::default() };
        String::from_utf8(format.encode(&call).expect("encodes").body.to_vec()).expect("text")
    }

    fn put_back(proofs: &Proofs, kind: &str, who: &str, body: &CallBody, now: Duration) -> Option<CallBody> {
        proofs.put_back(&whose(who), formats::by_kind(kind).expect("a format"), body, now)
    }

    const GEMINI: &str = concat!(
        r#"data: {"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"b":1,"a":[2]}},"thoughtSignature":"s\u002f="},{"functionCall":{"name":"g"}}]},"finishReason":"STOP"}]}"#,
        "\n\n"
    );
    const ANTHROPIC: &str = concat!(
        "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"redacted_thinking\",\"data\":\"d+/=\"}}\n\n",
        "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"f\",\"input\":{}}}\n\n",
        "data: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
        "data: {\"type\":\"message_stop\"}\n\n",
    );
    const OPENROUTER: &str = concat!(
        "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}}]}\n\n",
        "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"reasoning_details\":[{\"type\":\"reasoning.encrypted\", \"data\":\"x\"}]},\"finish_reason\":\"tool_calls\"}]}\n\n",
        "data: [DONE]\n\n",
    );

    #[test]
    fn what_a_provider_wants_back_it_gets_back() {
        for (kind, model, stream, wanted) in [
            ("gemini", "gemini-2.5-flash", GEMINI, r#""thoughtSignature":"s\u002f=""#),
            ("anthropic", "claude-haiku-4-5", ANTHROPIC, r#"{"type":"redacted_thinking","data":"d+/="}"#),
            ("openrouter", "m", OPENROUTER, r#""reasoning_details":[{"type":"reasoning.encrypted", "data":"x"}]"#),
        ] {
            let proofs = Arc::new(Proofs::default());
            let answer = answered(&proofs, kind, stream, EARLY);
            assert!(answer.calls.iter().all(|call| call.id.is_some()), "{kind}: every call has an id");
            let body = returning(&answer);
            assert!(!written(kind, model, &body).contains(wanted), "{kind}: the client cannot know it");
            let back = put_back(&proofs, kind, "me", &body, EARLY).expect(kind);
            assert!(written(kind, model, &back).contains(wanted), "{kind}: {}", written(kind, model, &back));
            assert!(put_back(&proofs, kind, "me", &body, EARLY).is_some(), "{kind}: and again in the next round");
            assert!(put_back(&proofs, kind, "you", &body, EARLY).is_none(), "{kind}: another caller gets nothing");
            assert!(put_back(&proofs, kind, "me", &body, EARLY + AGE * 2).is_none(), "{kind}: forgotten in time");
            assert_eq!(proofs.len(), 0, "{kind}");
        }
    }

    #[test]
    fn proof_finds_its_call_wherever_the_client_puts_it() {
        let proofs = Arc::new(Proofs::default());
        let mut answer = answered(&proofs, "gemini", GEMINI, EARLY);
        answer.calls.reverse();
        let back = put_back(&proofs, "gemini", "me", &returning(&answer), EARLY).expect("found by the other call");
        let CallBody::Request(request) = back else { panic!("a request") };
        assert_eq!(request.messages[1].opaque.iter().map(|part| part.call).collect::<Vec<_>>(), [Some(1)]);
        answer.calls.pop();
        let back = put_back(&proofs, "gemini", "me", &returning(&answer), EARLY).expect("found");
        let CallBody::Request(request) = back else { panic!("a request") };
        assert_eq!(request.messages[1].opaque, [], "its call was left out");
    }

    #[test]
    fn the_same_id_with_other_arguments_is_another_call() {
        let proofs = Arc::new(Proofs::default());
        let mut answer = answered(&proofs, "anthropic", ANTHROPIC, EARLY);
        answer.calls[0].arguments = "{\"x\":1}".to_owned();
        assert!(put_back(&proofs, "anthropic", "me", &returning(&answer), EARLY).is_none());
    }

    #[test]
    fn answers_without_calls_or_proof_are_not_kept() {
        let proofs = Arc::new(Proofs::default());
        let text = r#"data: {"candidates":[{"content":{"parts":[{"text":"a","thoughtSignature":"s"}]},"finishReason":"STOP"}]}"#;
        answered(&proofs, "gemini", text, EARLY);
        answered(&proofs, "gemini", &GEMINI.replace("thoughtSignature", "x"), EARLY);
        assert_eq!(proofs.len(), 0);
    }
}
