//! Proofs of thinking that belong to calls which the client runs, and the thinking itself for servers that want it: kept by the calls' ids until
//! the client returns with the results.
//!
//! OpenAI's format has no place for proofs, and Anthropic, Gemini and OpenRouter want them back byte for byte. It has one for the thinking, but
//! many clients do not send it, and DeepSeek and Moonshot refuse what comes without. Which server does is known by its first refusal only, and
//! then the thinking of this very turn must be there: so it is kept of every answer with calls, apart from the proofs, which it shall not
//! push out. What belongs to calls of earlier turns goes back too: both servers want it. One store serves the whole process,
//! because a client's next request may meet another thread. It is locked once when an answer with a proof is complete, and once for a
//! request that goes on after such calls; never per chunk. It is bounded and forgets in time: a client that returns later is answered
//! all the same, as far as the provider can do without. What one caller's answers held no other caller can bring back.

use crate::formats::{Format, PutBack};
use contract::chat::{ChatRequest, Message, OpaquePart, ToolCall};
use contract::provider::CallBody;
use memchr::memmem::Finder;
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The most answers that are kept.
const ANSWERS: usize = 4096;
/// The most bytes of all proofs.
const PROOFS: usize = 32 << 20;
/// The most bytes of all thinking.
const THINKING: usize = 16 << 20;
/// How long a client may take to return: people approve what tools may do.
pub(super) const AGE: Duration = Duration::from_secs(6 * 3600);

/// Whose calls they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Whose {
    /// The caller's name.
    pub who: Arc<str>,
    /// The provider and the model that answered, `<provider>/<model>`: what one model signed another refuses.
    pub model: Arc<str>,
}

/// A call as it is found again. Some providers count their ids anew in each conversation, so the name and the arguments belong to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    whose: Whose,
    id: String,
    name: String,
    /// The arguments, without what white space and order make of them.
    arguments: String,
}

struct Kept {
    at: Duration,
    bytes: usize,
    calls: Vec<Key>,
    parts: Vec<OpaquePart>,
}

struct Store {
    /// The most bytes of all answers.
    most: usize,
    answers: VecDeque<Kept>,
    /// The number of the oldest answer.
    first: u64,
    bytes: usize,
    /// The newest answer of each call, by its number.
    by_call: HashMap<Key, u64>,
}

/// The store of a process.
pub struct Proofs {
    proofs: Mutex<Store>,
    thinking: Mutex<Store>,
}

impl Default for Proofs {
    fn default() -> Self {
        Self { proofs: Mutex::new(Store::new(PROOFS)), thinking: Mutex::new(Store::new(THINKING)) }
    }
}

impl Proofs {
    /// The body with the proofs of earlier answers in their messages, or with the thinking for a format that has no proofs; `None` if there is
    /// nothing to put back.
    pub(super) fn put_back(
        &self,
        whose: &Whose,
        format: &dyn Format,
        body: &CallBody,
        now: Duration,
    ) -> Option<CallBody> {
        let has_proofs = format.keeps_proofs();
        let store = || lock(if has_proofs { &self.proofs } else { &self.thinking });
        let request = match body {
            CallBody::Raw(bytes) => {
                // Made once: that costs more than a look through most requests.
                static TOOL_CALLS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"tool_calls\""));
                TOOL_CALLS.find(bytes)?;
                if store().answers.is_empty() {
                    return None;
                }
                Rc::new(ChatRequest::parse(bytes).ok()?)
            }
            CallBody::Request(request) => Rc::clone(request),
        };
        let has_own = |message: &Message| match has_proofs {
            true => !message.opaque.is_empty(),
            false => message.reasoning_content.as_ref().is_some_and(|thinking| !thinking.is_empty()),
        };
        let open = |(_, message): &(usize, &Message)| !message.tool_calls.is_empty() && !has_own(message);
        let asked: Vec<(usize, Vec<Key>)> = request
            .messages
            .iter()
            .enumerate()
            .filter(open)
            .map(|(at, message)| (at, message.tool_calls.iter().map(|call| key(whose, call)).collect()))
            .collect();
        if asked.is_empty() {
            return None;
        }
        let mut store = store();
        store.forget(now);
        let found: Vec<PutBack> = asked
            .iter()
            .filter_map(|(message, keys)| Some(PutBack { message: *message, parts: store.find(keys)? }))
            .collect();
        drop(store);
        if found.is_empty() { None } else { format.put_back(body, &found) }
    }

    /// Keeps the proofs of an answer with these calls.
    pub(super) fn keep(&self, whose: &Whose, calls: &[ToolCall], parts: Vec<OpaquePart>, now: Duration) {
        let calls = calls.iter().map(|call| key(whose, call)).collect();
        lock(&self.proofs).keep(calls, parts, now);
    }

    /// Keeps what was thought before these calls.
    pub(super) fn keep_thinking(&self, whose: &Whose, calls: &[ToolCall], thinking: OpaquePart, now: Duration) {
        let calls = calls.iter().map(|call| key(whose, call)).collect();
        lock(&self.thinking).keep(calls, vec![thinking], now);
    }

    /// How many answers are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.proofs).answers.len() + lock(&self.thinking).answers.len()
    }
}

