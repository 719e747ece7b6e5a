//! Walks over JSON as it stands: the members of an object and the elements of an array as pieces of the text, checked and not built into anything.
//!
//! For the two bodies of a relayed call, which HAIA passes on as they are: there, building each member cost more than all else that the pool did.
//! It is strict (RFC 8259) and gives up early: a name with escapes, more than [`DEPTH`] levels, anything that is not JSON. Who gets
//! `None` reads the text again with serde, which knows all of JSON and words the error.

/// The most levels of objects and arrays that are followed.
const DEPTH: usize = 64;

/// Calls `member` with the name, without its quotes, and the value of each member of the object that `text` is. `None` as soon as `member`
/// gives that, or where `text` is not such an object.
pub fn object<'a>(text: &'a str, mut member: impl FnMut(&'a str, &'a str) -> Option<()>) -> Option<()> {
    let bytes = text.as_bytes();
    let mut at = space(bytes, 0);
    let mut walk = Walk::begin(bytes, &mut at, b'{', b'}')?;
    while walk.goes_on(bytes, &mut at)? {
        let name = at + 1;
        at = string(bytes, at)?;
        let name = text.get(name..at - 1)?;
        if name.contains('\\') {
            return None;
        }
        at = space(bytes, at);
        if bytes.get(at) != Some(&b':') {
            return None;
        }
        let value = space(bytes, at + 1);
        at = end_of_value(bytes, value, DEPTH)?;
        member(name, text.get(value..at)?)?;
    }
    (space(bytes, at) == bytes.len()).then_some(())
}

/// Calls `element` with each element of the array that `text` is. `None` as soon as `element` gives that, or where `text` is not such an array.
pub fn array<'a>(text: &'a str, mut element: impl FnMut(&'a str) -> Option<()>) -> Option<()> {
    let bytes = text.as_bytes();
    let mut at = space(bytes, 0);
    let mut walk = Walk::begin(bytes, &mut at, b'[', b']')?;
    while walk.goes_on(bytes, &mut at)? {
        let value = at;
        at = end_of_value(bytes, value, DEPTH)?;
        element(text.get(value..at)?)?;
    }
    (space(bytes, at) == bytes.len()).then_some(())
}

/// The text of a string without escapes.
pub fn plain(value: &str) -> Option<&str> {
    value.strip_prefix('"')?.strip_suffix('"').filter(|text| !text.contains('\\'))
}

/// The way from one member or element to the next.
struct Walk {
    close: u8,
    is_first: bool,
}

impl Walk {
    /// Steps over the opening bracket.
    fn begin(bytes: &[u8], at: &mut usize, open: u8, close: u8) -> Option<Self> {
        (bytes.get(*at) == Some(&open)).then(|| *at += 1)?;
        Some(Self { close, is_first: true })
    }

    /// Steps to the next one, or over the closing bracket.
    fn goes_on(&mut self, bytes: &[u8], at: &mut usize) -> Option<bool> {
        *at = space(bytes, *at);
        let is_first = std::mem::replace(&mut self.is_first, false);
        match *bytes.get(*at)? {
            close if close == self.close => {
                *at += 1;
                Some(false)
            }
            b',' if !is_first => {
                *at = space(bytes, *at + 1);
                Some(true)
            }
            _ => is_first.then_some(true),
        }
    }
}

fn space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// Where the value that begins at `at` ends. `levels` are left to go down.
fn end_of_value(bytes: &[u8], at: usize, levels: usize) -> Option<usize> {
    match *bytes.get(at)? {
        b'"' => string(bytes, at),
        b'{' => end_of_container(bytes, at, b'}', levels.checked_sub(1)?),
        b'[' => end_of_container(bytes, at, b']', levels.checked_sub(1)?),
        b't' => word(bytes, at, b"true"),
        b'f' => word(bytes, at, b"false"),
        b'n' => word(bytes, at, b"null"),
        _ => number(bytes, at),
    }
}

