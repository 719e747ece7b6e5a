//! Text of tools inside Markdown: shown as it is, on one line, without a meaning of its own.

/// The longest text shown in a line or cell, in characters.
const LONGEST: usize = 300;

/// A text inside a line or a table's cell.
pub(super) fn inline(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(2 * LONGEST));
    for (at, c) in text.chars().enumerate() {
        match c {
            _ if at >= LONGEST => {
                shown.push('…');
                break;
            }
            '*' | '_' | '`' | '[' | ']' | '<' | '>' | '|' | '\\' | '#' | '~' => {
                shown.push('\\');
                shown.push(c);
            }
            _ if c.is_whitespace() || c.is_control() => shown.push(' '),
            _ => shown.push(c),
        }
    }
    shown
}

/// A table: headings, then rows. Cells are Markdown already.
pub(super) fn table<const N: usize>(headings: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let line = |cells: &[&str]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&headings);
    text.push_str(&line(&["---"; N]));
    for row in rows {
        text.push_str(&line(&row.each_ref().map(String::as_str)));
    }
    text
}

/// A length of time in words, in its two largest units.
pub(super) fn span(seconds: u64) -> String {
    let units = [(86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
    let counted = |count: u64, unit: &str| format!("{count} {unit}{}", if count == 1 { "" } else { "s" });
    let Some(first) = units.iter().position(|(size, _)| seconds >= *size) else { return "0 seconds".to_owned() };
    let (size, unit) = units[first];
    let mut text = counted(seconds / size, unit);
    if let Some((smaller, unit)) = units.get(first + 1) {
        let rest = seconds % size / smaller;
        if rest > 0 {
            text = format!("{text} {}", counted(rest, unit));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_tools_has_no_meaning() {
        assert_eq!(inline("a | b\n# c <script> `x`"), "a \\| b \\# c \\<script\\> \\`x\\`");
        assert_eq!(inline(&"x".repeat(1000)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn lays_out_tables() {
        let rows = [["1".to_owned(), "2".to_owned()]];
        assert_eq!(table(["a", "b"], rows), "| a | b |\n| --- | --- |\n| 1 | 2 |\n");
    }

    #[test]
    fn spans_have_two_units() {
        for (seconds, text) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (60, "1 minute"),
            (3661, "1 hour 1 minute"),
            (90_061, "1 day 1 hour"),
            (172_800, "2 days"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }
}
