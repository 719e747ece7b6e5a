//! JSON strings and numbers printed into a buffer.

use super::ordinary;
use bytes::BufMut;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Prints `text` as a JSON string with its quotes. Characters beyond ASCII stay as they are.
pub fn put_string(out: &mut impl BufMut, text: &str) {
    out.put_u8(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, next) = rest.split_at(ordinary(rest));
        out.put_slice(plain);
        let Some((byte, after)) = next.split_first() else { break };
        put_escape(out, *byte);
        rest = after;
    }
    out.put_u8(b'"');
}

fn put_escape(out: &mut impl BufMut, byte: u8) {
    let letter = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0C => b'f',
        b'\r' => b'r',
        _ => {
            out.put_slice(b"\\u00");
            out.put_u8(HEX[usize::from(byte >> 4)]);
            return out.put_u8(HEX[usize::from(byte & 15)]);
        }
    };
    out.put_slice(&[b'\\', letter]);
}

/// Prints a whole number.
pub fn put_number(out: &mut impl BufMut, number: impl itoa::Integer) {
    out.put_slice(itoa::Buffer::new().format(number).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_survives() {
        let all: String = (0..0x300).chain([0x2028, 0x1F600]).filter_map(char::from_u32).collect();
        for text in ["", "plain", "a\"b\\c\nd", "\u{1}\u{1f}\u{7f}", "é 你好 🙂", "1234567\"", "12345678\"", &all]
        {
            let mut out = Vec::new();
            put_string(&mut out, text);
            assert_eq!(serde_json::from_slice::<String>(&out).expect("JSON"), text);
            assert_eq!(out, serde_json::to_vec(text).expect("JSON"), "as serde prints it");
        }
    }

    #[test]
    fn numbers() {
        let mut out = Vec::new();
        put_number(&mut out, 0u32);
        out.put_u8(b' ');
        put_number(&mut out, -42i64);
        assert_eq!(out, b"0 -42");
    }
}
