//! The state machine over all alerts: told the time and what happened, it decides what is kept and what is told.
//!
//! Each input changes the state and gathers [`Changes`]; [`Desk::settle`] then decides what is due to be told. It reads no clock, sends
//! nothing and stores nothing: the actor commits the changes, and only then lets anything be seen.

mod alert;
mod causes;
mod gone;
mod heartbeats;
mod keep;
mod memory;
mod notices;
mod people;
mod telling;
mod views;

#[cfg(test)]
mod tests;

pub(crate) use alert::{Alert, later};
pub(crate) use heartbeats::Pulse;
pub(crate) use keep::unpack as keep_unpack;
pub use notices::Draft;
pub(crate) use people::{Silence, unknown};
pub(crate) use views::{fits, limit, view};

use crate::calendar::Calendar;
use crate::config::Config;
use crate::rules::{self, ALERTMANAGER, is_standing};
use alert::Moved;
use contract::alerts::{AlertEvent, AlertState, Finding, Judged, Reading, ReportFindings, Severity};
use contract::store::AlertRecord;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What an input changed: to be stored as one.
#[derive(Debug, Default)]
pub struct Changes {
    /// Alerts, in place of what was kept under the same number.
    pub alerts: Vec<AlertRecord>,
    /// Lines of history.
    pub events: Vec<AlertEvent>,
    /// What is told.
    pub notices: Vec<Draft>,
    /// Named states; `None` forgets one.
    pub states: Vec<(Arc<str>, Option<String>)>,
    /// What ended before this is forgotten.
    pub forget_before: Option<Timestamp>,
    /// Alerts whose explanation is wanted, by number.
    pub explain: Vec<u64>,
}

/// Figures since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) opened: u64,
    pub(crate) resolved: u64,
    pub(crate) notices: u64,
    /// Findings that found no place.
    pub(crate) refused: u64,
}

/// All alerts.
pub struct Desk {
    config: Arc<Config>,
    calendar: Calendar,
    /// HAIA's own time zone.
    system: TimeZone,
    alerts: BTreeMap<Arc<str>, Alert>,
    /// Keys of alerts that have a number.
    numbers: BTreeMap<u64, Arc<str>>,
    /// Keys of alerts of standing rules: those that time alone may move.
    standing: BTreeSet<Arc<str>>,
    silences: Vec<Silence>,
    pulses: BTreeMap<Arc<str>, Pulse>,
    last_id: u64,
    last_silence: u64,
    /// When each group was told something last.
    told_at: BTreeMap<Arc<str>, Timestamp>,
    started: Timestamp,
    forgot_at: Option<Timestamp>,
    dirty: BTreeSet<Arc<str>>,
    changes: Changes,
    wake: Timestamp,
    figures: Figures,
}

impl Desk {
    /// A desk that knows of no alert.
    pub fn new(config: Arc<Config>, system: TimeZone, now: Timestamp) -> Self {
        let mut desk = Self {
            calendar: Calendar::new(&config.monitor, &system),
            config: Arc::default(),
            system,
            alerts: BTreeMap::new(),
            numbers: BTreeMap::new(),
            standing: BTreeSet::new(),
            silences: Vec::new(),
            pulses: BTreeMap::new(),
            last_id: 0,
            last_silence: 0,
            told_at: BTreeMap::new(),
            started: now,
            forgot_at: None,
            dirty: BTreeSet::new(),
            changes: Changes::default(),
            wake: now,
            figures: Figures::default(),
        };
        desk.reconfigure(config, now);
        desk
    }

    /// Takes over another configuration.
    pub fn reconfigure(&mut self, config: Arc<Config>, now: Timestamp) {
        self.calendar = Calendar::new(&config.monitor, &self.system);
        self.config = config;
        self.keep_pulses(now);
        self.end_gone(now);
        // Settings of own rules count at once, not only with the next report.
        for key in self.standing.clone() {
            let Some(alert) = self.alerts.get(&key) else { continue };
            let mut finding = alert.finding.clone();
            finding.levels = alert.levels.iter().map(|level| level.last).collect();
            self.find(finding, "", now, false);
        }
    }

    /// Takes a report.
    pub fn report(&mut self, now: Timestamp, report: ReportFindings) {
        for judged in report.judged {
            self.judge(now, &report.source, report.is_baseline, judged);
        }
    }

