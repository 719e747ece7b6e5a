//! Text that servers send, made fit to be shown: what cannot be seen is taken out, what is too long is cut.
//!
//! Characters that nobody sees can carry instructions to a model past the person who reads the same text.

/// The text without what cannot be seen, ends trimmed, cut to `most` bytes between characters.
pub(crate) fn clean(text: &str, most: usize) -> String {
    shorten(visible(text).trim(), most)
}

/// One line of it.
pub(crate) fn clean_line(text: &str, most: usize) -> String {
    let one: Vec<String> = visible(text).split_whitespace().map(str::to_owned).collect();
    shorten(&one.join(" "), most)
}

/// The text without terminal sequences, control characters (line ends and tabs stay) and invisible characters.
pub(crate) fn visible(text: &str) -> String {
    if !text.chars().any(|c| c == '\u{1b}' || is_hidden(c)) {
        return text.to_owned();
    }
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' {
            skip_sequence(&mut rest);
        } else if matches!(c, '\u{2028}' | '\u{2029}' | '\u{85}') {
            kept.push('\n');
        } else if !is_hidden(c) {
            kept.push(c);
        }
    }
    kept
}

/// Skips what follows an escape character: `[…letter`, `]…BEL`, or one character.
fn skip_sequence(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match rest.peek() {
        Some('[') => {
            rest.next();
            while let Some(c) = rest.peek().copied() {
                if c == '\n' {
                    return;
                }
                rest.next();
                if ('\u{40}'..='\u{7e}').contains(&c) {
                    return;
                }
            }
        }
        Some(']') => {
            while let Some(c) = rest.peek().copied() {
                if matches!(c, '\n' | '\u{1b}') {
                    return;
                }
                rest.next();
                if c == '\u{7}' {
                    return;
                }
            }
        }
        Some(c) if ('\u{40}'..='\u{5f}').contains(c) => {
            rest.next();
        }
        _ => {}
    }
}

/// Whether a character takes no place on the screen: controls, zero widths, direction marks, fillers, variation selectors, tags.
fn is_hidden(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e000}'..='\u{f8ff}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}' | '\u{f0000}'..='\u{10ffff}')
}

/// Cuts between characters; what was cut ends in `…`.
pub(crate) fn shorten(text: &str, most: usize) -> String {
    const MARK: &str = "…";
    if text.len() <= most {
        return text.to_owned();
    }
    let mut end = most.saturating_sub(MARK.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut cut = text[..end].to_owned();
    if end > 0 {
        cut.push_str(MARK);
    }
    cut
}

/// A number of bytes for people.
pub(crate) fn bytes(count: usize) -> String {
    match count {
        0..=9_999 => format!("{count} bytes"),
        10_000..=1_048_575 => format!("{} KiB", count.div_ceil(1024)),
        _ => format!("{:.1} MiB", count as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_taken_out() {
        for (text, seen) in [
            ("plain ü 中 🙂", "plain ü 中 🙂"),
            ("a\u{200b}b\u{202e}c\u{feff}d\u{2066}e", "abcde"),
            ("tag\u{e0041}\u{e0042}s", "tags"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("\u{1b}]never ends", ""),
            ("\u{1b}", ""),
            ("a\0b\rc\td\ne\u{9b}f", "abc\td\nef"),
            ("one\u{2028}two", "one\ntwo"),
            ("  ends  ", "ends"),
        ] {
            assert_eq!(clean(text, 100), seen, "{text:?}");
        }
    }

    #[test]
    fn cuts_between_characters() {
        assert_eq!(shorten("abcdef", 6), "abcdef");
        assert_eq!(shorten("abcdefg", 6), "abc…");
        assert_eq!(shorten("äöüäöü", 8), "äö…");
        assert_eq!(shorten("äöü", 1), "");
        assert_eq!(clean_line(" a \n\n b\tc ", 20), "a b c");
    }

    proptest::proptest! {
        #[test]
        fn stays_within_its_bound(text in ".{0,200}", most in 0usize..64) {
            let kept = clean(&text, most);
            proptest::prop_assert!(kept.len() <= most);
            proptest::prop_assert!(!kept.chars().any(is_hidden));
        }
    }
}
