//! Lines and spans: text with the little styling that every channel can show in its own way.

/// How a stretch of text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Style {
    /// As it is.
    Plain,
    /// Strong.
    Strong,
    /// To be read aside.
    Quiet,
    /// Fixed width.
    Code,
    /// Struck out: it is over.
    Struck,
}

/// A stretch of text of one style.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// How it looks.
    pub style: Style,
    /// What it says: data, to be escaped.
    pub text: String,
}

impl Span {
    /// As it is.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { style: Style::Plain, text: text.into() }
    }

    /// Strong.
    pub fn strong(text: impl Into<String>) -> Self {
        Self { style: Style::Strong, text: text.into() }
    }

    /// To be read aside.
    pub fn quiet(text: impl Into<String>) -> Self {
        Self { style: Style::Quiet, text: text.into() }
    }
}

/// One line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Whether it is an item of a list.
    pub is_item: bool,
    /// What it says.
    pub spans: Vec<Span>,
}

impl Line {
    /// A line of spans.
    pub fn of(spans: impl IntoIterator<Item = Span>) -> Self {
        let spans = spans.into_iter().filter(|span| !span.text.is_empty()).collect();
        Self { is_item: false, spans }
    }

    /// A plain line.
    pub fn plain(text: impl Into<String>) -> Self {
        Self::of([Span::plain(text)])
    }

    /// A line to be read aside.
    pub fn quiet(text: impl Into<String>) -> Self {
        Self::of([Span::quiet(text)])
    }

    /// Whether it shows nothing.
    pub fn is_blank(&self) -> bool {
        self.spans.iter().all(|span| span.text.trim().is_empty())
    }

    /// The words without styles.
    pub fn text(&self) -> String {
        let words: String = self.spans.iter().map(|span| span.text.as_str()).collect();
        if self.is_item { format!("• {words}") } else { words }
    }
}

/// A text on one line: line breaks and control characters become single spaces.
pub fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}
