//! When something is told: who is held back, what waits for its root cause, and what is gathered into one message.
//!
//! Beginnings wait for the window of their cluster, so that a root cause and what follows from it become one message. What comes from
//! Alertmanager or HAIA itself was gathered before or has no root cause: its first is told at once, and what follows waits. Ends wait for the
//! window of their thread: what comes back meanwhile was no end.

use super::alert::{Told, Want};
use super::{Alert, Desk, is_told, later};
use crate::rules::is_standing;
use contract::alerts::{AlertState, Severity};
use contract::notify::NoticeKind;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The most messages that one moment may bring for different threads; beyond, they become one.
const MOST_THREADS: usize = 8;
/// The longest that [`Desk::settle`] may be put off: silences, windows and quiet hours end without a sign.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Something that may be told now, as far as holds and causes are concerned.
struct Ready {
    key: Arc<str>,
    want: Want,
    since: Timestamp,
}

/// What belongs into one message: its kind, its thread (empty: a new one), its channels.
type Heap = (u8, Arc<str>, Vec<Arc<str>>);

/// Alerts that wait within a root cause, by that cause.
pub(super) type Waiting = BTreeMap<Arc<str>, Vec<Arc<str>>>;

/// The kind of heap of what was open at the first sight, beside those of [`Want`].
const FIRST_SIGHT: u8 = u8::MAX;

fn kind_of(heap: u8) -> NoticeKind {
    match heap {
        FIRST_SIGHT => NoticeKind::Baseline,
        want if want == Want::Escalation as u8 => NoticeKind::Escalated,
        want if want == Want::Flapping as u8 => NoticeKind::Flapping,
        want if want == Want::Reminder as u8 => NoticeKind::Reminder,
        _ => NoticeKind::Opened,
    }
}

fn family(want: Want) -> u8 {
    match want {
        Want::Opening | Want::Escalation | Want::Flapping => 0,
        Want::Reminder => 1,
        Want::End | Want::Passed => 2,
    }
}

impl Desk {
    /// Decides what is told now.
    pub(super) fn tell(&mut self, now: Timestamp, may_tell: bool) {
        self.unfold(now);
        self.note_due(now);
        let (ready, waiting) = self.sift(now);
        if !may_tell {
            return;
        }
        let (night, day): (Vec<Ready>, Vec<Ready>) =
            ready.into_iter().partition(|ready| self.alerts.get(&ready.key).is_some_and(|alert| alert.is_of_the_night));
        if !night.is_empty() {
            self.tell_night(night.into_iter().map(|ready| ready.key).collect(), &waiting, now);
        }
        let (ends, beginnings): (Vec<Ready>, Vec<Ready>) = day.into_iter().partition(|ready| ready.want == Want::End);
        self.tell_beginnings(beginnings, &waiting, now);
        self.fold_late(&waiting, now);
        self.tell_ends(ends, now);
    }

    /// What follows from a root cause that was told already belongs to it from now on: also while it recovers, when its cause can no longer
    /// be seen.
    fn fold_late(&mut self, waiting: &Waiting, now: Timestamp) {
        for (root, consequences) in waiting {
            let is_told = |alert: &Alert| alert.state.is_open() && alert.told.as_ref().is_some_and(|told| !told.end);
            if self.alerts.get(root).is_some_and(is_told) {
                for key in consequences {
                    if self.alerts.get(key).is_some_and(|alert| alert.folded.is_none()) {
                        self.fold(key, root, now, true);
                    }
                }
            }
        }
    }

    /// What was told within a root cause that is over, and is still open, is told by itself.
    fn unfold(&mut self, now: Timestamp) {
        let is_loose = |alert: &Alert| {
            alert.folded.is_some() && alert.state == AlertState::Firing && !self.is_still_folded(alert, now)
        };
        let loose: Vec<Arc<str>> =
            self.alerts.iter().filter(|(_, alert)| is_loose(alert)).map(|(key, _)| Arc::clone(key)).collect();
        for key in loose {
            if let Some(alert) = self.alerts.get_mut(&key) {
                alert.folded = None;
                self.dirty.insert(key);
            }
        }
    }

    /// Notes for each alert what waits to be told, and since when.
    fn note_due(&mut self, now: Timestamp) {
        let reminder = self.config.monitor.reminder;
        for (key, alert) in &mut self.alerts {
            let due = match (alert.wants(&reminder, now), alert.due) {
                (None, _) => None,
                (Some(want), Some((before, since))) if family(before) == family(want) => Some((want, since.min(now))),
                (Some(want), _) => Some((want, now)),
            };
            if due != alert.due {
                alert.due = due;
                self.dirty.insert(Arc::clone(key));
            }
            if due.is_none() && alert.held.is_some() {
                alert.held = None;
                self.dirty.insert(Arc::clone(key));
            }
        }
    }

