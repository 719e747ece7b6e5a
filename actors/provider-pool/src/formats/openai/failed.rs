//! Failures that servers tell under a good status, in the clothes of an answer: beside its choices, within one, or in place of them.
//!
//! What a failure means is judged where every provider's errors are; here is only seen that there is one.

use super::chunk::{Choice, Chunk, is_hollow};
use super::counts::members;
use super::finish::{self, Finish};
use crate::formats::errors;
use crate::formats::wire::{Json, Raw};
use contract::failure::Failure;
use contract::json::Scan;

/// The failure that a chunk, or a whole answer, tells beside its choices. `text` is all of it.
pub fn of_chunk(chunk: &Chunk<'_>, text: &str) -> Option<Failure> {
    // One that says nothing is only one where there is nothing else.
    let is_told = chunk.error.is_some_and(|error| chunk.choices.is_none() || !says_nothing(error.get()));
    if is_told || chunk.object.is_some_and(|object| object.get() == "\"error\"") {
        return Some(errors::inside(text));
    }
    chunk.has_old_error.then(|| of_old_form(text))
}

/// `error_type` and `error_message`, read like the members of an `error`.
fn of_old_form(text: &str) -> Failure {
    let [kind, message, code] = members(text, ["error_type", "error_message", "error_code"]).unwrap_or_default();
    let json = |member: Raw<'_>| member.map_or("null", Json::get).to_owned();
    errors::inside(&format!(
        r#"{{"error":{{"type":{},"message":{},"code":{}}}}}"#,
        json(kind),
        json(message),
        json(code)
    ))
}

/// The failure that a choice tells: OpenRouter's `error` within it, or a finish reason that is none.
pub fn of_choice(choice: &Choice<'_>) -> Option<Failure> {
    if let Some(error) = choice.error.filter(|error| !says_nothing(error.get())) {
        return Some(errors::inside(&format!(r#"{{"error":{}}}"#, error.get())));
    }
    match finish::read(choice.finish_reason)? {
        Finish::Failed(word) => Some(finish::failure(&word)),
        Finish::Reason(_) => None,
    }
}

/// Whether it says nothing: null, "", [], {}, false, 0, and objects of nothing else.
fn says_nothing(value: &str) -> bool {
    let all_are_hollow = || Scan::of(value).object(|scan, _| says_nothing(scan.value()?).then_some(())).is_some();
    matches!(value, "null" | "0") || is_hollow(value) || value.starts_with('{') && all_are_hollow()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_says_something_is_a_failure() {
        for hollow in ["null", "false", "0", "\"\"", "[]", "{ }", r#"{"code":0,"message":"","more":{"a":null}}"#] {
            assert!(says_nothing(hollow), "{hollow}");
        }
        for told in ["true", "7", "\"x\"", "[1]", r#"{"code":502}"#, r#"{"code":null,"message":"m"}"#] {
            assert!(!says_nothing(told), "{told}");
        }
    }
}
