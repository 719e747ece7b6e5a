//! A provider's own words, as people may see them: short, on one line, without keys, pages and stack traces.
//!
//! It decides nothing about an error; what cannot be shown is left to the caller's own words.

use std::borrow::Cow;

/// The most characters of a provider's message that are told on.
const MAX_MESSAGE: usize = 500;

/// A provider's message as people may see it: one line, at most 500 characters, without what looks like a key; `None` if nothing of it
/// can be shown.
pub fn readable(message: &str) -> Option<String> {
    if message.contains("Traceback (most recent call last)") || message.trim_start().starts_with('<') {
        return None;
    }
    let spaced: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut words: Vec<Cow<'_, str>> = Vec::new();
    let mut after_key = false;
    for word in spaced.split_ascii_whitespace() {
        words.push(if is_secret(word, after_key) { Cow::Borrowed("***") } else { Cow::Borrowed(word) });
        let lower = word.to_ascii_lowercase();
        // "API key provided: abc", "key=abc": a few words may stand between.
        after_key = lower.contains("key") || lower.contains("token") || (after_key && lower.len() < 12);
    }
    let mut text: String = words.join(" ").chars().take(MAX_MESSAGE + 1).collect();
    if text.chars().count() > MAX_MESSAGE {
        text.pop();
        text.push('…');
    }
    (!text.is_empty()).then_some(text)
}

/// Whether a word of a message may be, or hold, a key.
fn is_secret(word: &str, after_key: bool) -> bool {
    const PREFIXES: [&str; 9] = ["sk-", "sk_", "pk-", "gsk_", "xai-", "hf_", "AIza", "ghp_", "eyJ"];
    let pieces =
        |separators: &'static str| word.split(move |c: char| !c.is_ascii_alphanumeric() && !separators.contains(c));
    if pieces("-_.").any(|piece| piece.len() >= 8 && PREFIXES.iter().any(|prefix| piece.starts_with(prefix))) {
        return true;
    }
    // Names of models hold digits too, but no long run without a separator.
    let mixed =
        |piece: &str| piece.bytes().any(|b| b.is_ascii_digit()) && piece.bytes().any(|b| b.is_ascii_alphabetic());
    let limit = if after_key { 12 } else { 24 };
    pieces("+=").any(|piece| piece.len() >= limit && mixed(piece))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_key_is_told() {
        for (message, shown) in [
            ("Incorrect API key provided: sk-proj-abc123def456ghi.", "Incorrect API key provided: ***"),
            ("bad token 0123456789abcdef", "bad token ***"),
            ("(key=a1b2c3d4e5f6a7b8c9d0e1f2a3)", "***"),
            ("see https://x/y?key=AIzaSyA1234567890", "see ***"),
            ("prompt too big for claude-haiku-4-5-20251001", "prompt too big for claude-haiku-4-5-20251001"),
            ("model 'qwen2.5-coder:7b-instruct-q4_K_M' is busy", "model 'qwen2.5-coder:7b-instruct-q4_K_M' is busy"),
        ] {
            assert_eq!(readable(message).as_deref(), Some(shown));
        }
    }

    #[test]
    fn only_words_are_shown() {
        assert_eq!(readable("a\n\tb\u{1b}[0m").as_deref(), Some("a b [0m"));
        for odd in ["", " \n ", "<html>bad", "x Traceback (most recent call last): y"] {
            assert_eq!(readable(odd), None, "{odd:?}");
        }
        let long = readable(&"word ".repeat(400)).expect("words");
        assert!(long.chars().count() == MAX_MESSAGE + 1 && long.ends_with('…'));
    }

    proptest! {
        #[test]
        fn messages_stay_short_and_plain(message in "(\\PC|\n|\t){0,700}") {
            let shown = readable(&message).unwrap_or_default();
            prop_assert!(shown.chars().count() <= MAX_MESSAGE + 1);
            prop_assert!(!shown.chars().any(char::is_control));
        }
    }
}