    fn judge(&mut self, now: Timestamp, source: &str, is_baseline: bool, judged: Judged) {
        let mut seen: BTreeSet<Arc<str>> = judged.unseen.into_iter().collect();
        for finding in judged.findings {
            seen.insert(Arc::clone(&finding.object));
            self.find(finding, source, now, is_baseline);
        }
        let gone: Vec<Arc<str>> = self
            .within(&judged.rule, &judged.scope)
            .filter(|alert| !seen.contains(&alert.finding.object))
            .filter(|alert| alert.levels.iter().any(|level| level.is_active || level.raised.is_some()))
            .map(|alert| alert.finding.key().into())
            .collect();
        for key in gone {
            self.clear(&key, now);
        }
    }

    /// The alerts of a rule whose object lies within a scope: one that ends with `/` is a beginning, any other is one whole object.
    fn within<'a>(&'a self, rule: &str, scope: &'a str) -> impl Iterator<Item = &'a Alert> {
        let begin = format!("{rule}:{scope}");
        let end = begin.clone();
        let is_beginning = scope.is_empty() || scope.ends_with('/');
        let alerts = self.alerts.range(Arc::<str>::from(begin)..);
        let alerts = alerts.map_while(move |(key, alert)| key.starts_with(&*end).then_some(alert));
        alerts.filter(move |alert| is_beginning || *alert.finding.object == *scope)
    }

    /// Takes a finding.
    fn find(&mut self, finding: Finding, source: &str, now: Timestamp, is_baseline: bool) {
        // A report that was under way when its subject was taken out of the configuration.
        if !self.config.covers(&finding) {
            return;
        }
        let was_raised = finding.raised().is_some();
        let finding = rules::apply(&self.config.rules, finding);
        let key: Arc<str> = finding.key().into();
        let raises = finding.levels.iter().any(|level| level.reading == Reading::Raised);
        let is_switched_off = was_raised && finding.levels.iter().all(|level| level.reading == Reading::Clear);
        let Some(known) = self.alerts.get(&key) else {
            if raises && self.has_place() {
                let group = group_of(&finding, source);
                if is_standing(&finding.rule) {
                    self.standing.insert(Arc::clone(&key));
                }
                self.alerts.insert(Arc::clone(&key), Alert::new(finding.clone(), group));
                self.read(&key, Some(finding), now, is_baseline);
            }
            return;
        };
        if *finding.rule == *ALERTMANAGER && is_repeated(known, &finding, raises) {
            return;
        }
        // What the settings switch off says nothing about its end.
        self.read(&key, Some(finding).filter(|_| !is_switched_off), now, is_baseline);
    }

    fn clear(&mut self, key: &Arc<str>, now: Timestamp) {
        self.read(key, None, now, false);
    }

    fn read(&mut self, key: &Arc<str>, found: Option<Finding>, now: Timestamp, is_baseline: bool) {
        let flapping = self.config.monitor.flapping;
        let Some(alert) = self.alerts.get_mut(key) else { return };
        let moved = alert.read(found, now, &flapping, is_baseline);
        self.move_on(key, moved, now, is_baseline);
    }

    /// Lets time pass for the rules whose readings hold until they change.
    fn read_standing(&mut self, now: Timestamp) {
        let flapping = self.config.monitor.flapping;
        let is_due = |key: &&Arc<str>| {
            let next = self.alerts.get(*key).and_then(|alert| alert.next_change(&flapping));
            next.is_some_and(|at| at <= now)
        };
        for key in self.standing.iter().filter(is_due).cloned().collect::<Vec<_>>() {
            let Some(alert) = self.alerts.get_mut(&key) else { continue };
            let moved = alert.read_again(now, &flapping);
            self.move_on(&key, moved, now, false);
        }
    }

    /// Does what a reading brought about.
    fn move_on(&mut self, key: &Arc<str>, moved: Moved, now: Timestamp, is_baseline: bool) {
        let flapping = self.config.monitor.flapping;
        let next = self.last_id + 1;
        let Some(alert) = self.alerts.get_mut(key) else { return };
        match moved {
            Moved::Nothing => {
                // What was never open and rises no more leaves no trace.
                if alert.id == 0 && alert.pending().is_none() {
                    self.forget(key);
                }
                return;
            }
            Moved::Timers => {}
            Moved::Opens => {
                let before = (alert.id > 0).then(|| keep::record(key, alert, false));
                let was_flapping = alert.is_flapping;
                if alert.open(|| next, now, &flapping) {
                    self.tell_history(key, "reopened", None, now);
                } else {
                    self.last_id = next;
                    alert.is_baseline = is_baseline;
                    self.numbers.insert(next, Arc::clone(key));
                    self.changes.states.push((keep::pending_name(key), None));
                    if let Some(before) = before {
                        self.numbers.remove(&before.id);
                        self.changes.alerts.push(before);
                    }
                    self.figures.opened += 1;
                    self.tell_history(key, "opened", None, now);
                }
                let flaps = self.alerts.get(key).is_some_and(|alert| alert.is_flapping);
                if flaps && !was_flapping {
                    self.tell_history(key, "flapping", None, now);
                }
            }
            Moved::Worse => self.tell_history(key, "escalated", None, now),
            Moved::Milder => self.tell_history(key, "eased", None, now),
            Moved::Ends => {
                alert.state = AlertState::Resolved;
                alert.ended = Some(now);
                self.figures.resolved += 1;
                self.tell_history(key, "resolved", None, now);
            }
            Moved::Over => {
                alert.is_expected = false;
                alert.ended = Some(now);
                self.tell_history(key, "over", None, now);
            }
        }
        self.dirty.insert(Arc::clone(key));
    }

