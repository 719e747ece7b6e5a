//! Answers as one `chat.completion` object: for requests that are not streamed.

use super::chunks::{Asked, put_usage};
use crate::encoder::{WholeEncoder, unfinished};
use bytes::{BufMut as _, Bytes, BytesMut};
use contract::chat::{Answer, Event, EventSink, FinishReason};
use contract::failure::Failure;
use contract::json::{put_number, put_string};
use std::borrow::Cow;

/// Collects an answer, or takes over a compatible provider's whole body.
pub(crate) struct Whole {
    asked: Asked,
    answer: Answer,
    relayed: Option<Bytes>,
}

impl Whole {
    pub(crate) fn new(asked: Asked) -> Self {
        Self { asked, answer: Answer::default(), relayed: None }
    }
}

impl WholeEncoder for Whole {
    fn complete(self) -> Result<Bytes, Failure> {
        if let Some(body) = self.relayed {
            return Ok(body);
        }
        let reason = self.answer.finish.ok_or_else(unfinished)?;
        Ok(print(&self.asked, &self.answer, reason))
    }
}

impl EventSink for Whole {
    fn event(&mut self, event: Event<'_>) {
        self.answer.event(event);
    }

    fn relay_whole(&mut self, body: Bytes) {
        self.relayed = Some(body);
    }

    fn relays(&self) -> bool {
        self.asked.relay
    }

    fn relays_usage(&self) -> bool {
        true
    }
}

fn print(asked: &Asked, answer: &Answer, reason: FinishReason) -> Bytes {
    let room = 512 + answer.text.len() + answer.thinking.len() + answer.refusal.len();
    let mut out = BytesMut::with_capacity(room);
    out.put_slice(b"{\"id\":");
    match &answer.head.id {
        Some(id) => put_string(&mut out, id),
        None => put_string(&mut out, &format!("chatcmpl-{}", asked.ids.unique())),
    }
    out.put_slice(b",\"object\":\"chat.completion\",\"created\":");
    put_number(&mut out, answer.head.created.unwrap_or(asked.created));
    out.put_slice(b",\"model\":");
    put_string(&mut out, &asked.model);
    out.put_slice(b",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":");
    let content = content(answer);
    match &content {
        Some(text) => put_string(&mut out, text),
        None => out.put_slice(b"null"),
    }
    if !answer.refusal.is_empty() {
        out.put_slice(b",\"refusal\":");
        put_string(&mut out, &answer.refusal);
    }
    if !answer.thinking.is_empty() {
        out.put_slice(b",\"reasoning_content\":");
        put_string(&mut out, &answer.thinking);
    }
    if !answer.calls.is_empty() {
        print_calls(asked, answer, &mut out);
    }
    let reason = match reason {
        FinishReason::Stop if !answer.calls.is_empty() => FinishReason::ToolCalls,
        reason => reason,
    };
    out.put_slice(b"},\"logprobs\":null,\"finish_reason\":\"");
    out.put_slice(reason.as_str().as_bytes());
    out.put_slice(b"\"}]");
    if !answer.usage.is_empty() {
        out.put_slice(b",\"usage\":");
        put_usage(&mut out, &answer.usage);
    }
    out.put_slice(b"}");
    out.freeze()
}

/// The visible text; a refusal is part of it for clients that know none. Null only beside tool calls: elsewhere clients expect text.
fn content(answer: &Answer) -> Option<Cow<'_, str>> {
    match (answer.text.as_str(), answer.refusal.as_str()) {
        ("", "") => answer.calls.is_empty().then_some(Cow::Borrowed("")),
        (text, "") => Some(text.into()),
        ("", refusal) => Some(refusal.into()),
        (text, refusal) => Some(format!("{text}{refusal}").into()),
    }
}

