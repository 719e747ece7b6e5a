//! What reads an answer in these tests: neutral events are collected, relayed bytes are read as strictly as the strictest client reads them.

use bytes::Bytes;
use contract::chat::{Answer, Event, EventSink, Head, Relayed};
use serde_json::Value;

/// A reader of an answer that also checks its order.
#[derive(Default)]
pub struct Client {
    relays: bool,
    relays_usage: bool,
    /// What came together.
    pub answer: Answer,
    /// Every relayed byte, in order.
    pub relayed: Vec<u8>,
    /// How often bytes were relayed.
    pub relays_made: usize,
    /// The whole body, if it was relayed.
    pub whole: Option<Bytes>,
    /// The neutral events by name, `Usage` and `Head` aside.
    pub neutral: Vec<&'static str>,
    has_head: bool,
    has_role: bool,
    usage_relayed: bool,
    ended: Vec<u32>,
}

impl Client {
    /// Wants neutral events only.
    pub fn neutral() -> Self {
        Self::default()
    }

    /// Wants bytes as they are; usage chunks too if asked for.
    pub fn relaying(usage: bool) -> Self {
        Self { relays: true, relays_usage: usage, ..Self::default() }
    }

    fn told(&mut self, name: &'static str) {
        assert!(self.has_head, "{name} before the head");
        if !matches!(name, "Usage") {
            assert_eq!(self.answer.finish, None, "{name} after the finish reason");
            self.neutral.push(name);
        }
        if matches!(name, "Text" | "Thinking" | "Refusal" | "ToolStart") {
            self.has_role = true;
        }
    }

    fn read_chunk(&mut self, chunk: &Value) -> Relayed {
        let head: &Head = &self.answer.head;
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert_eq!(chunk["id"].as_str(), head.id.as_deref(), "one id throughout");
        assert_eq!(chunk["created"].as_i64(), head.created, "one time throughout");
        assert_eq!(chunk["model"].as_str(), head.model.as_deref(), "one model throughout");
        assert!(chunk["id"].as_str().is_some_and(|id| !id.is_empty()) && chunk.get("error").is_none());
        let choices = chunk["choices"].as_array().expect("choices");
        let mut holds = Relayed::default();
        let Some(choice) = choices.first() else {
            assert!(chunk["usage"]["prompt_tokens"].is_u64() && self.relays_usage && !self.usage_relayed);
            self.usage_relayed = true;
            holds.usage = true;
            return holds;
        };
        assert_eq!((choices.len(), &choice["index"]), (1, &Value::from(0)));
        assert!(chunk["usage"].is_null(), "usage beside a choice");
        assert_eq!(self.answer.finish, None, "a choice after the finish reason");
        let delta = choice["delta"].as_object().expect("a delta");
        // What it has no word for is something, beside the first role alone.
        const KNOWN: [&str; 8] = [
            "role",
            "content",
            "reasoning_content",
            "reasoning",
            "reasoning_details",
            "refusal",
            "tool_calls",
            "function_call",
        ];
        let hollow = |value: &Value| {
            matches!(value, Value::Null | Value::Bool(false))
                || value.to_string().bytes().all(|byte| b"\"[]{}, \t\r\n".contains(&byte))
        };
        let more = delta.iter().any(|(name, value)| !KNOWN.contains(&name.as_str()) && !hollow(value));
        holds.content = more && self.has_role && choice["finish_reason"].is_null();
        if let Some(role) = delta.get("role") {
            assert_eq!(role, "assistant");
            holds.role = true;
            self.has_role = true;
        }
        assert!(self.has_role, "a delta before the role: {chunk}");
        for (name, text) in [("content", &mut self.answer.text), ("reasoning_content", &mut self.answer.thinking)] {
            let piece = delta.get(name).filter(|piece| !piece.is_null());
            let piece = piece.map(|piece| piece.as_str().expect("text")).unwrap_or_default();
            holds.content |= !piece.is_empty();
            text.push_str(piece);
        }
        assert!(delta.get("refusal").is_none_or(|refusal| refusal.is_null() || refusal == ""));
        for name in ["reasoning", "function_call"] {
            assert!(delta.get(name).is_none_or(|member| member.is_null() || member == ""), "{chunk}");
        }
        for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            holds.content = true;
            self.read_call(call);
        }
        if let Some(reason) = choice.get("finish_reason").filter(|reason| !reason.is_null()) {
            holds.finish = true;
            self.answer.finish = Some(serde_json::from_value(reason.clone()).expect("one of the four"));
        }
        holds
    }

    fn read_call(&mut self, call: &Value) {
        let index = u32::try_from(call["index"].as_u64().expect("an index")).expect("a small index");
        let function = &call["function"];
        if index as usize == self.answer.calls.len() {
            assert_eq!(call["type"], "function");
            let (id, name) = (call["id"].as_str().expect("an id"), function["name"].as_str().expect("a name"));
            assert!(!id.is_empty() && !name.is_empty());
            self.answer.event(Event::ToolStart { index, id: Some(id), name });
        } else {
            assert!((index as usize) < self.answer.calls.len(), "a gap before call {index}");
            assert!(call.get("id").is_none() && function.get("name").is_none(), "told twice: {call}");
        }
        let json = function["arguments"].as_str().unwrap_or_default();
        self.answer.event(Event::ToolArguments { index, json });
    }
}

