//! JSON strings printed straight into a buffer: the hot path's only use of JSON.

use bytes::{BufMut as _, BytesMut};

/// What must be written for a byte: 0 as it is, `u` as `\u00XX`, else a backslash and that letter.
const ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = b'u';
        byte += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0A] = b'n';
    table[0x0C] = b'f';
    table[0x0D] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Prints `text` as a JSON string with its quotes. Characters beyond ASCII stay as they are.
pub(crate) fn put_string(out: &mut BytesMut, text: &str) {
    out.reserve(text.len() + 2);
    out.put_u8(b'"');
    put_inside(out, text);
    out.put_u8(b'"');
}

/// Prints `text` as the inside of a JSON string.
fn put_inside(out: &mut BytesMut, text: &str) {
    let bytes = text.as_bytes();
    let mut written = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let escape = ESCAPES[byte as usize];
        if escape == 0 {
            continue;
        }
        out.put_slice(&bytes[written..at]);
        written = at + 1;
        if escape == b'u' {
            out.put_slice(b"\\u00");
            out.put_u8(HEX[(byte >> 4) as usize]);
            out.put_u8(HEX[(byte & 15) as usize]);
        } else {
            out.put_slice(&[b'\\', escape]);
        }
    }
    out.put_slice(&bytes[written..]);
}

/// Prints a whole number.
pub(crate) fn put_number(out: &mut BytesMut, number: impl itoa::Integer) {
    out.put_slice(itoa::Buffer::new().format(number).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_survives() {
        let all: String = (0..0x300).chain([0x2028, 0x1F600]).filter_map(char::from_u32).collect();
        for text in ["", "plain", "a\"b\\c\nd", "\u{1}\u{1f}\u{7f}", "é 你好 🙂", &all] {
            let mut out = BytesMut::new();
            put_string(&mut out, text);
            assert_eq!(serde_json::from_slice::<String>(&out).expect("JSON"), text);
            assert!(!out.iter().any(|byte| *byte < 0x20), "{text:?}");
        }
    }

    #[test]
    fn numbers() {
        let mut out = BytesMut::new();
        put_number(&mut out, 0u32);
        out.put_u8(b' ');
        put_number(&mut out, -42i64);
        assert_eq!(&out[..], b"0 -42");
    }
}
