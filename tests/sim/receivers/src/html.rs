//! The HTML that Telegram understands, as strictly as its server reads it.

/// The tags that there are.
const TAGS: [&str; 15] = [
    "a",
    "b",
    "strong",
    "i",
    "em",
    "u",
    "ins",
    "s",
    "strike",
    "del",
    "code",
    "pre",
    "blockquote",
    "tg-spoiler",
    "span",
];

/// The text without its markup.
///
/// # Errors
/// What Telegram would say of it.
pub fn plain_text(html: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut open: Vec<String> = Vec::new();
    let mut rest = html;
    while let Some(c) = rest.chars().next() {
        let offset = html.len() - rest.len();
        match c {
            '&' => {
                let (decoded, length) = entity(rest).unwrap_or(('&', 1));
                out.push(decoded);
                rest = &rest[length..];
            }
            '<' => {
                let end = rest.find('>').ok_or_else(|| format!("Unclosed start tag at byte offset {offset}"))?;
                let inner = &rest[1..end];
                if let Some(name) = inner.strip_prefix('/') {
                    match open.pop() {
                        Some(opened) if opened == name.trim() => {}
                        Some(opened) => {
                            return Err(format!(
                                "Unmatched end tag at byte offset {offset}, expected \"</{opened}>\", found \"</{name}>\""
                            ));
                        }
                        None => return Err(format!("Unexpected end tag at byte offset {offset}")),
                    }
                } else {
                    let name = inner.split_whitespace().next().unwrap_or_default();
                    if !TAGS.contains(&name) {
                        return Err(format!("Unsupported start tag \"{name}\" at byte offset {offset}"));
                    }
                    open.push(name.to_owned());
                }
                rest = &rest[end + 1..];
            }
            c => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    match open.pop() {
        Some(tag) => Err(format!("Can't find end tag corresponding to start tag \"{tag}\"")),
        None => Ok(out),
    }
}

/// The character of an entity at the beginning of a text, and its length.
fn entity(text: &str) -> Option<(char, usize)> {
    let end = text.find(';').filter(|end| *end < 12)?;
    let decoded = match &text[1..end] {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        numeric => {
            let digits = numeric.strip_prefix('#')?;
            let code = match digits.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => digits.parse().ok()?,
            };
            char::from_u32(code)?
        }
    };
    Some((decoded, end + 1))
}

#[cfg(test)]
mod tests {
    use super::plain_text;

    #[test]
    fn html_is_read_as_telegram_reads_it() {
        assert_eq!(plain_text("<b>a &lt;b&gt;</b> &amp; &nbsp;").as_deref(), Ok("a <b> & &nbsp;"));
        for wrong in ["<br>", "a < b", "<b>", "</b>", "<b><i></b></i>", "<p>x</p>"] {
            assert!(plain_text(wrong).is_err(), "{wrong}");
        }
    }
}
