//! A person's question as words, and patterns that recognise it. Pure.
//!
//! A pattern is words in order, `a|b` for alternatives, a last `*` for whatever follows. Up to two other words may stand between two of
//! its words, and a word may be misspelt a little. What a pattern leaves over must be words without a meaning of their own, or the
//! question is about something else.

/// The longest question looked at, in words: more is a story, which patterns cannot understand.
const LONGEST: usize = 60;
/// Other words allowed between two words of a pattern.
const GAP: usize = 2;

/// Words that say nothing about what is asked.
const EMPTY_WORDS: &[&str] = &[
    "a",
    "about",
    "actually",
    "again",
    "all",
    "am",
    "an",
    "and",
    "are",
    "at",
    "be",
    "been",
    "bit",
    "but",
    "can",
    "could",
    "currently",
    "dear",
    "did",
    "do",
    "does",
    "everybody",
    "everyone",
    "exactly",
    "for",
    "from",
    "give",
    "good",
    "got",
    "had",
    "haia",
    "has",
    "have",
    "hello",
    "hey",
    "hi",
    "hm",
    "how",
    "i",
    "if",
    "in",
    "is",
    "it",
    "its",
    "just",
    "know",
    "let",
    "like",
    "lot",
    "may",
    "me",
    "moment",
    "much",
    "my",
    "need",
    "now",
    "of",
    "oh",
    "ok",
    "okay",
    "on",
    "one",
    "or",
    "our",
    "please",
    "pls",
    "really",
    "right",
    "say",
    "see",
    "should",
    "show",
    "so",
    "some",
    "tell",
    "thanks",
    "that",
    "the",
    "then",
    "there",
    "these",
    "they",
    "thing",
    "things",
    "this",
    "to",
    "today",
    "u",
    "us",
    "very",
    "want",
    "was",
    "we",
    "well",
    "were",
    "what",
    "when",
    "where",
    "which",
    "who",
    "will",
    "with",
    "would",
    "you",
    "your",
    "yours",
    "yourself",
];

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    words: Vec<String>,
}

/// How a pattern fits a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    /// Words of the pattern that were found.
    pub(crate) found: usize,
    /// Words with a meaning that the pattern leaves over.
    pub(crate) left: usize,
    /// What the pattern's last `*` stands for.
    pub(crate) rest: Vec<String>,
}

impl Question {
    /// Reads a message. Notes that clients put in front of it (`<attached_files>…`) are left out.
    pub(crate) fn new(text: &str) -> Self {
        let text = without_notes(text).to_lowercase().replace('’', "'").replace("'s ", " is ").replace("'re ", " are ");
        let separates = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '!' | '?' | '(' | ')' | '"');
        let mut words = Vec::new();
        for word in text.split(separates) {
            let word = word.trim_end_matches(|c: char| !c.is_alphanumeric());
            let word = word.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '/');
            match word {
                "" => {}
                "whats" => words.extend(["what".to_owned(), "is".to_owned()]),
                "hows" => words.extend(["how".to_owned(), "is".to_owned()]),
                "wheres" => words.extend(["where".to_owned(), "is".to_owned()]),
                _ => words.push(word.replace('\'', "")),
            }
        }
        Self { words }
    }

    /// Whether a pattern fits, and how well.
    pub(crate) fn matches(&self, pattern: &str) -> Option<Match> {
        if self.words.is_empty() || self.words.len() > LONGEST {
            return None;
        }
        let tokens: Vec<&str> = pattern.split(' ').collect();
        (0..self.words.len()).filter_map(|from| self.matches_from(&tokens, from)).min_by_key(|one| one.left)
    }

    fn matches_from(&self, tokens: &[&str], from: usize) -> Option<Match> {
        let mut used = vec![false; self.words.len()];
        let mut at = from;
        let mut found = 0;
        let mut rest = Vec::new();
        for (number, token) in tokens.iter().enumerate() {
            if *token == "*" {
                rest = self.words[at..].iter().filter(|word| !is_empty_word(word)).cloned().collect();
                if rest.is_empty() {
                    return None;
                }
                used[at..].fill(true);
                break;
            }
            let reach = if number == 0 { at + 1 } else { at + 1 + GAP };
            let candidates = at..reach.min(self.words.len());
            let place =
                candidates.into_iter().find(|place| token.split('|').any(|key| is_like(&self.words[*place], key)))?;
            used[place] = true;
            found += 1;
            at = place + 1;
        }
        let left = self.words.iter().zip(&used).filter(|(word, used)| !**used && !is_empty_word(word)).count();
        Some(Match { found, left, rest })
    }
}

