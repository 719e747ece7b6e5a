//! Keeps what a model thought before it called tools that the client runs, for servers that refuse the results without it.
//!
//! It is told by the decoder when an answer is complete: an answer without calls costs nothing here, and none is changed on its way.

use super::proofs::{Proofs, Whose};
use crate::formats::Thoughts;
use contract::chat::{OpaquePart, ToolCall};
use memchr::memmem::Finder;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Keeps the thinking of one answer.
pub(super) struct Thinking {
    proofs: Arc<Proofs>,
    whose: Whose,
    now: Duration,
}

impl Thinking {
    /// For an answer to `whose` call. `now` is about when it will be kept.
    pub(super) fn new(proofs: &Arc<Proofs>, whose: Whose, now: Duration) -> Self {
        Self { proofs: Arc::clone(proofs), whose, now }
    }
}

impl Thoughts for Thinking {
    fn take(&self, calls: &[ToolCall], thinking: OpaquePart) {
        self.proofs.keep_thinking(&self.whose, calls, thinking, self.now);
    }
}

/// Whether the answer to this request may hold calls: the request as it goes out offers tools.
pub(super) fn may_follow(body: &[u8]) -> bool {
    // Made once: that costs more than a look through most requests.
    static TOOLS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"tools\":"));
    TOOLS.find(body).is_some()
}

#[cfg(test)]
mod tests {
    use super::super::proofs::AGE;
    use super::*;
    use crate::formats::{self, Decoding, Encode, ModelSettings};
    use bytes::Bytes;
    use contract::chat::{Answer, ChatRequest, Event, EventSink, Relayed};
    use contract::provider::CallBody;
    use serde_json::{Value, json};
    use std::rc::Rc;

    const EARLY: Duration = Duration::from_secs(1);
    /// With an escape of a kind that nobody writes who prints it anew, and a character in two chunks.
    const THOUGHT: &str = r#""Rain\u003f \ud83d\ude00 I look.""#;

    /// A reader that takes an answer as it comes, or in neutral events.
    struct Reader {
        relays: bool,
        relayed: Vec<u8>,
    }

    impl EventSink for Reader {
        fn event(&mut self, _: Event<'_>) {}
        fn relay(&mut self, bytes: Bytes, _: Relayed) {
            self.relayed.extend_from_slice(&bytes);
        }
        fn relay_whole(&mut self, body: Bytes) {
            self.relayed.extend_from_slice(&body);
        }
        fn relays(&self) -> bool {
            self.relays
        }
    }

    fn whose(who: &str) -> Whose {
        Whose { who: who.into(), model: "p/m".into() }
    }

    fn chunk(delta: &str, finish: &str) -> String {
        format!(
            r#"data: {{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]}}"#
        ) + "\n\n"
    }