    /// Sorts what is due into what may be told and what waits within a root cause; notes what is held back.
    fn sift(&mut self, now: Timestamp) -> (Vec<Ready>, Waiting) {
        let due: Vec<Ready> = self
            .alerts
            .iter()
            .filter_map(|(key, alert)| alert.due.map(|(want, since)| Ready { key: Arc::clone(key), want, since }))
            .collect();
        let mut ready = Vec::new();
        let mut waiting = Waiting::new();
        let is_quiet = self.calendar.is_quiet(now);
        let may_hold = is_quiet || !self.silences.is_empty() || self.calendar.is_any_open();
        for one in due {
            let Some(alert) = self.alerts.get(&one.key) else { continue };
            let (hold, is_night) = may_hold.then(|| self.hold(alert, is_quiet, now)).flatten().unzip();
            let is_loud = is_quiet && hold.is_none() && alert.is_of_the_night;
            if alert.held != hold {
                self.note_hold(&one.key, hold.clone(), now);
            }
            if hold.is_some() {
                if is_night == Some(true) && one.want != Want::Reminder {
                    self.note_night(&one.key);
                }
                continue;
            }
            if is_loud && let Some(alert) = self.alerts.get_mut(&one.key) {
                // It became critical: it does not wait for the summary.
                alert.is_of_the_night = false;
            }
            let is_first =
                self.alerts.get(&one.key).is_some_and(|alert| alert.told.is_none() && one.want != Want::Passed);
            let may_wait = |root: &&Arc<str>| {
                is_first && !self.is_too_loud(&one.key, root, is_quiet) && self.is_told_with(&one.key, root)
            };
            let root = self.root_of(&one.key, now).filter(may_wait);
            match root.cloned() {
                Some(root) => waiting.entry(root).or_default().push(one.key),
                None => ready.push(one),
            }
        }
        (ready, waiting)
    }

    /// What holds an alert's messages back, for people, and whether that is quiet hours.
    fn hold(&self, alert: &Alert, is_quiet: bool, now: Timestamp) -> Option<(String, bool)> {
        let labels = super::people::labels_of(alert);
        if let Some(silence) = self.silence_of(&labels, now) {
            return Some((format!("silence {} by {}", silence.id, silence.by), false));
        }
        if let Some(schedule) = self.calendar.maintenance(&labels) {
            return Some((format!("maintenance ({schedule})"), false));
        }
        // The end of what was told loudly is told loudly; anything else counts as bad as it is now.
        let told = alert.told.as_ref().filter(|_| !alert.state.is_open());
        let worst = told.map_or(alert.severity, |told| told.severity.max(alert.severity));
        (worst < Severity::Critical && is_quiet).then(|| ("quiet hours".to_owned(), true))
    }

    /// What is critical does not wait through quiet hours for a root cause that is not.
    fn is_too_loud(&self, key: &Arc<str>, root: &Arc<str>, is_quiet: bool) -> bool {
        let Some((alert, root)) = self.alerts.get(key).zip(self.alerts.get(root)) else { return false };
        let waits = root.told.is_none() && root.pending().is_none() && root.severity < Severity::Critical;
        is_quiet && waits && alert.severity == Severity::Critical
    }

    /// Whether the message of a root cause goes wherever its consequence's own would go: else nobody there would hear of it.
    fn is_told_with(&self, key: &Arc<str>, root: &Arc<str>) -> bool {
        let Some((alert, root)) = self.alerts.get(key).zip(self.alerts.get(root)) else { return false };
        let told = root.told.as_ref().map_or_else(Vec::new, |told| self.known(&told.channels));
        let channels = union(&self.channels_of(root), &told);
        self.channels_of(alert).iter().all(|channel| channels.contains(channel))
    }

    /// Where an alert is told as it is now.
    pub(super) fn channels_of(&self, alert: &Alert) -> Vec<Arc<str>> {
        self.config.channels_of(alert.severity, &alert.finding.rule, &super::people::labels_of(alert))
    }

    fn note_hold(&mut self, key: &Arc<str>, hold: Option<String>, now: Timestamp) {
        let Some(alert) = self.alerts.get_mut(key) else { return };
        let is_new = hold.is_some();
        alert.held = hold;
        if is_new {
            self.tell_history(key, "held", None, now);
        }
        self.dirty.insert(Arc::clone(key));
    }

    fn note_night(&mut self, key: &Arc<str>) {
        if let Some(alert) = self.alerts.get_mut(key)
            && !alert.is_of_the_night
        {
            alert.is_of_the_night = true;
            self.dirty.insert(Arc::clone(key));
        }
    }

