//! The summary of a stretch of time, as light Markdown. Pure.

use crate::desk::Alert;
use crate::wording::{moment, sentence, span};
use contract::alerts::Severity;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The most lines of a part.
const LINES: usize = 30;

/// What happened since `since`: what is still open, what ended, what is only good to know. Empty when nothing did.
pub(crate) fn write(since: Timestamp, now: Timestamp, open: &[Alert], over: &[Alert], timezone: &TimeZone) -> String {
    let is_told = |alert: &&Alert| alert.severity >= Severity::Warning;
    let began = |alert: &Alert| moment(alert.opened.unwrap_or(alert.finding.since), now, timezone);
    let mut parts = Vec::new();
    let mut part = |title: &str, lines: Vec<String>| {
        if lines.is_empty() {
            return;
        }
        let rest = lines.len().saturating_sub(LINES);
        let mut text = format!("**{title}** ({})", lines.len());
        lines.into_iter().take(LINES).for_each(|line| text = format!("{text}\n- {line}"));
        if rest > 0 {
            text = format!("{text}\n- and {rest} more");
        }
        parts.push(text);
    };
    let mut still: Vec<&Alert> = open.iter().filter(is_told).collect();
    still.sort_by_key(|alert| (std::cmp::Reverse(alert.severity), alert.opened));
    let still = still.into_iter().map(|alert| {
        let known = if alert.acknowledged.is_some() { ", acknowledged" } else { "" };
        format!("{}, since {}{known}", sentence(alert), began(alert))
    });
    part("Still open", still.collect());
    let mut ended: Vec<&Alert> = over.iter().filter(is_told).collect();
    ended.sort_by_key(|alert| alert.opened);
    let ended =
        ended.into_iter().map(|alert| format!("{}, {}, for {}", sentence(alert), began(alert), span(alert.lasted())));
    part("Over", ended.collect());
    let mut notes: Vec<&Alert> = open.iter().chain(over).filter(|alert| !is_told(alert)).collect();
    notes.retain(|alert| alert.opened.is_some_and(|opened| opened >= since));
    notes.sort_by_key(|alert| alert.opened);
    let notes = notes.into_iter().map(|alert| format!("{}, {}", sentence(alert), began(alert)));
    part("Good to know", notes.collect());
    parts.join("\n\n")
}
