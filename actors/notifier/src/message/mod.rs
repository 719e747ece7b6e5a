//! What a notice says, before any markup: one title line and the lines below it. Every channel marks up the same words.
//!
//! Designed for a lock screen: the title alone says what and which; then since when, value and limit, what happened just before, what it
//! probably means, and last the number that commands take. Pure: times are those of the notice, never of the moment of sending, so that the
//! same notice always makes the same message.

mod inline;
mod lines;
mod split;
mod words;

pub use lines::{Line, Span, Style};
pub use split::{Limits, Part, split};
pub use words::{clock_time, duration_words};

use contract::alerts::Severity;
use contract::notify::{Notice, NoticeKind, NoticeMember};
use jiff::tz::TimeZone;

/// The longest title, in characters; a longer one is repeated whole below.
const TITLE: usize = 200;
/// The most alerts that are listed; a program gets them all.
const MEMBERS: usize = 40;
/// The most names in a list of what is affected.
const NAMES: usize = 60;

/// The one sign before the title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Needs somebody now.
    Critical,
    /// Should be looked at.
    Warning,
    /// Good to know.
    Info,
    /// It is over.
    Good,
    /// An answer to a person: no sign.
    None,
}

impl Mark {
    /// The sign of a notice.
    pub fn of(notice: &Notice) -> Self {
        match notice.kind {
            NoticeKind::Resolved | NoticeKind::Stable => Mark::Good,
            NoticeKind::Answer => Mark::None,
            NoticeKind::Explained | NoticeKind::Test => Mark::Info,
            NoticeKind::Opened
            | NoticeKind::Digest
            | NoticeKind::Baseline
            | NoticeKind::Escalated
            | NoticeKind::Reminder
            | NoticeKind::Flapping
            | NoticeKind::Approval => match notice.severity {
                Severity::Critical => Mark::Critical,
                Severity::Warning => Mark::Warning,
                Severity::Info => Mark::Info,
            },
        }
    }

    /// The sign with a space behind it, or nothing.
    pub fn prefix(self) -> &'static str {
        match self {
            Mark::Critical => "🔴 ",
            Mark::Warning => "🟠 ",
            Mark::Info => "🔵 ",
            Mark::Good => "✅ ",
            Mark::None => "",
        }
    }
}

/// A notice in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The sign before the title.
    pub mark: Mark,
    /// One line; empty for an answer to a person.
    pub title: String,
    /// What stands below.
    pub lines: Vec<Line>,
}

impl Message {
    /// The words of a notice.
    pub fn of(notice: &Notice) -> Self {
        let zone = TimeZone::get(&notice.timezone).unwrap_or(TimeZone::UTC);
        let whole = lines::one_line(&notice.title);
        let title = shortened(&whole, TITLE);
        let mut below = Vec::new();
        if title != whole {
            below.push(Line::plain(whole.clone()));
        }
        match notice.members.as_slice() {
            [] => {}
            // What happened was told before: here only what explains it.
            [only] if notice.kind == NoticeKind::Explained && notice.text.is_some() => {
                below.push(Line::quiet(label(only)));
            }
            [only] if notice.more == 0 => single(only, &whole, notice, &zone, &mut below),
            members => several(&members[..members.len().min(MEMBERS)], notice, &zone, &mut below),
        }
        let more = notice.more as usize + notice.members.len().saturating_sub(MEMBERS);
        if more > 0 {
            below.push(Line::quiet(format!("and {more} more")));
        }
        if let Some(text) = &notice.text {
            below.extend(inline::lines(text));
        }
        let mut message = Self { mark: Mark::of(notice), title, lines: below };
        if message.title.is_empty() && message.lines.iter().all(Line::is_blank) {
            "HAIA has nothing to add".clone_into(&mut message.title);
        }
        message
    }
}

/// One alert, spread over lines.
fn single(member: &NoticeMember, title: &str, notice: &Notice, zone: &TimeZone, below: &mut Vec<Line>) {
    let (subject, summary) = (lines::one_line(&member.subject), lines::one_line(&member.summary));
    if !(title.contains(&subject) && title.contains(&summary)) {
        below.push(Line::of([Span::strong(subject), Span::plain(format!(" {summary}"))]));
    }
    below.push(Line::plain(when(member, notice, zone, true)));
    if let Some(reading) = reading(member) {
        below.push(Line::plain(sentence(&reading)));
    }
    details(member, below);
    below.push(Line::quiet(label(member)));
}