fn lock(store: &Mutex<Store>) -> MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    fn new(most: usize) -> Self {
        Self { most, answers: VecDeque::new(), first: 0, bytes: 0, by_call: HashMap::new() }
    }

    fn keep(&mut self, calls: Vec<Key>, parts: Vec<OpaquePart>, now: Duration) {
        let texts = calls.iter().map(|call| call.id.len() + call.name.len() + call.arguments.len());
        let bytes = texts.chain(parts.iter().map(|part| part.json.len())).sum();
        let number = self.first + self.answers.len() as u64;
        self.by_call.extend(calls.iter().map(|call| (call.clone(), number)));
        self.bytes += bytes;
        self.answers.push_back(Kept { at: now, bytes, calls, parts });
        self.forget(now);
    }

    /// The parts that belong to calls with these keys, the places of the calls among them told anew.
    fn find(&self, keys: &[Key]) -> Option<Vec<OpaquePart>> {
        let number = keys.iter().find_map(|key| self.by_call.get(key))?;
        let kept = self.answers.get(usize::try_from(number.checked_sub(self.first)?).ok()?)?;
        let place = |part: &OpaquePart| match part.call {
            None => Some(part.clone()),
            Some(index) => {
                let call = kept.calls.get(index as usize)?;
                let place = keys.iter().position(|key| key == call)?;
                Some(OpaquePart { call: u32::try_from(place).ok(), ..part.clone() })
            }
        };
        Some(kept.parts.iter().filter_map(place).collect())
    }

    fn forget(&mut self, now: Duration) {
        while let Some(oldest) = self.answers.front() {
            let is_old = now.saturating_sub(oldest.at) > AGE;
            if !is_old && self.answers.len() <= ANSWERS && self.bytes <= self.most {
                return;
            }
            if let Some(oldest) = self.answers.pop_front() {
                self.bytes = self.bytes.saturating_sub(oldest.bytes);
                for call in &oldest.calls {
                    if self.by_call.get(call) == Some(&self.first) {
                        self.by_call.remove(call);
                    }
                }
            }
            self.first += 1;
        }
    }
}

fn key(whose: &Whose, call: &ToolCall) -> Key {
    Key {
        whose: whose.clone(),
        id: call.id.clone(),
        name: call.function.name.clone(),
        arguments: plain(&call.function.arguments),
    }
}

/// Arguments in one spelling; what is no JSON stays as it is.
fn plain(arguments: &str) -> String {
    let arguments = arguments.trim();
    match serde_json::from_str::<Value>(if arguments.is_empty() { "{}" } else { arguments }) {
        Ok(mut value) => {
            one_spelling(&mut value);
            value.to_string()
        }
        Err(_) => arguments.to_owned(),
    }
}

/// JavaScript prints 1.0 as 1, so clients that read the arguments and print them again send back other text.
fn one_spelling(value: &mut Value) {
    match value {
        Value::Number(number) => {
            // Whole numbers that a float holds exactly.
            const EXACT: f64 = 9_007_199_254_740_992.0;
            let whole = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < EXACT);
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
            if let Some(whole) = whole {
                *number = (whole as i64).into();
            }
        }
        Value::Array(list) => list.iter_mut().for_each(one_spelling),
        Value::Object(members) => members.values_mut().for_each(one_spelling),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLY: Duration = Duration::from_secs(1);

    #[test]
    fn arguments_are_the_same_however_they_are_printed() {
        assert_eq!(plain(r#"{"x": 1.0, "y": [-2.0e0, 1e3], "b": "1.0"}"#), plain(r#"{"b":"1.0","y":[-2,1000],"x":1}"#));
        for (one, other) in [
            (r#"{"x":1.5}"#, r#"{"x":1}"#),
            (r#"{"x":"1.0"}"#, r#"{"x":"1"}"#),
            ("[9007199254740993]", "[9007199254740992]"),
        ] {
            assert_ne!(plain(one), plain(other));
        }
        assert_eq!((plain(""), plain("{not")), ("{}".to_owned(), "{not".to_owned()));
    }

    #[test]
    fn the_store_is_bounded() {
        let mut store = Store::new(PROOFS);
        let call = |id: usize| {
            key(&Whose { who: "me".into(), model: "p/m".into() }, &ToolCall::new(id.to_string(), "f", "{}"))
        };
        let part = |bytes: usize| OpaquePart { format: "gemini", json: vec![b'x'; bytes].into(), call: None };
        for id in 0..ANSWERS + 5 {
            store.keep(vec![call(id)], vec![part(10)], EARLY);
        }
        assert_eq!((store.answers.len(), store.by_call.len()), (ANSWERS, ANSWERS));
        assert!(store.find(&[call(4)]).is_none() && store.find(&[call(5)]).is_some());
        for id in 0..20 {
            store.keep(vec![call(id)], vec![part(3 << 20)], EARLY);
        }
        assert!(store.bytes <= PROOFS && store.find(&[call(19)]).is_some(), "{}", store.bytes);
        store.keep(vec![call(19)], vec![part(1)], EARLY);
        assert_eq!(store.find(&[call(19)]).expect("kept")[0].json.len(), 1, "the newest counts");
    }
}
