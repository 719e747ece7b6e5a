//! Tool calls of an OpenAI stream: which delta belongs to which call, whatever indices the server gives.
//!
//! Servers count from 1, give every call the index 0, or none at all. HAIA counts from 0 without gaps. What
//! was relayed and what was not is kept per call, because a call's pieces must not be printed twice.

use super::chunk::{CallDelta, FunctionDelta};
use crate::formats::{MAX_EVENT, wire};
use contract::chat::Event;
use contract::failure::{Failure, FailureClass};
use std::borrow::Cow;

/// The most calls in one answer.
const MAX_CALLS: usize = 256;

/// The calls of one answer.
#[derive(Default)]
pub struct Calls {
    calls: Vec<Call>,
}

#[derive(Default)]
struct Call {
    /// The server's index.
    index: Option<u64>,
    id: String,
    /// Neutral calls only: whether their start was handed on. It waits for the name.
    started: bool,
    /// Arguments that came before the name.
    early: String,
    has_arguments: bool,
    relayed: bool,
}

impl Calls {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Whether these deltas are right as they are: indices from 0 without gaps, the first of a call with id, type and name, its others
    /// with arguments alone.
    pub fn are_clean(&self, deltas: &[CallDelta<'_>]) -> bool {
        if self.calls.last().is_some_and(Call::waits) {
            return deltas.is_empty();
        }
        let mut known = self.calls.len();
        deltas.iter().all(|delta| {
            let Some(index) = delta.index.and_then(|index| index.get().parse::<usize>().ok()) else { return false };
            let Some(function) = delta.function else { return false };
            let textual = |json: &str| json.starts_with('"');
            if !function.arguments.is_none_or(|arguments| textual(arguments.get())) {
                return false;
            }
            if index == known {
                known += 1;
                return known <= MAX_CALLS
                    && wire::filled(delta.id).is_some()
                    && delta.kind.is_some_and(|kind| kind.get() == "\"function\"")
                    && wire::filled(function.name).is_some();
            }
            let fresh = index >= self.calls.len();
            // Of calls with the same index the last one goes on.
            let relayed = fresh
                || self.calls[index].relayed
                    && self.calls[index].index == wire::count(delta.index)
                    && self.calls[index + 1..].iter().all(|later| later.index != self.calls[index].index);
            index < known && relayed && delta.id.is_none() && function.name.is_none()
        })
    }

    /// Notes deltas that were found clean and are relayed.
    pub fn relayed(&mut self, deltas: &[CallDelta<'_>]) {
        for delta in deltas {
            let index = wire::count(delta.index);
            let at = index.and_then(|index| usize::try_from(index).ok()).unwrap_or(usize::MAX);
            if at >= self.calls.len() {
                let id = wire::text(delta.id).unwrap_or_default().into_owned();
                self.calls.push(Call { index, id, relayed: true, ..Call::default() });
            }
            if let Some(call) = self.calls.get_mut(at) {
                call.has_arguments |= delta.function.is_some_and(|function| wire::filled(function.arguments).is_some());
            }
        }
    }

    /// Takes a delta that must be mended and hands on what it says.
    ///
    /// # Errors
    /// `Truncated` if there are more calls than an answer may hold.
    pub fn take(&mut self, delta: &CallDelta<'_>, mut tell: impl FnMut(Event<'_>)) -> Result<(), Failure> {
        let at = match self.belonging(delta) {
            Some(at) => at,
            None => self.begin(delta, &mut tell)?,
        };
        self.put(at, delta, &mut tell)
    }

    /// Takes an entry of a whole answer, which is a call of its own whatever index and id it has.
    ///
    /// # Errors
    /// `Truncated` if there are more calls than an answer may hold.
    pub fn take_whole(&mut self, delta: &CallDelta<'_>, mut tell: impl FnMut(Event<'_>)) -> Result<(), Failure> {
        let at = self.begin(delta, &mut tell)?;
        self.put(at, delta, &mut tell)
    }

