//! Rounds in which the model called tools: HAIA's own, the caller's, or both; what is kept of them, and how they are put back when the
//! caller returns. Pure.

use contract::chat::{Content, KeptCall, KeptRound, Message, OpaquePart, Role, ToolCall};
use std::collections::{HashMap, HashSet};

/// Who executes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// HAIA.
    Own,
    /// The caller.
    Callers,
}

/// One call of a round.
#[derive(Clone, Debug)]
pub(super) struct MixedCall {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: String,
    pub(super) whose: Whose,
}

impl MixedCall {
    /// The arguments as they may go to any provider: some refuse a request that holds anything but an object. What the tool itself got to see
    /// was what the model wrote, and its result says what was wrong with it.
    fn sane_arguments(&self) -> String {
        let is_object = serde_json::from_str::<HashMap<String, &serde_json::value::RawValue>>(&self.arguments).is_ok();
        if is_object { self.arguments.clone() } else { "{}".to_owned() }
    }
}

/// One round with calls.
#[derive(Debug, Default)]
pub(super) struct MixedRound {
    pub(super) text: String,
    pub(super) thinking: String,
    /// Every call in the model's order.
    pub(super) calls: Vec<MixedCall>,
    pub(super) opaque: Vec<OpaquePart>,
}

impl MixedRound {
    pub(super) fn has_own(&self) -> bool {
        self.calls.iter().any(|call| call.whose == Whose::Own)
    }

    pub(super) fn has_callers(&self) -> bool {
        self.calls.iter().any(|call| call.whose == Whose::Callers)
    }

    /// Whether there is something that the caller may not send back: proofs of thinking, or the thinking itself.
    pub(super) fn has_more_to_keep(&self) -> bool {
        !self.opaque.is_empty() || !self.thinking.is_empty()
    }

    /// The caller's calls as the caller is told of them: what the model wrote, `{}` for nothing.
    pub(super) fn callers(&self) -> Vec<ToolCall> {
        let callers = self.calls.iter().filter(|call| call.whose == Whose::Callers);
        let arguments = |call: &MixedCall| match call.arguments.trim() {
            "" => "{}".to_owned(),
            _ => call.arguments.clone(),
        };
        callers.map(|call| ToolCall::new(call.id.as_str(), call.name.as_str(), arguments(call))).collect()
    }

    /// The round as it is kept; `results` are those of HAIA's own calls in their order. An own call without a result was never run and is
    /// left out, and with it the provider's proof of it.
    pub(super) fn kept(&self, results: &[String]) -> KeptRound {
        let mut results = results.iter();
        let mut calls = Vec::with_capacity(self.calls.len());
        let mut places = HashMap::new();
        for (place, call) in (0u32..).zip(&self.calls) {
            let result = match call.whose {
                Whose::Callers => None,
                Whose::Own => match results.next() {
                    Some(result) => Some(result.clone()),
                    None => continue,
                },
            };
            places.insert(place, u32::try_from(calls.len()).unwrap_or(u32::MAX));
            let (id, name, arguments) = (call.id.clone(), call.name.clone(), call.sane_arguments());
            calls.push(KeptCall { id, name, arguments, result });
        }
        let opaque = self.opaque.iter().filter_map(|part| {
            let call = match part.call {
                Some(place) => Some(*places.get(&place)?),
                None => None,
            };
            Some(OpaquePart { call, ..part.clone() })
        });
        KeptRound { caller_calls: Vec::new(), calls, opaque: opaque.collect(), thinking: self.thinking.clone() }
    }

    /// The assistant's message and the results of a round that was HAIA's own alone.
    pub(super) fn into_messages(self, results: Vec<String>) -> (Message, Vec<Message>) {
        let answered = self.calls.iter().zip(results);
        let results = answered.map(|(call, text)| Message::tool_result(call.id.as_str(), call.name.as_str(), text));
        let results = results.collect();
        let tool_calls =
            self.calls.iter().map(|call| ToolCall::new(call.id.as_str(), call.name.as_str(), call.sane_arguments()));
        let assistant = Message {
            content: (!self.text.is_empty()).then(|| Content::Text(self.text.clone())),
            tool_calls: tool_calls.collect(),
            reasoning_content: (!self.thinking.is_empty()).then(|| self.thinking.clone()),
            opaque: self.opaque.clone(),
            ..Message::text(Role::Assistant, "")
        };
        (assistant, results)
    }
}