fn is_empty_word(word: &str) -> bool {
    EMPTY_WORDS.binary_search(&word).is_ok()
}

/// Whether a word is the key, or the key misspelt: one slip in a word of five letters, two in one of eight, two letters swapped in one of
/// four.
fn is_like(word: &str, key: &str) -> bool {
    if word == key {
        return true;
    }
    let length = key.chars().count();
    let slips = match length {
        0..=3 => return false,
        4 => return word.chars().count() == 4 && is_swapped(word, key),
        5..=7 => 1,
        _ => 2,
    };
    word.chars().count().abs_diff(length) <= slips
        && word.chars().next() == key.chars().next()
        && strsim::damerau_levenshtein(word, key) <= slips
}

fn is_swapped(word: &str, key: &str) -> bool {
    let sorted = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    sorted(word) == sorted(key) && strsim::damerau_levenshtein(word, key) == 1
}

/// The message without the notes that clients put into it in angle brackets.
fn without_notes(text: &str) -> &str {
    const NOTE: &str = "</attached_files>";
    match text.rfind(NOTE) {
        Some(at) if text.trim_start().starts_with("<attached_files>") => &text[at + NOTE.len()..],
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_words_are_sorted() {
        assert!(EMPTY_WORDS.is_sorted());
    }

    #[test]
    fn reads_words() {
        for (text, words) in [
            ("What's the time?", vec!["what", "is", "the", "time"]),
            ("/help", vec!["/help"]),
            ("  whats up,doc!! ", vec!["what", "is", "up", "doc"]),
            ("time in Europe/Paris.", vec!["time", "in", "europe/paris"]),
            ("", vec![]),
            ("???", vec![]),
            ("<attached_files>\n<file name=\"a time.png\"/>\n</attached_files>\n\nhelp", vec!["help"]),
        ] {
            assert_eq!(Question::new(text).words, words, "{text}");
        }
    }

    #[test]
    fn patterns_fit_in_order_with_small_gaps() {
        let fits = |text: &str, pattern: &str| Question::new(text).matches(pattern).map(|one| (one.found, one.left));
        assert_eq!(fits("what is the time", "what time"), Some((2, 0)));
        assert_eq!(fits("waht tiem is it", "what time"), Some((2, 0)));
        assert_eq!(fits("time what", "what time"), None);
        assert_eq!(fits("what takes so much of my time", "what time"), None);
        assert_eq!(fits("what time did the backup run", "what time"), Some((2, 2)));
        assert_eq!(fits("stats please", "status|stats"), Some((1, 0)));
        assert_eq!(fits(&"what time ".repeat(40), "what time"), None);
    }

    #[test]
    fn a_star_takes_the_rest() {
        let rest = |text: &str| Question::new(text).matches("time in *").map(|one| one.rest.join(" "));
        assert_eq!(rest("what time is it in New York right now?").as_deref(), Some("new york"));
        assert_eq!(rest("time in"), None);
        assert_eq!(rest("time in the"), None);
    }

    #[test]
    fn bears_slips_but_not_other_words() {
        for (word, key, like) in [
            ("modles", "models", true),
            ("model", "models", true),
            ("statsu", "status", true),
            ("providrs", "providers", true),
            ("tiem", "time", true),
            ("data", "date", false),
            ("lime", "time", false),
            ("nodes", "modes", false),
            ("hlep", "help", true),
            ("up", "ups", false),
        ] {
            assert_eq!(is_like(word, key), like, "{word} {key}");
        }
    }
}
