//! Drafts of messages: typed fields, no markup, no id. The actor gives each an id and a row per channel.

use super::alert::Want;
use super::telling::{Waiting, is_open_of_the_night, union};
use super::{Alert, Desk};
use crate::wording;
use contract::alerts::{AlertCommand, AlertState, Severity};
use contract::notify::{NoticeButton, NoticeKind, NoticeMember};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most lines of what the quiet hours held back.
const MOST_LINES: usize = 80;
/// The most roots that get buttons of their own.
const MOST_BUTTONS: usize = 4;
/// For how long the button silences, in minutes.
const SILENCE_MIN: u32 = 120;

/// A message to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// What kind of message it is.
    pub kind: NoticeKind,
    /// How bad it is.
    pub severity: Severity,
    /// What it belongs to.
    pub thread: Arc<str>,
    /// One line that says all.
    pub title: String,
    /// The alerts it tells of, roots before what follows from them.
    pub members: Vec<NoticeMember>,
    /// Members that found no place.
    pub more: u32,
    /// Free text.
    pub text: Option<String>,
    /// What a person can do.
    pub buttons: Vec<NoticeButton>,
    /// Where it goes.
    pub channels: Vec<Arc<str>>,
}

fn member(key: &Arc<str>, alert: &Alert) -> NoticeMember {
    let finding = &alert.finding;
    let ended = alert.ended;
    // Of what ended, how bad it was at its worst.
    let worst = alert.told.as_ref().map_or(alert.severity, |told| told.severity.max(alert.severity));
    let severity = if ended.is_some() { worst } else { alert.severity };
    let summary = match (&alert.closing, ended) {
        (Some(closing), Some(_)) => closing.clone(),
        _ => finding.summary.clone(),
    };
    NoticeMember {
        alert: alert.id,
        name: Arc::clone(key),
        rule: Arc::clone(&finding.rule),
        subject: finding.subject.clone(),
        summary,
        severity,
        since: finding.since,
        ended,
        value: finding.value.clone().filter(|_| ended.is_none()),
        limit: finding.limit.clone().filter(|_| ended.is_none()),
        before: finding.before.clone().filter(|_| ended.is_none()),
        meaning: finding.meaning.clone().filter(|_| ended.is_none()),
        affected: if ended.is_none() { finding.affected.clone() } else { Vec::new() },
    }
}

fn buttons(roots: &[&Alert]) -> Vec<NoticeButton> {
    let open: Vec<&&Alert> = roots.iter().filter(|alert| alert.state == AlertState::Firing).collect();
    let button = |label: String, command: AlertCommand| NoticeButton { label, command };
    match open.as_slice() {
        [only] => vec![
            button("Acknowledge".to_owned(), AlertCommand::Acknowledge { alert: only.id }),
            button("Silence 2 h".to_owned(), AlertCommand::Silence { alert: only.id, minutes: SILENCE_MIN }),
            button("This was meant".to_owned(), AlertCommand::Expect { alert: only.id }),
        ],
        several if several.len() <= MOST_BUTTONS => several
            .iter()
            .map(|alert| {
                let label = format!("Acknowledge {}", wording::cut(&alert.finding.subject, 30));
                button(label, AlertCommand::Acknowledge { alert: alert.id })
            })
            .collect(),
        _ => Vec::new(),
    }
}

impl Desk {
    /// Takes a message, unless it goes nowhere.
    pub(super) fn notice(&mut self, draft: Draft, now: Timestamp) {
        if draft.channels.is_empty() {
            tracing::debug!(title = draft.title, at = %now, "no channel takes this message");
            return;
        }
        self.figures.notices += 1;
        self.changes.notices.push(draft);
    }

