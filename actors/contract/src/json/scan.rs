//! A walk over JSON as it stands: members of objects and elements of arrays as pieces of the text, checked and not built into anything.
//!
//! For requests and answers that HAIA passes on nearly as they are: their members need not be built to be written again.
//! Every byte is looked at once. It takes what serde_json takes where that skips a value, which is RFC 8259 to [`DEPTH`] levels: half of a
//! surrogate pair in an escape and a number beyond all bounds too, which serde_json refuses where it builds them. It words no error: who needs
//! one reads the text again with serde.

use super::ordinary;

/// The most levels of objects and arrays that are followed: serde_json's own limit.
const DEPTH: usize = 127;

/// A place in a text. Whatever gives `None` ends the walk: the place is anywhere then.
pub struct Scan<'a> {
    text: &'a str,
    at: usize,
    levels: usize,
}

impl<'a> Scan<'a> {
    /// The beginning of the text.
    pub fn of(text: &'a str) -> Self {
        let mut scan = Self { text, at: 0, levels: DEPTH };
        scan.space();
        scan
    }

    /// Nothing comes any more.
    pub fn end(mut self) -> Option<()> {
        self.space();
        (self.at == self.text.len()).then_some(())
    }

    /// Calls `member` with the name of each member of the object that begins here, without its quotes and with its escapes as they stand. It steps
    /// over the value, in whichever way.
    pub fn object(&mut self, mut member: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        self.list(b'{', b'}', |scan| {
            let name = scan.name()?;
            member(scan, name)
        })
    }

    /// Calls `element` at each element of the array that begins here. It steps over the element, in whichever way.
    pub fn array(&mut self, element: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.list(b'[', b']', element)
    }

    /// Steps over the value that begins here, and gives its text.
    pub fn value(&mut self) -> Option<&'a str> {
        let begin = self.at;
        self.skip()?;
        self.text.get(begin..self.at)
    }

    fn list(&mut self, open: u8, close: u8, mut each: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.take(open)?;
        self.levels = self.levels.checked_sub(1)?;
        self.space();
        if self.peek()? == close {
            self.at += 1;
        } else {
            loop {
                each(self)?;
                self.space();
                let next = self.peek()?;
                self.at += 1;
                if next == close {
                    break;
                }
                if next != b',' {
                    return None;
                }
                self.space();
            }
        }
        self.levels += 1;
        Some(())
    }

    /// Steps over a member's name and its colon.
    fn name(&mut self) -> Option<&'a str> {
        let begin = self.at + 1;
        self.string()?;
        let name = self.text.get(begin..self.at - 1)?;
        self.space();
        self.take(b':')?;
        self.space();
        Some(name)
    }

    /// Steps over the value that begins here, whatever it is.
    pub fn skip(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.string(),
            b'{' => self.object(|scan, _| scan.skip()),
            b'[' => self.array(Self::skip),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number(),
        }
    }

    /// The first byte of what begins here.
    pub fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.text.as_bytes().get(self.at..)?.starts_with(word.as_bytes()).then(|| self.at += word.len())
    }

    fn number(&mut self) -> Option<()> {
        let _ = self.take(b'-');
        if self.take(b'0').is_none() {
            self.digits()?;
        }
        if self.take(b'.').is_some() {
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let begin = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > begin).then_some(())
    }

    fn string(&mut self) -> Option<()> {
        self.take(b'"')?;
        let bytes = self.text.as_bytes();
        loop {
            self.at += ordinary(&bytes[self.at..]);
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => {
                    self.at += match *bytes.get(self.at + 1)? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
                        b'u' if bytes.get(self.at + 2..self.at + 6)?.iter().all(u8::is_ascii_hexdigit) => 6,
                        _ => return None,
                    };
                }
                // A control character.
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// The value as the scanner sees it, built by its own calls.
    fn read(text: &str) -> Option<Value> {
        let mut scan = Scan::of(text);
        let value = built(&mut scan)?;
        scan.end().map(|()| value)
    }

    fn built(scan: &mut Scan<'_>) -> Option<Value> {
        match scan.peek()? {
            b'{' => {
                let mut map = serde_json::Map::new();
                scan.object(|scan, name| {
                    map.insert(serde_json::from_str(&format!("\"{name}\"")).ok()?, built(scan)?);
                    Some(())
                })?;
                Some(Value::Object(map))
            }
            b'[' => {
                let mut list = Vec::new();
                scan.array(|scan| {
                    list.push(built(scan)?);
                    Some(())
                })?;
                Some(Value::Array(list))
            }
            _ => Some(serde_json::from_str(scan.value()?).unwrap_or_default()),
        }
    }

    /// Whether the whole text is stepped over in one go.
    fn is_skipped(text: &str) -> bool {
        let mut scan = Scan::of(text);
        scan.value().is_some() && scan.end().is_some()
    }

    #[test]
    fn what_serde_refuses_is_refused() {
        for text in [
            "",
            "{",
            "[",
            "{]",
            "[}",
            "[,]",
            "[1,]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{,}",
            "{a:1}",
            "[01]",
            "[-]",
            "[1.]",
            "[.5]",
            "[1e]",
            "[+1]",
            "[nul]",
            "[truefalse]",
            "[\"\\x\"]",
            "[\"\\u12g4\"]",
            "[\"\\u12\"]",
            "[\"a\nb\"]",
            "[\"\u{1f}1234567\"]",
            "[\"a]",
            "[1]]",
            "{}x",
            "[\"12345678\t\"]",
        ] {
            assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
            assert!(read(text).is_none() && !is_skipped(text), "{text}");
        }
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        for levels in [DEPTH, DEPTH + 1] {
            let serde = serde_json::from_str::<Value>(&deep(levels)).is_ok();
            assert_eq!((is_skipped(&deep(levels)), serde), (levels == DEPTH, levels == DEPTH));
        }
        assert!(is_skipped(r#"[{"a":1},{"b":[2]},[]]"#));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9f64..1e9).prop_map(Value::from),
            "[ -~é\\n\\t\u{1}\"\\\\\u{20ac}😀]{0,30}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[a-z é\\n\"]{0,12}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_serde_reads_is_read_alike(value in any_json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.expect("JSON");
            let value: Value = serde_json::from_str(&text).expect("JSON");
            prop_assert!(is_skipped(&text));
            prop_assert_eq!(read(&text), Some(value));
        }

        #[test]
        fn nothing_is_taken_that_serde_refuses(value in any_json(), at in any::<prop::sample::Index>(), other in "[\\[\\]{}\",:0-9.eE\\\\u\u{1}a -]{0,2}") {
            let mut text = serde_json::to_string(&value).expect("JSON");
            let mut at = at.index(text.len());
            while !text.is_char_boundary(at) { at -= 1; }
            let end = at + text[at..].chars().next().map_or(0, char::len_utf8);
            text.replace_range(at..end, &other);
            prop_assert_eq!(read(&text).is_some(), is_skipped(&text));
            if is_skipped(&text) {
                prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok(), "{}", text);
            }
        }
    }
}