fn end_of_container(bytes: &[u8], mut at: usize, close: u8, levels: usize) -> Option<usize> {
    let open = bytes[at];
    let mut walk = Walk::begin(bytes, &mut at, open, close)?;
    while walk.goes_on(bytes, &mut at)? {
        if close == b'}' {
            at = space(bytes, string(bytes, at)?);
            if bytes.get(at) != Some(&b':') {
                return None;
            }
            at = space(bytes, at + 1);
        }
        at = end_of_value(bytes, at, levels)?;
    }
    Some(at)
}

fn word(bytes: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    bytes[at..].starts_with(word).then_some(at + word.len())
}

fn number(bytes: &[u8], mut at: usize) -> Option<usize> {
    let digits = |at: usize| -> Option<usize> {
        let count = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        (count > 0).then_some(at + count)
    };
    if bytes[at] == b'-' {
        at += 1;
    }
    at = if bytes.get(at) == Some(&b'0') { at + 1 } else { digits(at)? };
    if bytes.get(at) == Some(&b'.') {
        at = digits(at + 1)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        at = digits(at + 1 + sign)?;
    }
    Some(at)
}

/// Where the string that begins at `at` ends.
fn string(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let mut at = at + 1;
    loop {
        at += ordinary(&bytes[at..]);
        match *bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => {
                at += match *bytes.get(at + 1)? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
                    b'u' if bytes.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit) => 6,
                    _ => return None,
                };
            }
            // A control character.
            _ => return None,
        }
    }
}

/// How many bytes come before the next quote, backslash or control character: eight at a time, as in "Determine if a word has a byte less
/// than n" and "… equal to n" of Sean Anderson's Bit Twiddling Hacks.
fn ordinary(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let mut count = 0;
    while let Some(eight) = bytes.get(count..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*eight);
        let less = word.wrapping_sub(ONES * 0x20) & !word;
        let equal = |byte: u8| {
            let differs = word ^ (ONES * u64::from(byte));
            differs.wrapping_sub(ONES) & !differs
        };
        let marks = (less | equal(b'"') | equal(b'\\')) & HIGH;
        if marks != 0 {
            // What a borrow marks wrongly lies above the first true mark.
            return count + (marks.trailing_zeros() / 8) as usize;
        }
        count += 8;
    }
    let is_ordinary = |byte: &&u8| **byte >= 0x20 && **byte != b'"' && **byte != b'\\';
    count + bytes[count..].iter().take_while(is_ordinary).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// The value as the scanner sees it, built by its own calls.
    fn read(text: &str) -> Option<Value> {
        let text = text.trim_matches([' ', '\n', '\r', '\t']);
        match text.as_bytes().first()? {
            b'{' => {
                let mut map = serde_json::Map::new();
                object(text, |name, value| {
                    map.insert(name.to_owned(), read(value)?);
                    Some(())
                })?;
                Some(Value::Object(map))
            }
            b'[' => {
                let mut list = Vec::new();
                array(text, |value| {
                    list.push(read(value)?);
                    Some(())
                })?;
                Some(Value::Array(list))
            }
            _ => (end_of_value(text.as_bytes(), 0, DEPTH)? == text.len())
                .then(|| serde_json::from_str(text).unwrap_or_default()),
        }
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
            assert_eq!(read(text), None, "{text}");
        }
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(array(&deep(DEPTH), |_| Some(())).is_some() && array(&deep(DEPTH + 2), |_| Some(())).is_none());
        assert_eq!(object(r#"{"a\u0062":1}"#, |_, _| Some(())), None, "a name with escapes is not followed");
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
                prop::collection::btree_map("[a-z é]{0,12}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_serde_reads_is_read_alike(value in any_json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.expect("JSON");
            let value: Value = serde_json::from_str(&text).expect("JSON");
            prop_assert_eq!(read(&text), Some(value));
        }

        #[test]
        fn nothing_is_taken_that_serde_refuses(value in any_json(), at in any::<prop::sample::Index>(), other in "[\\[\\]{}\",:0-9.eE\\\\u\u{1}a -]{0,2}") {
            let mut text = serde_json::to_string(&value).expect("JSON");
            let mut at = at.index(text.len());
            while !text.is_char_boundary(at) { at -= 1; }
            let end = at + text[at..].chars().next().map_or(0, char::len_utf8);
            text.replace_range(at..end, &other);
            if read(&text).is_some() {
                prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok(), "{}", text);
            }
        }
    }
}
