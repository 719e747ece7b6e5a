//! Names as they may stand in an address.

use std::fmt::Write as _;

/// The text with everything percent-encoded but letters, digits, `-_.~` and what `besides` holds (ASCII).
pub fn escaped(text: &str, besides: &str) -> String {
    let mut url = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || besides.as_bytes().contains(&byte) {
            url.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(url, "%{byte:02X}");
        }
    }
    url
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_what_is_plain_stays() {
        assert_eq!(super::escaped("a b/\u{e9}?x:y", ""), "a%20b%2F%C3%A9%3Fx%3Ay");
        assert_eq!(super::escaped("tuned/a-1.5_~", "/"), "tuned/a-1.5_~");
    }
}
