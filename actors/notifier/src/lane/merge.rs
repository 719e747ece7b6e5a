//! Puts messages that still wait together: an opening with its own end, and the backlog of an outage into one digest. Pure.

use super::entry::Entry;
use crate::message::{clock_time, duration_words, shortened};
use contract::alerts::Severity;
use contract::notify::{DeliveryState, Notice, NoticeKind, NoticeMember, OutboxRow};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// More rows than this after an outage make a digest.
pub const MANY: usize = 20;
/// Rows older than this after an outage make a digest.
pub const STALE: Duration = Duration::from_secs(600);
/// The most names of what is affected, in a line of a digest.
const NAMES: usize = 60;

/// The ends of a thread that wait.
#[derive(Default)]
struct Ended {
    /// The alerts that are over.
    alerts: HashSet<Arc<str>>,
    /// Where the last end stands.
    at: usize,
    /// The most members without a place in a list.
    more: u32,
}

/// Takes out the rows that an end in the same thread tells as well: all their alerts have ended by then. `first` stays as it is: it is being
/// sent. Answers the rows taken out, as merged.
pub fn collapse(entries: &mut VecDeque<Entry>, first: Option<&str>) -> Vec<Entry> {
    let mut ended: HashMap<Arc<str>, Ended> = HashMap::new();
    for (at, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.may_merge()) {
        let notice = &entry.row.notice;
        if notice.kind == NoticeKind::Resolved {
            let of = ended.entry(Arc::clone(&notice.thread)).or_default();
            of.alerts.extend(notice.members.iter().map(key));
            of.at = at;
            of.more = of.more.max(notice.more);
        }
    }
    let is_told = |at: usize, entry: &Entry| {
        let notice = &entry.row.notice;
        let is_begin = matches!(
            notice.kind,
            NoticeKind::Opened | NoticeKind::Escalated | NoticeKind::Reminder | NoticeKind::Explained
        );
        is_begin
            && entry.may_merge()
            && first != Some(&*entry.row.id)
            && !notice.members.is_empty()
            && ended.get(&notice.thread).is_some_and(|ended| {
                at < ended.at
                    && notice.more <= ended.more
                    && notice.members.iter().all(|member| ended.alerts.contains(&key(member)))
            })
    };
    let told: Vec<bool> = entries.iter().enumerate().map(|(at, entry)| is_told(at, entry)).collect();
    if !told.contains(&true) {
        return Vec::new();
    }
    let mut out = Vec::new();
    let mut kept = VecDeque::with_capacity(entries.len());
    let mut titles: HashMap<Arc<str>, Vec<String>> = HashMap::new();
    for (mut entry, told) in std::mem::take(entries).into_iter().zip(told) {
        let notice = &entry.row.notice;
        if told {
            titles.entry(Arc::clone(&notice.thread)).or_default().push(notice.title.clone());
            entry.row.state = DeliveryState::Merged;
            out.push(entry);
            continue;
        }
        if notice.kind == NoticeKind::Resolved
            && let Some(titles) = titles.remove(&notice.thread)
        {
            entry.told_with.extend(titles);
        }
        kept.push_back(entry);
    }
    *entries = kept;
    out
}

/// One alert, whatever number it has.
fn key(member: &NoticeMember) -> Arc<str> {
    match member.alert {
        0 => Arc::clone(&member.name),
        alert => alert.to_string().into(),
    }
}

/// Whether what waits after an outage should become a digest.
pub fn is_backlog(entries: &VecDeque<Entry>, now: Duration) -> bool {
    let mut mergeable = entries.iter().filter(|entry| entry.may_merge());
    let oldest = mergeable.next();
    let count = usize::from(oldest.is_some()) + mergeable.count();
    count > MANY || (count > 1 && oldest.is_some_and(|entry| entry.age(now) > STALE))
}

/// Takes out every row that a digest can tell, as merged, and answers them with the digest's row.
pub fn digest(
    entries: &mut VecDeque<Entry>,
    channel: &Arc<str>,
    id: String,
    now: Timestamp,
) -> Option<(Vec<Entry>, OutboxRow)> {
    let (mut merged, kept): (VecDeque<Entry>, VecDeque<Entry>) =
        std::mem::take(entries).into_iter().partition(Entry::may_merge);
    *entries = kept;
    let newest = Arc::clone(&merged.back()?.row.notice);
    let id: Arc<str> = id.into();
    let notice = summary(&merged, channel, &id, &newest, now);
    for entry in &mut merged {
        entry.row.state = DeliveryState::Merged;
    }
    let row = OutboxRow {
        id,
        channel: Arc::clone(channel),
        notice: Arc::new(notice),
        state: DeliveryState::Queued,
        attempts: 0,
        queued_at: now,
        next_at: None,
        last_error: None,
        remote_id: None,
    };
    Some((merged.into(), row))
}

/// The newest state of every alert in the backlog, newest first.
fn summary(merged: &VecDeque<Entry>, channel: &str, id: &Arc<str>, newest: &Notice, now: Timestamp) -> Notice {
    let zone = TimeZone::get(&newest.timezone).unwrap_or(TimeZone::UTC);
    let mut seen = HashSet::new();
    let (mut open, mut over) = (0, 0);
    let mut worst = Severity::Info;
    let mut lines = Vec::new();
    for entry in merged.iter().rev() {
        let notice = &entry.row.notice;
        for member in &notice.members {
            if !seen.insert(key(member)) {
                continue;
            }
            match member.ended {
                Some(_) => over += 1,
                None => {
                    open += 1;
                    worst = worst.max(member.severity);
                }
            }
            lines.push(line(member, now, &zone));
        }
        if notice.members.is_empty() && seen.insert(Arc::clone(&notice.thread)) {
            lines.push(format!("- {}", plain(&notice.title)));
        }
        if notice.more > 0 {
            lines.push(format!("- {} and {} more", plain(&notice.title), notice.more));
        }
        if let Some(text) = notice.text.as_deref().filter(|_| notice.kind == NoticeKind::Explained) {
            lines.push(format!("- {}", plain(&shortened(text, 600))));
        }
    }
    Notice {
        id: Arc::clone(id),
        kind: NoticeKind::Digest,
        severity: worst,
        thread: Arc::clone(id),
        title: format!("{channel} could not be reached for a while: {open} open, {over} over"),
        members: Vec::new(),
        more: 0,
        text: Some(lines.join("\n")),
        buttons: Vec::new(),
        at: now,
        timezone: Arc::clone(&newest.timezone),
        request_id: Arc::clone(&newest.request_id),
    }
}

fn line(member: &NoticeMember, now: Timestamp, zone: &TimeZone) -> String {
    let time = |at| clock_time(at, now, zone);
    let state = match member.ended {
        Some(ended) => {
            format!("over since {} (after {})", time(ended), duration_words(ended.duration_since(member.since)))
        }
        None => format!("{} since {}", member.severity.as_str(), time(member.since)),
    };
    let value = member.value.as_deref().map(|value| format!(", {}", plain(value))).unwrap_or_default();
    let affected = match member.affected.as_slice() {
        [] => String::new(),
        names => {
            let shown: Vec<String> = names.iter().take(NAMES).map(|name| plain(name)).collect();
            let more = if names.len() > NAMES { " …" } else { "" };
            format!(" (affected: {}: {}{more})", names.len(), shown.join(", "))
        }
    };
    format!("- {} {}: {state}{value}{affected}", plain(&member.subject), plain(&member.summary))
}

/// On one line. Light Markdown in it has no meaning that could hide anything.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