    /// When the window of beginnings in a group is over.
    fn window(&self, group: &Arc<str>, of: &[Ready]) -> Timestamp {
        let wait = self.config.monitor.grouping.wait.0;
        let first = of.iter().map(|ready| ready.since).min().unwrap_or(Timestamp::MAX);
        let is_leading =
            of.iter().all(|ready| self.alerts.get(&ready.key).is_some_and(|alert| is_standing(&alert.finding.rule)));
        match (is_leading, self.told_at.get(group)) {
            (true, Some(told)) => first.max(later(*told, wait)),
            (true, None) => first,
            (false, _) => later(first, wait),
        }
    }

    fn groups(&self, ready: Vec<Ready>) -> BTreeMap<Arc<str>, Vec<Ready>> {
        let mut groups: BTreeMap<Arc<str>, Vec<Ready>> = BTreeMap::new();
        for one in ready {
            if let Some(alert) = self.alerts.get(&one.key) {
                groups.entry(Arc::clone(&alert.group)).or_default().push(one);
            }
        }
        groups
    }

    fn tell_beginnings(&mut self, ready: Vec<Ready>, waiting: &Waiting, now: Timestamp) {
        for (group, of) in self.groups(ready) {
            if self.window(&group, &of) > now {
                continue;
            }
            self.told_at.insert(group, now);
            let mut heaps: BTreeMap<Heap, Vec<Arc<str>>> = BTreeMap::new();
            for one in of {
                let Some(alert) = self.alerts.get(&one.key) else { continue };
                let told = alert.told.as_ref();
                let thread = told.map_or_else(|| Arc::from(""), |told| Arc::clone(&told.thread));
                let mut channels = self.channels_of(alert);
                if let Some(told) = told {
                    channels = union(&channels, &told.channels);
                }
                let is_first_sight = one.want == Want::Opening && alert.is_baseline;
                let kind = if is_first_sight { FIRST_SIGHT } else { one.want as u8 };
                heaps.entry((kind, thread, channels)).or_default().push(one.key);
            }
            for ((kind, thread, channels), mut keys) in merged(heaps) {
                self.sort(&mut keys);
                self.tell_heap(kind_of(kind), thread, channels, &keys, waiting, now);
            }
        }
    }

    /// The worst first, then the oldest.
    fn sort(&self, keys: &mut [Arc<str>]) {
        keys.sort_by_key(|key| {
            let alert = self.alerts.get(key);
            (
                alert.map(|alert| std::cmp::Reverse(alert.severity)),
                alert.and_then(|alert| alert.opened),
                Arc::clone(key),
            )
        });
    }

    fn tell_heap(
        &mut self,
        kind: NoticeKind,
        thread: Arc<str>,
        channels: Vec<Arc<str>>,
        keys: &[Arc<str>],
        waiting: &Waiting,
        now: Timestamp,
    ) {
        let Some(first) = keys.first().and_then(|key| self.alerts.get(key)) else { return };
        let thread = if thread.is_empty() { format!("alert-{}", first.id).into() } else { thread };
        let wants_words = (kind == NoticeKind::Opened || kind == NoticeKind::Escalated)
            && self.config.monitor.explain.enabled
            && self.config.monitor.explain.severity.contains(&first.severity)
            && first.explanation.is_none()
            && !channels.is_empty();
        if wants_words {
            self.changes.explain.push(first.id);
        }
        let draft = self.beginning(kind, Arc::clone(&thread), channels.clone(), keys, waiting, now);
        self.notice(draft, now);
        for key in keys {
            self.mark_told(key, kind, &thread, &channels, now);
            for consequence in waiting.get(key).into_iter().flatten() {
                self.fold(consequence, key, now, false);
            }
        }
    }

    /// Notes that an alert's beginning, worsening or going on was told.
    pub(super) fn mark_told(
        &mut self,
        key: &Arc<str>,
        kind: NoticeKind,
        thread: &Arc<str>,
        channels: &[Arc<str>],
        now: Timestamp,
    ) {
        let Some(alert) = self.alerts.get_mut(key) else { return };
        let severity = alert.severity;
        let told = alert.told.get_or_insert_with(|| Told {
            severity,
            thread: Arc::clone(thread),
            channels: Vec::new(),
            at: now,
            reminders: 0,
            as_flapping: false,
            end: false,
        });
        told.severity = told.severity.max(severity);
        told.channels = union(&told.channels, channels);
        told.at = now;
        told.reminders += u32::from(kind == NoticeKind::Reminder);
        told.as_flapping |= kind == NoticeKind::Flapping;
        (alert.due, alert.held, alert.folded, alert.is_of_the_night) = (None, None, None, false);
        self.tell_history(key, "told", None, now);
        self.dirty.insert(Arc::clone(key));
    }

