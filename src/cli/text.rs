//! Text on a terminal: colours, durations, sizes, and the cleaning of text that comes from models, tools and guests. Pure.

use std::borrow::Cow;
use std::time::Duration;

/// How a piece of text is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As it is.
    Plain,
    /// A heading.
    Strong,
    /// Beside the point.
    Dim,
    /// All is well.
    Good,
    /// Look at it.
    Middling,
    /// Something is wrong.
    Bad,
}

impl Style {
    /// The text in this style, where colours are shown.
    pub fn paint(self, text: &str, colour: bool) -> String {
        let code = match self {
            Style::Plain => "",
            Style::Strong => "1",
            Style::Dim => "2",
            Style::Good => "32",
            Style::Middling => "33",
            Style::Bad => "31",
        };
        if colour && !code.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// The style of a state's word.
    pub fn of_state(state: &str) -> Self {
        match state {
            "running" | "ready" | "ok" | "connected" => Style::Good,
            "starting" | "restarting" | "limited" | "warning" | "degraded" | "unknown" | "paused" => Style::Middling,
            "stuck" | "failed" | "failing" | "refused" | "stopped" | "critical" | "firing" => Style::Bad,
            _ => Style::Plain,
        }
    }
}

/// Takes out what could steer a terminal: control characters other than line breaks and tabs, and marks that turn the writing direction.
/// Text of models, tools and guests is data, also on a screen.
pub fn clean(text: &str) -> Cow<'_, str> {
    let unsafe_for_terminals = |c: char| {
        (c.is_control() && c != '\n' && c != '\t') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if text.contains(unsafe_for_terminals) {
        Cow::Owned(text.replace(unsafe_for_terminals, ""))
    } else {
        Cow::Borrowed(text)
    }
}

/// A cleaned text on one line.
pub fn one_line(text: &str) -> String {
    clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A duration in its two largest units: `3d 4h`, `5m 2s`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(3);
    let shown: Vec<String> = parts[first..]
        .iter()
        .take(2)
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if shown.is_empty() { "0s".to_owned() } else { shown.join(" ") }
}

/// Milliseconds with the precision that matters.
pub fn milliseconds(ms: f64) -> String {
    match ms {
        ms if ms >= 10_000.0 => format!("{:.0}s", ms / 1000.0),
        ms if ms >= 1000.0 => format!("{:.1}s", ms / 1000.0),
        ms if ms >= 10.0 => format!("{ms:.0}ms"),
        ms if ms > 0.0 => format!("{ms:.1}ms"),
        _ => "-".to_owned(),
    }
}

/// A number of bytes.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(size, _)| bytes >= *size) {
        Some((size, unit)) => format!("{}.{} {unit}", bytes / size, bytes % size * 10 / size),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_only_where_they_are_wanted() {
        assert_eq!(Style::Bad.paint("x", false), "x");
        assert_eq!(Style::Bad.paint("x", true), "\u{1b}[31mx\u{1b}[0m");
        assert_eq!(Style::Plain.paint("x", true), "x");
    }

    #[test]
    fn nothing_steers_the_terminal() {
        for (text, expected) in [
            ("plain\n\ttext ä 漢", "plain\n\ttext ä 漢"),
            ("\u{1b}[2Jgone\u{7}", "[2Jgone"),
            ("\u{9b}31mred\u{202e}evil", "31mredevil"),
            ("over\rwritten\u{8}", "overwritten"),
        ] {
            assert_eq!(clean(text), expected);
        }
        assert_eq!(one_line("a\nb\t c\u{1b}"), "a b c");
    }

    #[test]
    fn figures_are_short() {
        let spans = [0, 59, 61, 3600, 90_061].map(|seconds| duration(Duration::from_secs(seconds)));
        assert_eq!(spans, ["0s", "59s", "1m 1s", "1h", "1d 1h"]);
        assert_eq!([0.0, 0.25, 12.3, 1500.0, 61_000.0].map(milliseconds), ["-", "0.2ms", "12ms", "1.5s", "61s"]);
        assert_eq!([0, 1023, 1536, 5 << 20].map(bytes), ["0 B", "1023 B", "1.5 KiB", "5.0 MiB"]);
    }
}