    /// Brings everything up to date and decides what is told now. `may_tell` is false while what was told before cannot be stored: the rest
    /// then waits in the alerts.
    pub fn settle(&mut self, now: Timestamp, may_tell: bool) {
        self.wind_back(now);
        self.calendar.look(now);
        self.end_silences(now);
        self.beat_out(now);
        self.read_standing(now);
        self.tell(now, may_tell);
        self.forget_old(now);
        self.plan(now);
    }

    /// A clock that was set back must not make anything wait for the difference.
    fn wind_back(&mut self, now: Timestamp) {
        self.started = self.started.min(now);
        for told in self.told_at.values_mut() {
            *told = (*told).min(now);
        }
        self.wind_back_pulses(now);
    }

    /// When [`Self::settle`] is due again, should nothing happen before.
    pub fn wake(&self) -> Timestamp {
        self.wake
    }

    /// Writes a line of history.
    fn tell_history(&mut self, key: &Arc<str>, what: &'static str, who: Option<Arc<str>>, now: Timestamp) {
        let Some(alert) = self.alerts.get(key) else { return };
        let text = match (what, &alert.closing) {
            ("resolved" | "over", Some(closing)) => format!("{} {closing}", alert.finding.subject),
            ("held", _) => alert.held.clone().unwrap_or_default(),
            ("told", _) if alert.folded.is_some() => format!("within {}", alert.folded.as_deref().unwrap_or_default()),
            ("explained", _) => alert.explanation.clone().unwrap_or_default(),
            _ => crate::wording::sentence(alert),
        };
        self.changes.events.push(AlertEvent {
            alert: alert.id,
            at: now,
            what: what.into(),
            name: Arc::clone(key),
            severity: alert.severity,
            who,
            text,
        });
    }

    /// What the inputs so far changed.
    pub fn take_changes(&mut self) -> Changes {
        let mut changes = std::mem::take(&mut self.changes);
        for key in std::mem::take(&mut self.dirty) {
            let Some(alert) = self.alerts.get(&key) else { continue };
            if alert.id > 0 {
                changes.alerts.push(keep::record(&key, alert, true));
            } else {
                changes.states.push((keep::pending_name(&key), Some(keep::pack(alert))));
            }
        }
        changes
    }

    /// The alert of a number.
    pub(crate) fn numbered(&self, id: u64) -> Option<(&Arc<str>, &Alert)> {
        self.alerts.get_key_value(self.numbers.get(&id)?)
    }

    /// The calendar in force.
    pub(crate) fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// Keeps what explains an alert and tells it; says whether there was an alert to explain still.
    pub fn explain(&mut self, now: Timestamp, id: u64, text: &str) -> bool {
        let Some(key) = self.numbers.get(&id).cloned() else { return false };
        let Some(alert) = self.alerts.get_mut(&key) else { return false };
        if !alert.state.is_open() {
            return false;
        }
        alert.explanation = Some(text.to_owned());
        let draft = self.explanation(&key, text);
        self.notice(draft, now);
        self.tell_history(&key, "explained", None, now);
        self.dirty.insert(key);
        true
    }
}

/// Alertmanager repeats what it sent, and a late repetition may come after what followed it.
fn is_repeated(known: &Alert, finding: &Finding, raises: bool) -> bool {
    let is_over = known.state == AlertState::Resolved && !known.is_expected;
    if raises { is_over && finding.since <= known.finding.since } else { finding.since < known.finding.since }
}

/// By what an alert's messages are gathered: its cluster, or its source.
fn group_of(finding: &Finding, source: &str) -> Arc<str> {
    match &*finding.rule {
        ALERTMANAGER => ALERTMANAGER.into(),
        rule if is_standing(rule) => "haia".into(),
        _ => finding.labels.first("cluster").unwrap_or(source).into(),
    }
}

/// Whether an alert of this severity is told at once, if nothing is in the way.
fn is_told(severity: Severity) -> bool {
    severity >= Severity::Warning
}
