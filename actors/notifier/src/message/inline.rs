//! Reads the light Markdown of free texts (answers, digests, explanations): `**strong**`, `code`, headings, lists, and a backslash that takes
//! a sign's meaning away. Anything that is not whole, like a star without its partner, stays as it is written: no text is lost.

use super::lines::{Line, Span, Style};

/// The signs that a backslash may stand before.
const MARKS: &str = "\\`*_[]<>|#~";

/// The lines of a free text. Several empty lines become one; those at the ends go.
pub fn lines(text: &str) -> Vec<Line> {
    let mut out: Vec<Line> = Vec::new();
    for written in text.lines() {
        let line = line(written);
        let follows_blank = out.last().is_none_or(Line::is_blank);
        if !(line.is_blank() && follows_blank) {
            out.push(line);
        }
    }
    while out.last().is_some_and(Line::is_blank) {
        out.pop();
    }
    out
}

fn line(written: &str) -> Line {
    let clean: String = written.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let text = clean.trim_end();
    let inner = text.trim_start();
    let heading = inner.trim_start_matches('#');
    if heading.len() < inner.len() && inner.len() - heading.len() <= 6 && heading.starts_with(' ') {
        return Line::of([Span::strong(heading.trim_start().replace("**", ""))]);
    }
    for bullet in ["- ", "* ", "• ", "+ "] {
        if let Some(item) = inner.strip_prefix(bullet) {
            return Line { is_item: true, spans: spans(item.trim_start()) };
        }
    }
    Line { is_item: false, spans: spans(text) }
}

fn spans(text: &str) -> Vec<Span> {
    let mut out = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(sign) = escaped(rest) {
            plain.push(sign);
            rest = &rest[1 + sign.len_utf8()..];
            continue;
        }
        let styled = [("**", Style::Strong), ("`", Style::Code)].into_iter().find_map(|(mark, style)| {
            let inner = rest.strip_prefix(mark)?;
            let end = inner.find(mark).filter(|end| *end > 0)?;
            Some((style, &inner[..end], &inner[end + mark.len()..]))
        });
        match styled {
            Some((style, inner, after)) => {
                if !plain.is_empty() {
                    out.push(Span::plain(std::mem::take(&mut plain)));
                }
                let text = if style == Style::Code { inner.to_owned() } else { bare(inner) };
                out.push(Span { style, text });
                rest = after;
            }
            None => {
                plain.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    if !plain.is_empty() {
        out.push(Span::plain(plain));
    }
    out
}

/// The sign whose meaning is taken away by a backslash at the beginning.
fn escaped(text: &str) -> Option<char> {
    text.strip_prefix('\\')?.chars().next().filter(|sign| MARKS.contains(*sign))
}

/// A text without the backslashes that take meanings away.
fn bare(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (shown, length) = escaped(rest).map_or((first, first.len_utf8()), |sign| (sign, 1 + sign.len_utf8()));
        out.push(shown);
        rest = &rest[length..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let span = |span: &Span| match span.style {
            Style::Strong => format!("<b>{}</b>", span.text),
            Style::Code => format!("<c>{}</c>", span.text),
            _ => span.text.clone(),
        };
        lines(text)
            .iter()
            .map(|line| {
                format!("{}{}", if line.is_item { "• " } else { "" }, line.spans.iter().map(span).collect::<String>())
            })
            .collect()
    }

    #[test]
    fn light_markdown_is_read_and_the_rest_stays() {
        for (text, lines) in [
            ("a **b** `c`", vec!["a <b>b</b> <c>c</c>"]),
            ("## Backups\n\n\n- one\n* two", vec!["<b>Backups</b>", "", "• one", "• two"]),
            ("2 * 3 ** 4", vec!["2 * 3 ** 4"]),
            ("`open and **", vec!["`open and **"]),
            ("****", vec!["****"]),
            ("#17 is open", vec!["#17 is open"]),
            (r"HEALTH\_OK, **db\*1**, C:\dir `a\_b` \", vec![r"HEALTH_OK, <b>db*1</b>, C:\dir <c>a\_b</c> \"]),
            ("\n\nend\n\n", vec!["end"]),
            ("", vec![]),
        ] {
            assert_eq!(shown(text), lines, "{text:?}");
        }
    }
}
