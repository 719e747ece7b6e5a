//! Words that are misspelt a little, and words that people shorten. Pure.

/// Short forms, each with the words it stands for.
const SHORT: &[(&str, &str)] = &[
    ("whats", "what is"),
    ("hows", "how is"),
    ("wheres", "where is"),
    ("whos", "who is"),
    ("r", "are"),
    ("u", "you"),
    ("ur", "your"),
    ("y", "why"),
    ("rn", "now"),
    ("any1", "anything"),
    ("w", "with"),
    ("pls", "please"),
    ("wich", "which"),
    ("wat", "what"),
    ("nite", "night"),
    ("gimme", "give me"),
    ("wtf", "what"),
];

/// What a short form stands for.
pub(super) fn said_in_full(word: &str) -> Option<&'static str> {
    SHORT.iter().find(|(short, _)| *short == word).map(|(_, full)| *full)
}

/// Whether a word is the key, or the key misspelt: one slip in a word of five letters, two in one of eight, two letters swapped in one of
/// four.
pub(super) fn is_like(word: &str, key: &str) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

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
