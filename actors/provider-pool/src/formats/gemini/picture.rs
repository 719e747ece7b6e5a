//! Pictures that a model draws, as text, because clients' formats have no other place for them in an answer: Markdown with the picture in it.
//! And back: what a client sends of such an answer becomes the picture again, of which the model would else get to read the bytes.
//!
//! Nothing is left out in silence: what cannot be shown is told in a line.

use crate::formats::wire::{self, Json, Raw};
use serde::Deserialize;

/// The most base64 of one picture that is handed on, in bytes: 8 MiB, a picture of 6 MiB.
const MAX_PICTURE: usize = 8 << 20;
/// More bytes than a picture's type has.
const MAX_KIND: usize = 40;
/// What stands before a picture's address.
const BEFORE: &str = "![picture](";

/// A piece of a text: words, or a picture in it.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Words.
    Text(&'a str),
    /// A picture's type and base64.
    Picture(&'a str, &'a str),
}

/// The member `inlineData` as text; `None` if it holds nothing. A draft in the model's thoughts is told of only: nobody asked for it.
pub fn shown(data: Json<'_>, is_thought: bool) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Wire<'a> {
        #[serde(borrow)]
        mime_type: Raw<'a>,
        #[serde(borrow)]
        data: Raw<'a>,
    }
    let wire: Wire<'_> = serde_json::from_str(data.get()).ok()?;
    let (kind, base64) = (wire::text(wire.mime_type).unwrap_or_default(), wire::filled(wire.data)?);
    if !is_thought && is_picture(&kind) && is_base64(&base64) && base64.len() <= MAX_PICTURE {
        return Some(format!("{BEFORE}data:{kind};base64,{base64})"));
    }
    let what = if is_picture(&kind) { "a picture" } else { "a file" };
    let bytes = base64.trim_end_matches('=').len() * 3 / 4;
    Some(format!("({what} of {bytes} bytes was left out)"))
}

/// A text with the pictures in it that [`shown`] wrote.
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut words = 0;
    for (at, _) in text.match_indices(BEFORE) {
        // Inside of a picture there is no other: base64 knows no brackets.
        let Some((kind, base64, end)) = text.get(at + BEFORE.len()..).and_then(address) else { continue };
        pieces.extend(text.get(words..at).and_then(filled));
        pieces.push(Piece::Picture(kind, base64));
        words = at + BEFORE.len() + end;
    }
    pieces.extend(text.get(words..).and_then(filled));
    pieces
}

/// The type, the base64 and the length of what stands behind `BEFORE`. Looks no further than the first byte that cannot be part of it.
fn address(text: &str) -> Option<(&str, &str, usize)> {
    let rest = text.strip_prefix("data:")?;
    let kind =
        rest.get(..rest.bytes().take(MAX_KIND).position(|byte| byte == b';')?).filter(|kind| is_picture(kind))?;
    let rest = rest.get(kind.len()..)?.strip_prefix(";base64,")?;
    let base64 = rest.get(..rest.bytes().position(|byte| !is_digit(byte))?)?;
    let length = text.len() - rest.len() + base64.len();
    (!base64.is_empty() && text.as_bytes().get(length) == Some(&b')')).then_some((kind, base64, length + 1))
}

fn filled(words: &str) -> Option<Piece<'_>> {
    let words = words.trim_matches('\n');
    (!words.is_empty()).then_some(Piece::Text(words))
}

fn is_picture(kind: &str) -> bool {
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    kind.strip_prefix("image/").is_some_and(|name| !name.is_empty() && name.len() < MAX_KIND - 6 && is_name(name))
}

fn is_base64(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_digit)
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(data: &serde_json::Value, is_thought: bool) -> Option<String> {
        let text = data.to_string();
        shown(serde_json::from_str(&text).expect("JSON"), is_thought)
    }

    #[test]
    fn what_cannot_be_shown_is_told() {
        let picture = |base64: &str| json!({"mimeType": "image/png", "data": base64});
        let long = "A".repeat(MAX_PICTURE);
        assert!(told(&picture(&long), false).is_some_and(|text| text.len() > MAX_PICTURE));
        for (data, is_thought, text) in [
            (picture("AAEC"), false, Some("![picture](data:image/png;base64,AAEC)")),
            (picture("AAEC"), true, Some("(a picture of 3 bytes was left out)")),
            (picture(&format!("{long}AAA=")), false, Some("(a picture of 6291458 bytes was left out)")),
            (picture("AA==) [x](y"), false, Some("(a picture of 8 bytes was left out)")),
            (json!({"mimeType": "audio/wav", "data": "AA=="}), false, Some("(a file of 1 bytes was left out)")),
            (json!({"mimeType": "image/x)y", "data": "AA=="}), false, Some("(a file of 1 bytes was left out)")),
            (json!({"data": "AAE="}), false, Some("(a file of 2 bytes was left out)")),
            (picture(""), false, None),
            (json!(5), false, None),
        ] {
            assert_eq!(told(&data, is_thought).as_deref(), text);
        }
    }

    #[test]
    fn what_was_shown_is_found_again() {
        let one = told(&json!({"mimeType": "image/png", "data": "AA=="}), false).expect("shown");
        let text = format!("see:\n\n{one}\n\nand {one}{one} done\n");
        let picture = || Piece::Picture("image/png", "AA==");
        let words = Piece::Text;
        assert_eq!(pieces(&text), [words("see:"), picture(), words("and "), picture(), picture(), words(" done")]);
        for plain in [
            "![picture](https://x/y.png)",
            "![picture](data:image/png;base64,A",
            "![picture](data:image/png;base64,A b)",
            "![picture](data:a/b;base64,AA)",
        ] {
            assert_eq!(pieces(plain), [words(plain)]);
        }
        assert_eq!(pieces(""), []);
    }
}