    /// An answer with thinking under this name, and two calls.
    fn stream(name: &str) -> String {
        let call = |index: u8, id: &str, arguments: &str| {
            format!(
                r#"{{"tool_calls":[{{"index":{index},"id":"{id}","type":"function","function":{{"name":"f","arguments":"{arguments}"}}}}]}}"#
            )
        };
        [
            chunk(r#"{"role":"assistant","content":null}"#, "null"),
            chunk(&format!(r#"{{"{name}":"Rain\u003f \ud83d"}}"#), "null"),
            chunk(&format!(r#"{{"{name}":"\ude00 I look."}}"#), "null"),
            chunk(r#"{"content":"Let me see."}"#, "null"),
            chunk(&call(0, "call_1", ""), "null"),
            chunk(r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]}"#, "null"),
            chunk(r#"{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}"#, "null"),
            chunk(&call(1, "call_2", "{}"), "null"),
            chunk("{}", r#""tool_calls""#),
            "data: [DONE]\n\n".to_owned(),
        ]
        .concat()
    }

    fn whole(name: &str) -> String {
        let calls = json!([
            {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
            {"id": "call_2", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        ]);
        format!(
            r#"{{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":null,"{name}":{THOUGHT},"tool_calls":{calls}}},"finish_reason":"tool_calls"}}]}}"#
        )
    }

    struct Asked<'a> {
        body: &'a str,
        is_stream: bool,
        relays: bool,
    }

    /// Has an answer read for `me`; what was relayed of it.
    fn read(proofs: &Arc<Proofs>, asked: &Asked<'_>) -> Vec<u8> {
        let format = formats::by_kind("openai").expect("a format");
        let thinking = Thinking::new(proofs, whose("me"), EARLY);
        let decoding = Decoding { model: "m".into(), thoughts: Some(Rc::new(thinking)) };
        let mut reader = Reader { relays: asked.relays, relayed: Vec::new() };
        if asked.is_stream {
            let mut decoder = format.stream_decoder(&decoding);
            for piece in asked.body.as_bytes().chunks(7) {
                decoder.feed(&Bytes::copy_from_slice(piece), &mut reader).expect("an answer");
            }
            decoder.end(&mut reader).expect("complete");
        } else {
            format.decode_whole(&Bytes::copy_from_slice(asked.body.as_bytes()), &decoding, &mut reader).expect("read");
        }
        reader.relayed
    }

    /// The next request, by a client that prints arguments in its own way; `own` is what it sends beside them.
    fn returning(own: &Value) -> Value {
        let call = |id: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}});
        let mut said = json!({"role": "assistant", "content": null, "tool_calls": [call("call_1", "{ \"a\": 1 }"), call("call_2", "")]});
        for (name, value) in own.as_object().into_iter().flatten() {
            said[name] = value.clone();
        }
        json!({"model": "p/m", "messages": [
            {"role": "user", "content": "q"},
            said,
            {"role": "tool", "tool_call_id": "call_1", "content": "r"},
            {"role": "tool", "tool_call_id": "call_2", "content": "r"},
            {"role": "assistant", "content": "a"},
            {"role": "user", "content": "and now?"},
        ]})
    }

    fn put_back(proofs: &Proofs, who: &str, body: &CallBody, now: Duration) -> Option<CallBody> {
        proofs.put_back(&whose(who), formats::by_kind("openai").expect("a format"), body, now)
    }

    fn bodies(own: &Value) -> [CallBody; 2] {
        let body = returning(own).to_string();
        let built = ChatRequest::parse(body.as_bytes()).expect("a request");
        [CallBody::Raw(body.into()), CallBody::Request(Rc::new(built))]
    }

    /// What the provider gets to see with the model's own messages.
    fn written(body: &CallBody) -> Vec<Value> {
        let settings = ModelSettings { reasoning_back: true, ..ModelSettings::default() };
        let call = Encode { body, model: "m", stream: false, settings: &settings };
        let encoded = formats::by_kind("openai").expect("a format").encode(&call).expect("encodes");
        let value: Value = serde_json::from_slice(&encoded.body).expect("JSON");
        [1, 4].map(|at| value["messages"][at]["reasoning_content"].clone()).to_vec()
    }

    #[test]
    fn thinking_goes_back_however_the_answer_came_and_went() {
        let thought: Value = serde_json::from_str(THOUGHT).expect("JSON");
        for name in ["reasoning_content", "reasoning"] {
            let (stream, whole) = (stream(name), whole(name));
            for (body, is_stream) in [(&stream, true), (&whole, false), (&whole, true), (&stream, false)] {
                for relays in [true, false] {
                    let proofs = Arc::new(Proofs::default());
                    let relayed = read(&proofs, &Asked { body, is_stream, relays });
                    // The short name is mended; the calls of a stream are relayed all the same.
                    let fits = (body == &stream) == is_stream && (is_stream || name == "reasoning_content");
                    let has_calls = relayed.windows(6).any(|bytes| bytes == b"call_1");
                    assert_eq!(has_calls, relays && fits, "{name} {is_stream}");
                    for body in bodies(&json!({})) {
                        let back = put_back(&proofs, "me", &body, EARLY).expect("kept");
                        assert_eq!(written(&back), [thought.clone(), json!("")], "{name} {is_stream} {relays}");
                        if let CallBody::Raw(bytes) = back {
                            assert!(
                                bytes.windows(THOUGHT.len()).any(|bytes| bytes == THOUGHT.as_bytes()),
                                "as it came"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_a_client_sends_itself_wins() {
        let proofs = Arc::new(Proofs::default());
        read(&proofs, &Asked { body: &stream("reasoning_content"), is_stream: true, relays: true });
        for own in [json!({"reasoning_content": "mine"}), json!({"reasoning": "mine"})] {
            for body in bodies(&own) {
                let back = put_back(&proofs, "me", &body, EARLY);
                assert_eq!(written(back.as_ref().unwrap_or(&body))[0], "mine");
            }
        }
        for body in bodies(&json!({"reasoning_content": ""})) {
            assert!(written(&put_back(&proofs, "me", &body, EARLY).expect("kept"))[0] != "", "that is nothing");
        }
    }

    #[test]
    fn it_is_kept_for_one_caller_and_for_a_time() {
        let proofs = Arc::new(Proofs::default());
        read(&proofs, &Asked { body: &whole("reasoning_content"), is_stream: false, relays: true });
        let [body, _] = bodies(&json!({}));
        assert!(put_back(&proofs, "you", &body, EARLY).is_none());
        assert!(put_back(&proofs, "me", &body, EARLY + AGE * 2).is_none());
        assert_eq!(proofs.len(), 0);
    }

    #[test]
    fn answers_without_calls_or_thinking_are_not_kept() {
        let proofs = Arc::new(Proofs::default());
        let words = chunk(r#"{"role":"assistant","reasoning_content":"hm","content":"a"}"#, "null");
        let words = words + &chunk("{}", r#""stop""#) + "data: [DONE]\n\n";
        let nameless = |body: &str| body.replace("call_1", "").replace("call_2", "");
        let large = stream("reasoning_content").replacen("Rain", &"x".repeat(5 << 20), 1);
        for body in [words, stream("other"), nameless(&stream("reasoning_content")), large] {
            read(&proofs, &Asked { body: &body, is_stream: true, relays: true });
        }
        for body in [whole("other"), nameless(&whole("reasoning_content"))] {
            read(&proofs, &Asked { body: &body, is_stream: false, relays: true });
        }
        assert_eq!(proofs.len(), 0);
        // One that broke off is not kept either: its client gets a failure.
        let stream = stream("reasoning_content");
        let format = formats::by_kind("openai").expect("a format");
        let thoughts: Rc<dyn Thoughts> = Rc::new(Thinking::new(&proofs, whose("me"), EARLY));
        let mut decoder = format.stream_decoder(&Decoding { model: "m".into(), thoughts: Some(thoughts) });
        let cut = stream.find("data: [DONE]").expect("an end") - 200;
        decoder.feed(&Bytes::copy_from_slice(&stream.as_bytes()[..cut]), &mut Answer::default()).expect("read");
        assert!(decoder.end(&mut Answer::default()).is_err());
        assert_eq!(proofs.len(), 0);
    }

    #[test]
    fn only_a_request_that_offers_tools_is_heeded() {
        let asked = |settings: &ModelSettings, body: &'static str| {
            let body = CallBody::Raw(Bytes::from_static(body.as_bytes()));
            let call = Encode { body: &body, model: "m", stream: true, settings };
            may_follow(&formats::by_kind("openai").expect("a format").encode(&call).expect("encodes").body)
        };
        let tools = r#"{"messages":[], "tools" : [{"type":"function","function":{"name":"f"}}]}"#;
        assert!(asked(&ModelSettings::default(), tools));
        assert!(!asked(&ModelSettings { tools: Some(false), ..ModelSettings::default() }, tools));
        assert!(!asked(&ModelSettings::default(), r#"{"messages":[{"role":"user","content":"\"tools\": []"}]}"#));
    }
}
