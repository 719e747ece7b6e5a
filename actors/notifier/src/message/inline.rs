//! Reads the light Markdown of free texts (answers, digests, explanations): `**strong**`, `code`, headings and lists. Anything that is not
//! whole, like a star without its partner, stays as it is written: no text is lost.

use super::lines::{Line, Span, Style};

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
                out.push(Span { style, text: inner.to_owned() });
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
            ("\n\nend\n\n", vec!["end"]),
            ("", vec![]),
        ] {
            assert_eq!(shown(text), lines, "{text:?}");
        }
    }
}