impl EventSink for Client {
    fn event(&mut self, event: Event<'_>) {
        match &event {
            Event::Head(_) => {
                assert!(!self.has_head, "a second head");
                self.has_head = true;
            }
            Event::Text(text) => {
                assert!(!text.is_empty());
                self.told("Text");
            }
            Event::Thinking(_) => self.told("Thinking"),
            Event::Refusal(_) => self.told("Refusal"),
            Event::ToolStart { index, .. } => {
                assert_eq!(*index as usize, self.answer.calls.len(), "calls are numbered without gaps");
                self.told("ToolStart");
            }
            Event::ToolArguments { index, .. } => {
                assert!((*index as usize) < self.answer.calls.len(), "arguments before their call");
                assert!(!self.ended.contains(index), "arguments after the end of their call");
                self.told("ToolArguments");
            }
            Event::ToolEnd { index } => {
                assert!(!self.ended.contains(index), "a call ends twice");
                self.ended.push(*index);
                self.told("ToolEnd");
            }
            Event::Opaque(_) => self.told("Opaque"),
            Event::Usage(_) | Event::Cost(_) => self.told("Usage"),
            Event::Stopped(_) => assert!(self.answer.finish.is_none(), "the end was told before"),
            Event::Finish(_) if self.whole.is_some() => {}
            Event::Finish(_) => self.told("Finish"),
            other => panic!("{other:?} is none of a decoder's events"),
        }
        self.answer.event(event);
    }

    fn relay(&mut self, bytes: Bytes, holds: Relayed) {
        assert!(self.relays && self.has_head && !bytes.is_empty());
        self.relays_made += 1;
        self.relayed.extend_from_slice(&bytes);
        let text = std::str::from_utf8(&bytes).expect("whole characters");
        let mut found = Relayed::default();
        for event in text.strip_suffix("\n\n").expect("whole events").split("\n\n") {
            let data = event.strip_prefix("data: ").unwrap_or_else(|| panic!("an odd event: {event}"));
            assert!(!data.contains(['\n', '\r']), "one line per event");
            let one = self.read_chunk(&serde_json::from_str(data).expect("JSON"));
            found = Relayed {
                role: found.role | one.role,
                content: found.content | one.content,
                finish: found.finish | one.finish,
                usage: found.usage | one.usage,
            };
        }
        assert_eq!(found, holds, "{text}");
    }

    fn relay_whole(&mut self, body: Bytes) {
        assert!(self.relays && self.has_head && self.whole.is_none());
        let answer: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(answer["object"], "chat.completion");
        let message = &answer["choices"][0]["message"];
        assert_eq!(message["role"], "assistant");
        self.answer.text.push_str(message["content"].as_str().unwrap_or_default());
        self.answer.thinking.push_str(message["reasoning_content"].as_str().unwrap_or_default());
        for (index, call) in (0..).zip(message["tool_calls"].as_array().into_iter().flatten()) {
            let (id, name) = (call["id"].as_str(), call["function"]["name"].as_str().expect("a name"));
            self.answer.event(Event::ToolStart { index, id, name });
            let json = call["function"]["arguments"].as_str().expect("JSON text");
            self.answer.event(Event::ToolArguments { index, json });
        }
        self.whole = Some(body);
    }

    fn relays(&self) -> bool {
        self.relays
    }

    fn relays_usage(&self) -> bool {
        self.relays_usage
    }
}