    fn found<'a>(&'a self, keys: &'a [Arc<str>]) -> Vec<(&'a Arc<str>, &'a Alert)> {
        keys.iter().filter_map(|key| self.alerts.get_key_value(key)).collect()
    }

    fn draft(
        &self,
        kind: NoticeKind,
        thread: Arc<str>,
        channels: Vec<Arc<str>>,
        title: String,
        members: Vec<NoticeMember>,
    ) -> Draft {
        let severity = members.iter().map(|member| member.severity).max().unwrap_or(Severity::Info);
        // All of them: a program that gets the message wants every one, and what people read is cut where it is written.
        Draft { kind, severity, thread, title, members, more: 0, text: None, buttons: Vec::new(), channels }
    }

    /// The message that alerts opened, became worse, come and go, or are still open.
    pub(super) fn beginning(
        &self,
        kind: NoticeKind,
        thread: Arc<str>,
        channels: Vec<Arc<str>>,
        keys: &[Arc<str>],
        waiting: &Waiting,
        now: Timestamp,
    ) -> Draft {
        let found = self.found(keys);
        let roots: Vec<&Alert> = found.iter().map(|(_, alert)| *alert).collect();
        let mut members = Vec::new();
        for (key, alert) in &found {
            members.push(member(key, alert));
            let below = waiting.get(*key).map(|keys| self.found(keys)).unwrap_or_default();
            members.extend(below.into_iter().map(|(key, alert)| member(key, alert)));
        }
        let title = match kind {
            NoticeKind::Escalated => wording::escalated(&roots),
            NoticeKind::Reminder => wording::reminder(&roots, now),
            NoticeKind::Flapping => wording::flapping(&roots, now),
            NoticeKind::Baseline => wording::baseline(&roots),
            _ => wording::opened(&roots, members.len() - roots.len()),
        };
        Draft { buttons: buttons(&roots), ..self.draft(kind, thread, channels, title, members) }
    }

    /// The message that alerts ended.
    pub(super) fn end(
        &self,
        kind: NoticeKind,
        thread: Arc<str>,
        channels: Vec<Arc<str>>,
        keys: &[Arc<str>],
        now: Timestamp,
    ) -> Draft {
        let found = self.found(keys);
        let ended: Vec<&Alert> = found.iter().map(|(_, alert)| *alert).collect();
        let title = match kind {
            NoticeKind::Stable => {
                let clear = ended
                    .iter()
                    .filter_map(|alert| alert.levels.iter().filter_map(|level| level.calm(&self.config)).max());
                wording::stable(&ended, clear.max().unwrap_or(SignedDuration::ZERO))
            }
            _ => wording::resolved(&ended),
        };
        let mut members: Vec<NoticeMember> = found.iter().map(|(key, alert)| member(key, alert)).collect();
        // What was told within a root and is over too.
        for (root, at) in &found {
            let below = self.alerts.iter().filter(|(_, alert)| {
                let is_listed = alert.folded.as_ref() == Some(*root) && !alert.is_unlisted;
                is_listed && alert.ended.is_some() && alert.ended >= at.opened
            });
            members.extend(below.map(|(key, alert)| member(key, alert)));
        }
        tracing::debug!(%now, title, "an end is told");
        self.draft(kind, thread, channels, title, members)
    }

    /// The message that explains an alert.
    pub(super) fn explanation(&self, key: &Arc<str>, text: &str) -> Draft {
        let found = self.found(std::slice::from_ref(key));
        let (thread, channels) = match found.first().and_then(|(_, alert)| alert.told.as_ref()) {
            Some(told) => (Arc::clone(&told.thread), self.known(&told.channels)),
            None => (Arc::from(""), Vec::new()),
        };
        let title = found.first().map(|(_, alert)| wording::sentence(alert)).unwrap_or_default();
        let members = found.iter().map(|(key, alert)| member(key, alert)).collect();
        Draft { text: Some(text.to_owned()), ..self.draft(NoticeKind::Explained, thread, channels, title, members) }
    }

    /// Tells what the quiet hours held back, in one message per set of channels.
    pub(super) fn tell_night(&mut self, keys: Vec<Arc<str>>, waiting: &Waiting, now: Timestamp) {
        let mut heaps: BTreeMap<Vec<Arc<str>>, Vec<Arc<str>>> = BTreeMap::new();
        for key in keys {
            let Some(alert) = self.alerts.get(&key) else { continue };
            let mut channels = self.channels_of(alert);
            if let Some(told) = &alert.told {
                channels = union(&channels, &self.known(&told.channels));
            }
            heaps.entry(channels).or_default().push(key);
        }
        let thread: Arc<str> = format!("night-{}", now.as_second()).into();
        for (channels, keys) in heaps {
            let draft = self.night(&thread, channels.clone(), &keys, waiting, now);
            self.notice(draft, now);
            for key in &keys {
                let Some(alert) = self.alerts.get(key) else { continue };
                if is_open_of_the_night(alert) {
                    let kind = if alert.is_flapping { NoticeKind::Flapping } else { NoticeKind::Digest };
                    self.mark_told(key, kind, &thread, &channels, now);
                    for consequence in waiting.get(key).into_iter().flatten() {
                        self.fold(consequence, key, now, false);
                    }
                } else {
                    self.mark_end_told(key, now);
                }
            }
        }
    }

    fn night(
        &self,
        thread: &Arc<str>,
        channels: Vec<Arc<str>>,
        keys: &[Arc<str>],
        waiting: &Waiting,
        now: Timestamp,
    ) -> Draft {
        let found = self.found(keys);
        let (open, over): (Vec<_>, Vec<_>) = found.into_iter().partition(|(_, alert)| is_open_of_the_night(alert));
        let zone = self.calendar.timezone();
        let mut lines = Vec::new();
        let heading = |title: &str, lines: &mut Vec<String>| lines.push(format!("**{title}**"));
        if !open.is_empty() {
            heading("Still open", &mut lines);
        }
        for (key, alert) in &open {
            let since = wording::moment(alert.finding.since, now, zone);
            let below = waiting.get(*key).map_or(0, Vec::len);
            let below = if below > 0 { format!(", {below} with it") } else { String::new() };
            lines.push(format!("- {}, since {since}{below}", wording::sentence(alert)));
        }
        if !over.is_empty() {
            heading("Over", &mut lines);
        }
        for (_, alert) in &over {
            let since = wording::moment(alert.finding.since, now, zone);
            lines.push(format!("- {}, {since}, for {}", wording::sentence(alert), wording::span(alert.lasted())));
        }
        let more = lines.len().saturating_sub(MOST_LINES);
        if more > 0 {
            lines.truncate(MOST_LINES);
            lines.push(format!("- and {more} more: `haia alerts` and `haia alerts history` show all"));
        }
        let roots: Vec<&Alert> = open.iter().map(|(_, alert)| *alert).collect();
        let told_before = over.iter().filter(|(_, alert)| matches!(alert.due, Some((Want::End, _))));
        let mut members = Vec::new();
        for (key, alert) in &open {
            members.push(member(key, alert));
            let below = waiting.get(*key).map(|keys| self.found(keys)).unwrap_or_default();
            members.extend(below.into_iter().map(|(key, alert)| member(key, alert)));
        }
        members.extend(told_before.map(|(key, alert)| member(key, alert)));
        let title = wording::night(open.len(), over.len());
        let draft = self.draft(NoticeKind::Digest, Arc::clone(thread), channels, title, members);
        let severity = draft.severity.max(Severity::Warning);
        Draft { severity, text: Some(lines.join("\n")), buttons: buttons(&roots), ..draft }
    }
}