fn print_calls(asked: &Asked, answer: &Answer, out: &mut BytesMut) {
    let mut separator: &[u8] = b",\"tool_calls\":[";
    for call in &answer.calls {
        out.put_slice(separator);
        out.put_slice(b"{\"id\":");
        match call.id.as_deref().filter(|id| !id.is_empty()) {
            Some(id) => put_string(out, id),
            None => put_string(out, &format!("call_{}", asked.ids.unique())),
        }
        out.put_slice(b",\"type\":\"function\",\"function\":{\"name\":");
        put_string(out, &call.name);
        out.put_slice(b",\"arguments\":");
        put_string(out, if call.arguments.is_empty() { "{}" } else { &call.arguments });
        out.put_slice(b"}}");
        separator = b",";
    }
    out.put_slice(b"]");
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::chat::{Head, Usage};
    use contract::failure::FailureClass;
    use runtime::world::TestIds;
    use std::sync::Arc;

    fn whole(relay: bool) -> Whole {
        Whole::new(Asked {
            model: "haia".into(),
            relay,
            usage: false,
            created: 1_700_000_000,
            ids: Arc::<TestIds>::default(),
        })
    }

    fn run(events: &[Event<'_>]) -> String {
        let mut whole = whole(false);
        for event in events {
            whole.event(event.clone());
        }
        let body = whole.complete().expect("whole").to_vec();
        serde_json::from_slice::<serde_json::Value>(&body).expect("JSON");
        String::from_utf8(body).expect("UTF-8")
    }

    #[test]
    fn an_answer_in_full() {
        let usage = Usage { input: Some(3), output: Some(4), ..Usage::default() };
        assert_eq!(
            run(&[
                Event::Thinking("hm"),
                Event::Text("a"),
                Event::Text("b\n"),
                Event::Usage(usage),
                Event::Finish(FinishReason::Stop)
            ]),
            "{\"id\":\"chatcmpl-id000000\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"haia\",\"choices\":[{\
             \"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"ab\\n\",\"reasoning_content\":\"hm\"},\"logprobs\":null,\
             \"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}}"
        );
    }

    #[test]
    fn the_message_of_each_kind_of_answer() {
        for (events, message) in [
            (vec![], r#"{"role":"assistant","content":""}"#),
            (vec![Event::Refusal("no")], r#"{"role":"assistant","content":"no","refusal":"no"}"#),
            (vec![Event::Text("a "), Event::Refusal("no")], r#"{"role":"assistant","content":"a no","refusal":"no"}"#),
            (
                vec![
                    Event::ToolStart { index: 0, id: Some("c1"), name: "look" },
                    Event::ToolArguments { index: 0, json: "{\"a\":1}" },
                    Event::ToolStart { index: 1, id: None, name: "now" },
                ],
                r#"{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"look","arguments":"{\"a\":1}"}},{"id":"call_id000001","type":"function","function":{"name":"now","arguments":"{}"}}]}"#,
            ),
        ] {
            let calls = events.iter().any(|event| matches!(event, Event::ToolStart { .. }));
            let mut events = events;
            events.push(Event::Finish(FinishReason::Stop));
            let found = run(&events);
            assert!(found.contains(&format!("\"message\":{message}")), "{found}");
            assert!(found.contains(if calls { "\"tool_calls\"}]" } else { "\"stop\"}]" }), "{found}");
            assert!(!found.contains("usage"), "{found}");
        }
    }

    #[test]
    fn the_providers_id_is_kept_and_the_asked_model_told() {
        let head = Head { id: Some("p-1".into()), model: Some("gpt".into()), created: Some(7) };
        let found = run(&[Event::Head(head), Event::Text("a"), Event::Finish(FinishReason::Stop)]);
        assert!(found.starts_with(r#"{"id":"p-1","object":"chat.completion","created":7,"model":"haia","#), "{found}");
    }

    #[test]
    fn a_relayed_body_passes_untouched() {
        let mut whole = whole(true);
        assert!(whole.relays());
        let body = Bytes::from_static(b"{\"any\":1}");
        whole.relay_whole(body.clone());
        assert_eq!(whole.complete().expect("whole").as_ptr(), body.as_ptr());
    }

    #[test]
    fn an_end_without_a_finish_reason_is_a_failure() {
        let mut whole = whole(false);
        whole.event(Event::Text("a"));
        assert_eq!(whole.complete().expect_err("not whole").class, FailureClass::Truncated);
    }
}