/// Several alerts, a line each; the first, the root cause, with its details.
fn several(members: &[NoticeMember], notice: &Notice, zone: &TimeZone, below: &mut Vec<Line>) {
    for (at, member) in members.iter().enumerate() {
        let mut about = vec![when(member, notice, zone, false)];
        about.extend(reading(member));
        if at > 0 {
            about.extend(member.before.as_deref().map(lines::one_line).filter(|text| !text.is_empty()));
        }
        if member.alert > 0 {
            about.push(format!("#{}", member.alert));
        }
        let spans = [
            Span::strong(lines::one_line(&member.subject)),
            Span::plain(format!(" {} ", lines::one_line(&member.summary))),
            Span::quiet(about.join(" · ")),
        ];
        below.push(Line { is_item: true, ..Line::of(spans) });
        if at == 0 {
            details(member, below);
        }
    }
}

fn details(member: &NoticeMember, below: &mut Vec<Line>) {
    let told = |text: &Option<String>| text.as_deref().map(lines::one_line).filter(|text| !text.is_empty());
    if let Some(before) = told(&member.before) {
        below.push(Line::plain(format!("Just before: {before}")));
    }
    if let Some(meaning) = told(&member.meaning) {
        below.push(Line::plain(sentence(&meaning)));
    }
    if !member.affected.is_empty() {
        let names: Vec<String> = member.affected.iter().take(NAMES).map(|name| lines::one_line(name)).collect();
        let more = match member.affected.len() - names.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let head = Span::strong(format!("Affected ({}):", member.affected.len()));
        below.push(Line::of([head, Span::plain(format!(" {}{more}", names.join(", ")))]));
    }
}

/// Since when, in local time.
fn when(member: &NoticeMember, notice: &Notice, zone: &TimeZone, is_sentence: bool) -> String {
    let time = |at| clock_time(at, notice.at, zone);
    match member.ended {
        Some(ended) => {
            let lasted = duration_words(ended.duration_since(member.since));
            let from = if is_sentence { "From" } else { "from" };
            format!("{from} {} to {} ({lasted})", time(member.since), time(ended))
        }
        None => {
            let since = if is_sentence { "Since" } else { "since" };
            let lasts = notice.at.duration_since(member.since);
            match lasts.as_secs() {
                ..60 => format!("{since} {}", time(member.since)),
                _ => format!("{since} {} ({})", time(member.since), duration_words(lasts)),
            }
        }
    }
}

fn reading(member: &NoticeMember) -> Option<String> {
    let told = |text: &Option<String>| text.as_deref().map(lines::one_line).filter(|text| !text.is_empty());
    match (told(&member.value), told(&member.limit)) {
        (Some(value), Some(limit)) => Some(format!("{value} (limit {limit})")),
        (Some(value), None) => Some(value),
        (None, Some(limit)) => Some(format!("limit {limit}")),
        (None, None) => None,
    }
}

/// The number for commands, and the rule.
fn label(member: &NoticeMember) -> String {
    match member.alert {
        0 => member.rule.to_string(),
        alert => format!("#{alert} · {}", member.rule),
    }
}

/// With a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let mut out: String = chars.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    out.push_str(chars.as_str());
    if out.ends_with(|c: char| c.is_alphanumeric()) && out.contains(' ') {
        out.push('.');
    }
    out
}

/// The beginning of a text, at most so many characters, cut between words where there are any.
pub fn shortened(text: &str, most: usize) -> String {
    let Some((cut, _)) = text.char_indices().nth(most) else { return text.to_owned() };
    let head = &text[..text.char_indices().nth(most.saturating_sub(1)).map_or(cut, |(at, _)| at)];
    let head = match head.rfind(' ') {
        Some(space) if space > head.len() / 2 => &head[..space],
        _ => head,
    };
    format!("{head}…")
}

#[cfg(test)]
pub(crate) mod tests;