    /// Notes that an alert was told within its root cause, or came after that was told.
    pub(super) fn fold(&mut self, key: &Arc<str>, root: &Arc<str>, now: Timestamp, is_unlisted: bool) {
        let Some(alert) = self.alerts.get_mut(key) else { return };
        (alert.folded, alert.is_unlisted) = (Some(Arc::clone(root)), is_unlisted);
        (alert.due, alert.held, alert.is_of_the_night) = (None, None, false);
        self.tell_history(key, "told", None, now);
        self.dirty.insert(Arc::clone(key));
    }

    fn tell_ends(&mut self, ready: Vec<Ready>, now: Timestamp) {
        let wait = self.config.monitor.grouping.wait.0;
        let mut threads: BTreeMap<Arc<str>, Vec<Ready>> = BTreeMap::new();
        for one in ready {
            if let Some(told) = self.alerts.get(&one.key).and_then(|alert| alert.told.as_ref()) {
                threads.entry(Arc::clone(&told.thread)).or_default().push(one);
            }
        }
        let mut heaps: BTreeMap<Heap, Vec<Arc<str>>> = BTreeMap::new();
        for (thread, of) in threads {
            let first = of.iter().map(|ready| ready.since).min().unwrap_or(Timestamp::MAX);
            if later(first, wait) > now {
                continue;
            }
            for one in of {
                let Some(told) = self.alerts.get(&one.key).and_then(|alert| alert.told.as_ref()) else { continue };
                let heap = (u8::from(told.as_flapping), Arc::clone(&thread), self.known(&told.channels));
                heaps.entry(heap).or_default().push(one.key);
            }
        }
        for ((as_flapping, thread, channels), mut keys) in merged(heaps) {
            self.sort(&mut keys);
            let kind = if as_flapping == 0 { NoticeKind::Resolved } else { NoticeKind::Stable };
            let draft = self.end(kind, thread, channels, &keys, now);
            self.notice(draft, now);
            for key in &keys {
                self.mark_end_told(key, now);
            }
        }
    }

    /// Notes that an alert's end was told.
    pub(super) fn mark_end_told(&mut self, key: &Arc<str>, now: Timestamp) {
        let Some(alert) = self.alerts.get_mut(key) else { return };
        if let Some(told) = &mut alert.told {
            (told.end, told.at) = (true, now);
        }
        (alert.due, alert.held, alert.is_of_the_night) = (None, None, false);
        self.tell_history(key, "told", None, now);
        self.dirty.insert(Arc::clone(key));
    }

    /// Those of the channels that are still configured.
    pub(super) fn known(&self, channels: &[Arc<str>]) -> Vec<Arc<str>> {
        channels.iter().filter(|name| self.config.channels.contains(name)).cloned().collect()
    }

    /// Plans when to look again.
    pub(super) fn plan(&mut self, now: Timestamp) {
        let wait = self.config.monitor.grouping.wait.0;
        let flapping = self.config.monitor.flapping;
        let mut wake = later(now, LOOK_EVERY);
        let mut at = |moment: Timestamp| {
            if moment > now {
                wake = wake.min(moment);
            }
        };
        let recovery = self.config.monitor.grouping.recovery.0;
        for alert in self.alerts.values() {
            if let Some(ended) = alert.ended {
                at(later(ended, recovery));
            }
            if let Some((_, since)) = alert.due {
                at(later(since, wait));
                if let Some(told) = self.told_at.get(&alert.group) {
                    at(later(*told, wait));
                }
            }
        }
        self.silences.iter().for_each(|silence| at(silence.until));
        for key in &self.standing {
            if let Some(moment) = self.alerts.get(key).and_then(|alert| alert.next_change(&flapping)) {
                at(moment);
            }
        }
        if let Some(moment) = self.next_pulse() {
            at(moment);
        }
        self.wake = wake;
    }
}

/// Both, in the order of the first.
pub(super) fn union(first: &[Arc<str>], second: &[Arc<str>]) -> Vec<Arc<str>> {
    first.iter().chain(second.iter().filter(|name| !first.contains(name))).cloned().collect()
}

/// Where too many threads are concerned at once, one message of a kind for all of them.
fn merged(heaps: BTreeMap<Heap, Vec<Arc<str>>>) -> Vec<(Heap, Vec<Arc<str>>)> {
    let mut merged: Vec<(Heap, Vec<Arc<str>>)> = Vec::new();
    for ((kind, thread, channels), keys) in heaps {
        let alike = merged.iter().filter(|((other, ..), _)| *other == kind).count();
        let last = merged.iter_mut().rfind(|((other, _, on), _)| *other == kind && *on == channels);
        match last {
            Some((_, into)) if alike >= MOST_THREADS => into.extend(keys),
            _ => merged.push(((kind, thread, channels), keys)),
        }
    }
    merged
}

/// Whether an alert is one that a summary of the night names as open.
pub(super) fn is_open_of_the_night(alert: &Alert) -> bool {
    alert.state.is_open() && is_told(alert.severity)
}
