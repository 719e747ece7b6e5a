//! Splits a message into parts that fit a channel's limits. Nothing is lost but behind a stated cut.

use super::lines::{Line, Span};
use super::{Mark, Message, shortened};

/// What a channel can take in one piece.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most weight of a part.
    pub budget: usize,
    /// The most parts; what does not fit into them is cut, and said to be.
    pub parts: usize,
    /// What a character weighs once it is escaped.
    pub weigh: fn(char) -> usize,
    /// What a span's markup weighs, both sides together.
    pub markup: usize,
}

/// A piece of a message, to be sent as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The sign before the title.
    pub mark: Mark,
    /// The title, with its number where there are several parts.
    pub title: String,
    /// What stands below.
    pub lines: Vec<Line>,
}

/// Kept free for numbers, the cut and "(possibly repeated)".
const RESERVE: usize = 80;

impl Limits {
    fn text(&self, text: &str) -> usize {
        text.chars().map(self.weigh).sum()
    }

    fn line(&self, line: &Line) -> usize {
        let spans: usize = line.spans.iter().map(|span| self.text(&span.text) + self.markup).sum();
        // A bullet with its space, and the line break.
        spans + if line.is_item { 4 } else { 0 } + 2
    }
}

/// The parts of a message, at least one.
pub fn split(message: &Message, limits: &Limits) -> Vec<Part> {
    let room = limits.budget.saturating_sub(RESERVE).max(64);
    // A title of characters that weigh much is shortened for the parts and told whole below.
    let mut title = message.title.clone();
    let mut most = title.chars().count();
    while limits.text(&title) > room / 2 {
        most = most * 2 / 3;
        title = shortened(&message.title, most);
    }
    let whole = (title != message.title).then(|| Line::plain(message.title.clone()));
    let head = limits.text(&title) + limits.markup + 6;
    let room = room.saturating_sub(head).max(32);

    let mut pieces: Vec<Vec<Line>> = vec![Vec::new()];
    let mut free = room;
    for line in whole.iter().chain(&message.lines) {
        for line in broken(line, room, limits) {
            let weight = limits.line(&line);
            if weight > free && pieces.last().is_some_and(|piece| !piece.is_empty()) {
                pieces.push(Vec::new());
                free = room;
            }
            free = free.saturating_sub(weight);
            if let Some(piece) = pieces.last_mut() {
                piece.push(line);
            }
        }
    }
    let parts = limits.parts.max(1);
    if pieces.len() > parts {
        let cut: usize = pieces.drain(parts..).flatten().map(|line| line.text().chars().count()).sum();
        if let Some(last) = pieces.last_mut() {
            last.push(Line::quiet(format!("({cut} more characters are left out)")));
        }
    }
    let of = pieces.len();
    let numbered = |at: usize| match (of, title.is_empty()) {
        (1, _) => title.clone(),
        (_, true) => format!("({}/{of})", at + 1),
        (_, false) => format!("{title} ({}/{of})", at + 1),
    };
    pieces.into_iter().enumerate().map(|(at, lines)| Part { mark: message.mark, title: numbered(at), lines }).collect()
}

/// A line as it is if it fits into a part of its own, else in pieces, broken between words where there are any.
fn broken(line: &Line, room: usize, limits: &Limits) -> Vec<Line> {
    if limits.line(line) <= room {
        return vec![line.clone()];
    }
    let room = room.saturating_sub(limits.markup + 8).max(8);
    let mut out = Vec::new();
    let mut current = Line { is_item: line.is_item, spans: Vec::new() };
    let mut free = room;
    for span in &line.spans {
        let mut rest = span.text.as_str();
        free = free.saturating_sub(limits.markup);
        while !rest.is_empty() {
            let fits = fitting(rest, free, limits);
            let is_fresh = current.spans.is_empty();
            if fits == rest.len() {
                current.spans.push(Span { style: span.style, text: rest.to_owned() });
                free = free.saturating_sub(limits.text(rest));
                break;
            }
            let space = rest[..fits].rfind(' ').map(|space| space + 1).filter(|at| *at > fits / 2);
            let at = match (space, fits) {
                (Some(space), _) => space,
                // Nothing fits: on with a fresh line; on a fresh line one character always goes.
                (None, 0) if is_fresh => rest.chars().next().map_or(rest.len(), char::len_utf8),
                (None, fits) => fits,
            };
            if at > 0 {
                current.spans.push(Span { style: span.style, text: rest[..at].to_owned() });
                rest = &rest[at..];
            }
            out.push(std::mem::take(&mut current));
            free = room.saturating_sub(limits.markup);
        }
    }
    if !current.spans.is_empty() {
        out.push(current);
    }
    out
}

/// How many bytes of a text weigh at most `free`.
fn fitting(text: &str, free: usize, limits: &Limits) -> usize {
    let mut weight = 0;
    for (at, c) in text.char_indices() {
        weight += (limits.weigh)(c);
        if weight > free {
            return at;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limits(budget: usize, parts: usize) -> Limits {
        Limits { budget, parts, weigh: |c| c.len_utf8(), markup: 7 }
    }

    fn weight(part: &Part, limits: &Limits) -> usize {
        limits.text(&part.title) + part.lines.iter().map(|line| limits.line(line)).sum::<usize>()
    }

    #[test]
    fn what_fits_stays_whole() {
        let message =
            Message { mark: Mark::Info, title: "t".to_owned(), lines: vec![Line::plain("a"), Line::plain("b")] };
        let parts = split(&message, &limits(200, 3));
        assert_eq!(parts, [Part { mark: Mark::Info, title: "t".to_owned(), lines: message.lines }]);
    }

    #[test]
    fn a_cut_is_stated() {
        let message = Message { mark: Mark::None, title: String::new(), lines: vec![Line::plain("x".repeat(5000))] };
        let parts = split(&message, &limits(1000, 2));
        assert_eq!(parts.len(), 2);
        let last = parts[1].lines.last().unwrap().text();
        let shown: usize = parts.iter().flat_map(|part| &part.lines).map(|line| line.text().matches('x').count()).sum();
        assert_eq!(last, format!("({} more characters are left out)", 5000 - shown));
        assert_eq!(parts[1].title, "(2/2)");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_every_part_fits(title in "\\PC{0,300}", texts in prop::collection::vec("\\PC{0,900}", 0..8), budget in 300usize..2000) {
            let lines: Vec<Line> = texts.iter().map(|text| Line::of([Span::strong("• a"), Span::plain(text.clone())])).collect();
            let message = Message { mark: Mark::Warning, title: title.clone(), lines };
            let limits = limits(budget, usize::MAX);
            let parts = split(&message, &limits);
            prop_assert!(!parts.is_empty());
            for part in &parts {
                prop_assert!(weight(part, &limits) <= budget, "{} > {budget}", weight(part, &limits));
            }
            let shown: String = parts.iter().flat_map(|part| &part.lines).flat_map(|line| &line.spans).map(|span| span.text.as_str()).collect();
            let said: String = message.lines.iter().flat_map(|line| &line.spans).map(|span| span.text.as_str()).collect();
            prop_assert!(shown.ends_with(&said));
            prop_assert!(parts[0].title.starts_with(&title) || shown.starts_with(&title));
        }
    }
}