    fn begin(&mut self, delta: &CallDelta<'_>, tell: &mut impl FnMut(Event<'_>)) -> Result<usize, Failure> {
        if self.calls.len() >= MAX_CALLS {
            let message = format!("the provider sent more than {MAX_CALLS} tool calls in one answer");
            return Err(Failure::new(FailureClass::Truncated, message));
        }
        let number = self.calls.len();
        // Calls begin in their order: one that still waits for its name has waited long enough.
        if let Some(last) = self.calls.last_mut().filter(|last| last.waits()) {
            last.start(numbered(number - 1), "", tell);
        }
        self.calls.push(Call { index: wire::count(delta.index), ..Call::default() });
        Ok(number)
    }

    fn put(&mut self, at: usize, delta: &CallDelta<'_>, tell: &mut impl FnMut(Event<'_>)) -> Result<(), Failure> {
        let FunctionDelta { name, arguments } = delta.function.unwrap_or_default();
        let call = &mut self.calls[at];
        let number = numbered(at);
        if let Some(id) = wire::filled(delta.id).filter(|_| call.id.is_empty()) {
            call.id = id.into_owned();
        }
        if call.waits()
            && let Some(name) = wire::filled(name)
        {
            call.start(number, &name, tell);
        }
        if let Some(json) = wire::arguments(arguments) {
            call.has_arguments = true;
            if call.relayed || call.started {
                tell(Event::ToolArguments { index: number, json: &json });
            } else {
                call.early.push_str(&json);
                if call.early.len() > MAX_EVENT {
                    let message = "the provider sent arguments without end for a call without a name";
                    return Err(Failure::new(FailureClass::Truncated, message));
                }
            }
        }
        Ok(())
    }

    /// The call that a delta goes on with; `None` if it begins one.
    fn belonging(&self, delta: &CallDelta<'_>) -> Option<usize> {
        let FunctionDelta { name, arguments } = delta.function.unwrap_or_default();
        let index = wire::count(delta.index);
        let id = wire::filled(delta.id);
        let opens = |json: Cow<'_, str>| json.trim_start().starts_with('{');
        if let Some(at) = id.as_deref().and_then(|id| self.known(id, index)) {
            // Some servers give every call one id, or the function's name for one: another index and a name begin another call then.
            let begins = index.is_some_and(|index| self.calls[at].index.is_some_and(|known| known != index))
                && wire::filled(name).is_some()
                && wire::arguments(arguments).is_none_or(opens);
            return (!begins).then_some(at);
        }
        let at = match index {
            Some(_) => self.calls.iter().rposition(|call| call.index == index)?,
            None => self.calls.len().checked_sub(1)?,
        };
        let call = &self.calls[at];
        let begins = match id {
            // Some servers draw a new id for each fragment; the index holds them together, and whoever uses an index twice tells a name.
            Some(_) if !call.id.is_empty() => index.is_none() || wire::filled(name).is_some(),
            // Without ids, a name begins a call, unless it only repeats the name over more fragments.
            _ if wire::filled(name).is_some() && (call.started || call.relayed) => {
                index.is_none() || call.has_arguments && wire::arguments(arguments).is_some_and(opens)
            }
            _ => false,
        };
        (!begins).then_some(at)
    }

    /// The call that has this id, with this index if several do.
    fn known(&self, id: &str, index: Option<u64>) -> Option<usize> {
        let own = self.calls.iter().rposition(|call| call.id == id && call.index == index);
        own.or_else(|| self.calls.iter().rposition(|call| call.id == id))
    }

    /// The answer is complete: ends every call, and gives relayed ones that had no arguments the empty object.
    pub fn end(&mut self, mut tell: impl FnMut(Event<'_>)) {
        for (number, call) in (0..).zip(&mut self.calls) {
            if call.relayed {
                if !call.has_arguments {
                    tell(Event::ToolArguments { index: number, json: "{}" });
                }
                continue;
            }
            if call.waits() {
                call.start(number, "", &mut tell);
            }
            tell(Event::ToolEnd { index: number });
        }
    }
}

/// A call's place as events tell it: there are at most 256.
fn numbered(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

impl Call {
    /// Whether its start was not told yet.
    fn waits(&self) -> bool {
        !self.relayed && !self.started
    }

    fn start(&mut self, number: u32, name: &str, tell: &mut impl FnMut(Event<'_>)) {
        self.started = true;
        tell(Event::ToolStart { index: number, id: Some(self.id.as_str()).filter(|id| !id.is_empty()), name });
        if !self.early.is_empty() {
            tell(Event::ToolArguments { index: number, json: &std::mem::take(&mut self.early) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::chat::{Answer, EventSink as _};

    fn delta(json: &str) -> CallDelta<'_> {
        CallDelta::read(&mut contract::json::Scan::of(json)).expect("JSON")
    }

    fn collect(deltas: &[&str]) -> Vec<(Option<String>, String, String)> {
        let mut calls = Calls::default();
        let mut answer = Answer::default();
        for json in deltas {
            let delta = delta(json);
            calls
                .take(&delta, &mut |event: Event<'_>| {
                    if let Event::ToolStart { index, .. } = event {
                        assert_eq!(index as usize, answer.calls.len(), "in order");
                    }
                    answer.event(event);
                })
                .expect("few calls");
        }
        calls.end(|event| answer.event(event));
        assert!(answer.calls.iter().all(|call| call.complete));
        answer.calls.into_iter().map(|call| (call.id, call.name, call.arguments)).collect()
    }

    fn call(id: &str, name: &str, arguments: &str) -> (Option<String>, String, String) {
        (Some(id.to_owned()).filter(|id| !id.is_empty()), name.to_owned(), arguments.to_owned())
    }

    #[test]
    fn deltas_find_their_call() {
        let rising = [
            r#"{"index":1,"id":"a","function":{"name":"f","arguments":""}}"#,
            r#"{"index":1,"function":{"name":"","arguments":"{}"}}"#,
            r#"{"index":4,"id":"b","function":{"name":"g"}}"#,
            r#"{"index":1,"function":{"arguments":" "}}"#,
        ];
        assert_eq!(collect(&rising), [call("a", "f", "{} "), call("b", "g", "")], "odd indices");
        let same = [
            r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}"#,
            r#"{"index":0,"id":"b","function":{"name":"f","arguments":{"x": 1}}}"#,
        ];
        assert_eq!(collect(&same), [call("a", "f", "{}"), call("b", "f", "{\"x\": 1}")], "the same index twice");
        let bare = [
            r#"{"id":"a","function":{"name":"f","arguments":"{"}}"#,
            r#"{"function":{"arguments":"}"}}"#,
            r#"{"id":"b","function":{"name":"g","arguments":"{}"}}"#,
            r#"{"function":{"name":"h","arguments":"{}"}}"#,
        ];
        assert_eq!(collect(&bare), [call("a", "f", "{}"), call("b", "g", "{}"), call("", "h", "{}")], "no index");
        let unnamed = [
            r#"{"index":0,"function":{"name":"f","arguments":"{}"}}"#,
            r#"{"index":0,"function":{"name":"g","arguments":"{}"}}"#,
        ];
        assert_eq!(collect(&unnamed), [call("", "f", "{}"), call("", "g", "{}")], "no ids");
        let repeated = [
            r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":"}}"#,
            r#"{"index":0,"id":"a","function":{"name":"f","arguments":"1}"}}"#,
        ];
        assert_eq!(collect(&repeated), [call("a", "f", "{\"x\":1}")], "id and name repeated");
        let redrawn = [
            r#"{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}"#,
            r#"{"index":0,"id":"b","function":{"arguments":"{\"x\":"}}"#,
            r#"{"index":0,"id":"c","function":{"name":"","arguments":"1}"}}"#,
            r#"{"index":1,"id":"d","function":{"name":"f","arguments":"{}"}}"#,
        ];
        assert_eq!(collect(&redrawn), [call("a", "f", "{\"x\":1}"), call("d", "f", "{}")], "an id for each fragment");
        let interleaved = [
            r#"{"id":"a","function":{"name":"f","arguments":"{"}}"#,
            r#"{"id":"b","function":{"name":"g","arguments":"{"}}"#,
            r#"{"id":"a","function":{"arguments":"}"}}"#,
            r#"{"id":"b","function":{"name":"g","arguments":"}"}}"#,
        ];
        assert_eq!(collect(&interleaved), [call("a", "f", "{}"), call("b", "g", "{}")], "told apart by id alone");
        let one_index = interleaved.map(|json| json.replace("{\"id\"", "{\"index\":0,\"id\""));
        assert_eq!(collect(&one_index.each_ref().map(String::as_str)), collect(&interleaved), "and the same index");
        let moved = [
            r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}"#,
            r#"{"index":1,"id":"b","function":{"name":"g","arguments":"{"}}"#,
            r#"{"index":2,"id":"a","function":{"name":"f","arguments":"}"}}"#,
            r#"{"index":0,"id":"b","function":{"arguments":"}"}}"#,
        ];
        assert_eq!(collect(&moved), [call("a", "f", "{}"), call("b", "g", "{}")], "the id before the index");
        let one_id = [
            r#"{"index":0,"id":"f","function":{"name":"f","arguments":"{\"x\":"}}"#,
            r#"{"index":1,"id":"f","function":{"name":"f"}}"#,
            r#"{"index":0,"id":"f","function":{"arguments":"1}"}}"#,
            r#"{"index":1,"id":"f","function":{"arguments":"{}"}}"#,
        ];
        assert_eq!(collect(&one_id), [call("f", "f", "{\"x\":1}"), call("f", "f", "{}")], "one id for all");
        let late = [
            r#"{"index":0,"id":"a","type":"function"}"#,
            r#"{"index":0,"function":{"arguments":"{"}}"#,
            r#"{"index":0,"function":{"name":"f","arguments":"}"}}"#,
        ];
        assert_eq!(collect(&late), [call("a", "f", "{}")], "the name comes late");
        let never = [r#"{"index":0,"id":"a"}"#, r#"{"index":1,"id":"b","function":{"name":"g"}}"#];
        assert_eq!(collect(&never), [call("a", "", ""), call("b", "g", "")], "the name never comes");
    }

    #[test]
    fn only_what_is_right_is_clean() {
        let first = r#"{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}"#;
        let clean = |before: &[&str], json: &str| {
            let mut calls = Calls::default();
            for json in before {
                calls.relayed(&[delta(json)]);
            }
            calls.are_clean(&[delta(json)])
        };
        assert!(clean(&[], first));
        assert!(clean(&[first], r#"{"index":0,"function":{"arguments":"{"}}"#));
        assert!(clean(&[first], &first.replace("\"index\":0", "\"index\":1")));
        for odd in [
            first.replace("\"index\":0", "\"index\":1"),
            first.replace("\"index\":0,", ""),
            first.replace("\"id\":\"a\",", ""),
            first.replace("\"a\"", "\"\""),
            first.replace("\"type\":\"function\",", ""),
            first.replace("\"f\"", "\"\""),
            first.replace("\"arguments\":\"\"", "\"arguments\":{}"),
            r#"{"index":0,"function":{"arguments":"{"}}"#.to_owned(),
        ] {
            assert!(!clean(&[], &odd), "{odd}");
        }
        assert!(!clean(&[first], first), "begins twice");
        let again = first.replace("\"a\"", "\"b\"");
        let mut calls = Calls::default();
        calls.relayed(&[delta(first)]);
        calls.take(&delta(&again), |_| {}).expect("few calls");
        assert!(!calls.are_clean(&[delta(r#"{"index":0,"function":{"arguments":"{"}}"#)]), "the last of its index");
        assert!(!clean(&[first], r#"{"index":0,"function":{"name":"","arguments":"{"}}"#));
    }

    #[test]
    fn too_many_calls_are_refused() {
        let mut calls = Calls::default();
        let refused = (0..300).find_map(|index| {
            let json = format!(r#"{{"index":{index},"id":"c{index}","function":{{"name":"f"}}}}"#);
            calls.take(&delta(&json), |_| {}).err().map(|_| index)
        });
        assert_eq!(refused, Some(256));
    }
}