/// Puts HAIA's own part back into a conversation: own rounds that went before, own calls and results beside the caller's, provider parts.
pub(super) fn restore(history: Vec<Message>, kept: Vec<KeptRound>) -> Vec<Message> {
    if kept.is_empty() {
        return history;
    }
    let mut restored = Vec::with_capacity(history.len() + 2 * kept.len());
    let mut rest = history.into_iter().peekable();
    while let Some(message) = rest.next() {
        let called: HashSet<&str> = message.tool_calls.iter().map(|call| call.id.as_str()).collect();
        let belongs = |round: &&KeptRound| {
            !called.is_empty()
                && round.caller_calls.len() == called.len()
                && round.caller_calls.iter().all(|id| called.contains(id.as_str()))
        };
        let rounds: Vec<&KeptRound> = kept.iter().filter(belongs).collect();
        if rounds.is_empty() {
            restored.push(message);
            continue;
        }
        let mut callers_results = HashMap::new();
        while let Some(result) = rest.next_if(|next| next.role == Role::Tool) {
            callers_results.insert(result.tool_call_id.clone().unwrap_or_default(), result);
        }
        for round in rounds {
            let is_own = round.calls.iter().all(|call| call.result.is_some());
            let tool_calls = round
                .calls
                .iter()
                .map(|call| ToolCall::new(call.id.as_str(), call.name.as_str(), call.arguments.as_str()));
            let assistant = Message {
                content: if is_own { None } else { message.content.clone() },
                tool_calls: tool_calls.collect(),
                // What the caller was told, and may send back, is the thinking of all rounds in one.
                reasoning_content: match round.thinking.as_str() {
                    "" if is_own => None,
                    "" => message.reasoning_content.clone(),
                    thinking => Some(thinking.to_owned()),
                },
                opaque: round.opaque.clone(),
                ..Message::text(Role::Assistant, "")
            };
            restored.push(assistant);
            for call in &round.calls {
                let result = match &call.result {
                    Some(text) => Some(Message::tool_result(call.id.as_str(), call.name.as_str(), text.as_str())),
                    None => callers_results.remove(&call.id),
                };
                restored.extend(result);
            }
        }
    }
    restored
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: &str, result: Option<&str>) -> KeptCall {
        KeptCall {
            id: id.into(),
            name: format!("tool_{id}"),
            arguments: "{}".into(),
            result: result.map(str::to_owned),
        }
    }

    fn part() -> OpaquePart {
        OpaquePart { format: "anthropic", json: bytes::Bytes::from_static(b"{\"signature\":\"s\"}"), call: None }
    }

    fn asked(ids: &[&str]) -> Message {
        let calls = ids.iter().map(|id| ToolCall::new(*id, "theirs", "{}")).collect();
        Message { tool_calls: calls, ..Message::text(Role::Assistant, "text") }
    }

    fn result(id: &str) -> Message {
        Message { name: None, ..Message::tool_result(id, "", format!("result of {id}")) }
    }

    /// The conversation as one line: roles, calls, results.
    fn shape(messages: &[Message]) -> String {
        let one = |message: &Message| match message.role {
            Role::Assistant if !message.tool_calls.is_empty() => {
                let ids: Vec<&str> = message.tool_calls.iter().map(|call| call.id.as_str()).collect();
                format!("calls[{}]{}", ids.join(" "), if message.opaque.is_empty() { "" } else { "+proof" })
            }
            Role::Tool => format!("{}={}", message.tool_call_id.as_deref().unwrap_or("?"), message.plain_text()),
            _ => message.plain_text(),
        };
        messages.iter().map(one).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn own_calls_and_results_go_back_to_their_places() {
        let kept = KeptRound {
            caller_calls: vec!["c1".into(), "c2".into()],
            calls: vec![call("c1", None), call("o1", Some("own")), call("c2", None)],
            opaque: vec![part()],
            thinking: "hm".into(),
        };
        let history = vec![
            Message::text(Role::User, "u"),
            asked(&["c1", "c2"]),
            result("c2"),
            result("c1"),
            Message::text(Role::User, "v"),
        ];
        let restored = restore(history, vec![kept]);
        assert_eq!(shape(&restored), "u | calls[c1 o1 c2]+proof | c1=result of c1 | o1=own | c2=result of c2 | v");
        assert_eq!(restored[1].plain_text(), "text");
        assert_eq!(restored[1].reasoning_content.as_deref(), Some("hm"));
    }

    #[test]
    fn own_rounds_before_the_callers_go_back_too() {
        let ids = vec!["c1".to_owned()];
        let kept = vec![
            KeptRound {
                caller_calls: ids.clone(),
                calls: vec![call("o1", Some("first"))],
                opaque: vec![part()],
                thinking: String::new(),
            },
            KeptRound { caller_calls: ids, calls: vec![call("c1", None)], opaque: vec![], thinking: String::new() },
        ];
        let told = Message { reasoning_content: Some("own".into()), ..asked(&["c1"]) };
        let history = vec![Message::text(Role::User, "u"), told, result("c1")];
        let restored = restore(history, kept);
        assert_eq!(shape(&restored), "u | calls[o1]+proof | o1=first | calls[c1] | c1=result of c1");
        let thinking = |at: usize| restored[at].reasoning_content.as_deref();
        assert_eq!((thinking(1), thinking(3)), (None, Some("own")), "the caller's, where there is no other");
    }

    #[test]
    fn what_does_not_fit_is_left_as_it_came() {
        let kept = KeptRound {
            caller_calls: vec!["c1".into(), "c2".into()],
            calls: vec![call("c1", None), call("c2", None), call("o1", Some("own"))],
            opaque: vec![],
            thinking: String::new(),
        };
        for history in [
            vec![asked(&["c1"]), result("c1")],
            vec![asked(&["c1", "c3"]), result("c1")],
            vec![Message::text(Role::Assistant, "a")],
        ] {
            assert_eq!(restore(history.clone(), vec![kept.clone()]), history);
        }
        // A result that the caller left out stays out.
        let missing = restore(vec![asked(&["c1", "c2"]), result("c2")], vec![kept]);
        assert_eq!(shape(&missing), "calls[c1 c2 o1] | c2=result of c2 | o1=own");
    }

    #[test]
    fn a_call_that_was_never_run_is_left_out_with_its_proof() {
        let call = |id: &str, whose| MixedCall { id: id.into(), name: "f".into(), arguments: String::new(), whose };
        let proof = |call| OpaquePart { call, ..part() };
        let round = MixedRound {
            calls: vec![call("o1", Whose::Own), call("c1", Whose::Callers), call("o2", Whose::Own)],
            opaque: vec![proof(Some(0)), proof(Some(1)), proof(None)],
            ..MixedRound::default()
        };
        let kept = round.kept(&[]);
        assert_eq!(kept.calls.iter().map(|call| call.id.as_str()).collect::<Vec<_>>(), ["c1"]);
        assert_eq!(kept.opaque, [proof(Some(0)), proof(None)]);
        let whole = round.kept(&["r1".into(), "r2".into()]);
        assert_eq!(whole.calls.len(), 3);
        assert_eq!(whole.calls[2].result.as_deref(), Some("r2"));
        assert_eq!(whole.opaque, round.opaque);
    }

    #[test]
    fn what_the_model_wrote_wrong_does_not_go_back() {
        for (arguments, sane) in
            [("{\"a\":1}", "{\"a\":1}"), ("", "{}"), ("{\"a\":", "{}"), ("[1]", "{}"), (" {} ", " {} ")]
        {
            let call = MixedCall { id: "i".into(), name: "f".into(), arguments: arguments.into(), whose: Whose::Own };
            assert_eq!(call.sane_arguments(), sane);
        }
    }
}
