//! Why an OpenAI answer ended, in the words that servers use.
//!
//! It judges words alone: what an answer held, and what follows from a failure, is its reader's business.

use crate::formats::wire::{self, Raw};
use crate::formats::wording::readable;
use contract::chat::FinishReason;
use contract::failure::{Failure, FailureClass};
use std::borrow::Cow;

/// The most characters of a server's own word that are told on.
const MAX_WORD: usize = 100;

/// A finish reason as servers give it.
pub enum Finish<'a> {
    /// One of OpenAI's four.
    Reason(FinishReason),
    /// Not an end but a failure, in the server's own words.
    Failed(Cow<'a, str>),
}

/// Why the model stopped; `None` for null, "" or nothing.
pub fn read(raw: Raw<'_>) -> Option<Finish<'_>> {
    let told = wire::filled(raw)?;
    // Google's words are followed by its own reason: `content_filter: PROHIBITED_CONTENT`.
    let plain = || known(&told.split(':').next()?.trim().to_ascii_lowercase());
    Some(match known(&told).or_else(plain) {
        Some(Known::Reason(reason)) => Finish::Reason(reason),
        Some(Known::Failed) => Finish::Failed(told),
        // `eos` (Together), and words that are yet to be invented: the model has ended by itself.
        None => Finish::Reason(FinishReason::Stop),
    })
}

enum Known {
    Reason(FinishReason),
    Failed,
}

fn known(word: &str) -> Option<Known> {
    Some(match word {
        "stop" => Known::Reason(FinishReason::Stop),
        "length" | "max_tokens" | "model_length" | "model_context_window_exceeded" => {
            Known::Reason(FinishReason::Length)
        }
        "tool_calls" | "function_call" | "tool_use" => Known::Reason(FinishReason::ToolCalls),
        // `sensitive` is Z.ai's.
        "content_filter" | "sensitive" => Known::Reason(FinishReason::ContentFilter),
        // OpenRouter's and vLLM's `error`; DeepSeek's lack of resources; a call that Google's filter found malformed. Z.ai says `network_error`.
        "error"
        | "abort"
        | "aborted"
        | "insufficient_system_resource"
        | "function_call_filter"
        | "malformed_function_call" => Known::Failed,
        word if word.ends_with("_error") => Known::Failed,
        _ => return None,
    })
}

/// What a failure means that was told as a finish reason in this word.
pub fn failure(word: &str) -> Failure {
    let shown = readable(word).filter(|shown| !shown.eq_ignore_ascii_case("error"));
    let message = match shown {
        Some(shown) => {
            let shown: String = shown.chars().take(MAX_WORD).collect();
            format!("the provider ended its answer with an error: {shown}").into()
        }
        None => Cow::Borrowed("the provider ended its answer with an error that it does not explain"),
    };
    Failure::new(FailureClass::ServerError, message)
}

/// The reason that fits the calls that were made: some servers say `stop` after calls.
pub fn fitting(reason: FinishReason, calls: bool) -> FinishReason {
    match reason {
        FinishReason::Stop if calls => FinishReason::ToolCalls,
        FinishReason::ToolCalls if !calls => FinishReason::Stop,
        reason => reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::json::Scan;

    #[test]
    fn a_servers_own_word_is_shown_short_and_plain() {
        let long = "x".repeat(300);
        for (word, shown) in [
            ("network_error", "an error: network_error"),
            ("out of\n memory", "an error: out of memory"),
            ("ERROR", "an error that it does not explain"),
            ("<html>_error", "an error that it does not explain"),
            (&long, &format!("an error: {}", &long[..MAX_WORD])),
        ] {
            assert_eq!(failure(word).message, format!("the provider ended its answer with {shown}"));
        }
    }

    #[test]
    fn what_is_no_word_is_no_reason() {
        for odd in ["null", "\"\"", "7", "{}"] {
            let raw = wire::raw(&mut Scan::of(odd)).expect("JSON");
            assert!(read(raw).is_none(), "{odd}");
        }
    }
}
