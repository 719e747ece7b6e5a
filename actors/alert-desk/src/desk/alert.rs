//! One alert, and how readings move it: pure, and told the time. It sends nothing and knows no other alert.

use crate::config::Flapping;
use contract::alerts::{AlertState, Finding, LevelReading, Reading, Severity};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// The most openings that are remembered of one alert.
const OPENINGS: usize = 64;

/// One level of an alert, with what its readings have come to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Level {
    /// The last reading.
    pub(crate) last: LevelReading,
    /// Whether it held for long enough, and is not over for long enough.
    pub(crate) is_active: bool,
    /// Since when it reads raised.
    pub(crate) raised: Option<Timestamp>,
    /// Since when it reads clear while it is active.
    pub(crate) clear: Option<Timestamp>,
}

/// What was told of an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// The worst severity that was told.
    pub(crate) severity: Severity,
    /// The thread of its messages.
    pub(crate) thread: Arc<str>,
    /// Where it was told.
    pub(crate) channels: Vec<Arc<str>>,
    /// When something was told of it last.
    pub(crate) at: Timestamp,
    /// Reminders so far.
    pub(crate) reminders: u32,
    /// Whether it was told that it comes and goes.
    pub(crate) as_flapping: bool,
    /// Whether its end was told, or needs no telling.
    pub(crate) end: bool,
}

/// What waits to be told of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Want {
    /// That it opened.
    Opening,
    /// That it became worse.
    Escalation,
    /// That it comes and goes.
    Flapping,
    /// That it is still open.
    Reminder,
    /// That it ended.
    End,
    /// That it opened and ended while nothing was told.
    Passed,
}

/// One alert: its readings, its present or last occurrence, and what was told of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Alert {
    /// The number of the occurrence; 0 before the first.
    pub(crate) id: u64,
    /// The cluster or source that its messages are gathered by.
    pub(crate) group: Arc<str>,
    /// What was found last while it was not clear.
    pub(crate) finding: Finding,
    /// What the watcher said of the end.
    pub(crate) closing: Option<String>,
    /// Its levels.
    pub(crate) levels: Vec<Level>,
    /// Where the occurrence is in its life; pending before the first.
    pub(crate) state: AlertState,
    /// How bad the occurrence is, or was at its end.
    pub(crate) severity: Severity,
    pub(crate) opened: Option<Timestamp>,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) acknowledged: Option<(Arc<str>, Timestamp)>,
    /// A person said that it was meant: quiet until it is over.
    pub(crate) is_expected: bool,
    /// It was open at the first sight of its cluster.
    pub(crate) is_baseline: bool,
    pub(crate) is_flapping: bool,
    /// When it opened, lately.
    pub(crate) openings: Vec<Timestamp>,
    pub(crate) told: Option<Told>,
    /// The root cause that it was told within.
    pub(crate) folded: Option<Arc<str>>,
    /// It came after its root cause was told: it belongs to it, but no message has named it.
    #[serde(default)]
    pub(crate) is_unlisted: bool,
    /// What holds its messages now.
    pub(crate) held: Option<String>,
    /// Quiet hours held something of it: it goes into their summary.
    pub(crate) is_of_the_night: bool,
    /// What waits to be told, and since when.
    pub(crate) due: Option<(Want, Timestamp)>,
    pub(crate) explanation: Option<String>,
}

/// What a report changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// Nothing of note.
    Nothing,
    /// Its timers, which are kept.
    Timers,
    /// It opens: the desk begins an occurrence, or takes the last one up again.
    Opens,
    /// It became worse.
    Worse,
    /// It became milder.
    Milder,
    /// It ended.
    Ends,
    /// What was expected is over.
    Over,
}

impl Level {
    fn new(reading: LevelReading) -> Self {
        Self { last: reading, is_active: false, raised: None, clear: None }
    }

    fn read(&mut self, reading: LevelReading, now: Timestamp, clear_for: impl Fn(Duration) -> Duration, at_once: bool) {
        self.last = reading;
        // A clock that was set back must not make anything wait for the difference.
        for since in [&mut self.raised, &mut self.clear].into_iter().flatten() {
            *since = (*since).min(now);
        }
        match reading.reading {
            Reading::Raised => {
                self.clear = None;
                let since = *self.raised.get_or_insert(now);
                self.is_active |= at_once || has_passed(since, reading.raise_for, now);
            }
            Reading::Held => {
                self.clear = None;
                if !self.is_active {
                    self.raised = None;
                }
            }
            Reading::Clear => {
                self.raised = None;
                if self.is_active {
                    let since = *self.clear.get_or_insert(now);
                    if has_passed(since, clear_for(reading.clear_for), now) {
                        (self.is_active, self.clear) = (false, None);
                    }
                }
            }
        }
    }
}

fn has_passed(since: Timestamp, wait: Duration, now: Timestamp) -> bool {
    now.duration_since(since) >= SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX)
}

/// `at + wait`, or the end of time.
pub(crate) fn later(at: Timestamp, wait: Duration) -> Timestamp {
    at.checked_add(wait).unwrap_or(Timestamp::MAX)
}

impl Alert {
    /// An alert that nothing was read of yet.
    pub(crate) fn new(finding: Finding, group: Arc<str>) -> Self {
        Self {
            id: 0,
            group,
            severity: finding.raised().unwrap_or(Severity::Info),
            finding,
            closing: None,
            levels: Vec::new(),
            state: AlertState::Pending,
            opened: None,
            ended: None,
            acknowledged: None,
            is_expected: false,
            is_baseline: false,
            is_flapping: false,
            openings: Vec::new(),
            told: None,
            folded: None,
            is_unlisted: false,
            held: None,
            is_of_the_night: false,
            due: None,
            explanation: None,
        }
    }

    /// The worst level in force.
    pub(crate) fn active(&self) -> Option<Severity> {
        self.levels.iter().filter(|level| level.is_active).map(|level| level.last.severity).max()
    }

    /// The worst level that reads raised but is not in force yet.
    fn rising(&self) -> Option<Severity> {
        let rising = |level: &&Level| level.raised.is_some() && !level.is_active;
        self.levels.iter().filter(rising).map(|level| level.last.severity).max()
    }

    /// The severity with which it is about to open, if it is.
    pub(crate) fn pending(&self) -> Option<Severity> {
        if self.state.is_open() || self.active().is_some() { None } else { self.rising() }
    }

    /// How long the occurrence has lasted, or did.
    pub(crate) fn lasted(&self) -> SignedDuration {
        match (self.opened, self.ended) {
            (Some(opened), Some(ended)) => ended.duration_since(opened.min(self.finding.since)),
            _ => SignedDuration::ZERO,
        }
    }

    /// Takes the readings of a report; `None`: all clear. `at_once` leaves out the waiting times of beginnings.
    pub(crate) fn read(&mut self, found: Option<Finding>, now: Timestamp, flapping: &Flapping, at_once: bool) -> Moved {
        let before: Vec<Level> = self.levels.clone();
        let readings: Vec<LevelReading> = match &found {
            Some(found) => found.levels.clone(),
            None => Vec::new(),
        };
        let is_flapping = self.is_flapping;
        let clear_for = |wait: Duration| match is_flapping {
            true => wait.saturating_mul(flapping.factor).max(flapping.calm.0),
            false => wait,
        };
        // A level that is not reported any more reads clear; where it was configured away, at once.
        for level in &mut self.levels {
            if !readings.iter().any(|reading| reading.severity == level.last.severity) {
                let clear_for_was = if found.is_some() { Duration::ZERO } else { level.last.clear_for };
                let reading = LevelReading { reading: Reading::Clear, clear_for: clear_for_was, ..level.last };
                level.read(reading, now, clear_for, at_once);
            }
        }
        for reading in readings {
            let at = self.levels.iter().position(|level| level.last.severity == reading.severity);
            let at = at.unwrap_or_else(|| {
                self.levels.push(Level::new(reading));
                self.levels.len() - 1
            });
            self.levels[at].read(reading, now, clear_for, at_once);
        }
        let has = |found: &Finding, reading| found.levels.iter().any(|level| level.reading == reading);
        match found {
            // Between the thresholds what is closed stays as it was told.
            Some(found) if has(&found, Reading::Raised) || (has(&found, Reading::Held) && self.state.is_open()) => {
                let is_new = !self.state.is_open();
                // The moment it began is told in messages: it must not wander while it is open.
                let since = if is_new { found.since } else { self.finding.since.min(found.since) };
                self.finding = Finding { since, ..found };
                self.closing = None;
            }
            Some(found) if self.state.is_open() && !has(&found, Reading::Held) => self.closing = Some(found.summary),
            _ => {}
        }
        self.moved(&before)
    }

    /// Reads the last readings again: for rules that report changes only.
    pub(crate) fn read_again(&mut self, now: Timestamp, flapping: &Flapping) -> Moved {
        let before = self.levels.clone();
        let is_flapping = self.is_flapping;
        let clear_for = |wait: Duration| match is_flapping {
            true => wait.saturating_mul(flapping.factor).max(flapping.calm.0),
            false => wait,
        };
        for level in &mut self.levels {
            level.read(level.last, now, clear_for, false);
        }
        self.moved(&before)
    }

    /// When reading again would change something.
    pub(crate) fn next_change(&self, flapping: &Flapping) -> Option<Timestamp> {
        let of = |level: &Level| match (level.is_active, level.raised, level.clear) {
            (false, Some(raised), _) => Some(later(raised, level.last.raise_for)),
            (true, _, Some(clear)) if self.is_flapping => {
                let wait = level.last.clear_for.saturating_mul(flapping.factor).max(flapping.calm.0);
                Some(later(clear, wait))
            }
            (true, _, Some(clear)) => Some(later(clear, level.last.clear_for)),
            _ => None,
        };
        self.levels.iter().filter_map(of).min()
    }

    fn moved(&mut self, before: &[Level]) -> Moved {
        let timers = |levels: &[Level]| -> Vec<(bool, bool, bool)> {
            levels.iter().map(|level| (level.is_active, level.raised.is_some(), level.clear.is_some())).collect()
        };
        let was_open = self.state.is_open();
        match self.active() {
            Some(_) if self.is_expected => {}
            Some(_) if !was_open => return Moved::Opens,
            Some(severity) if severity > self.severity => {
                self.severity = severity;
                return Moved::Worse;
            }
            Some(severity) if severity < self.severity => {
                self.severity = severity;
                return Moved::Milder;
            }
            None if was_open => return Moved::Ends,
            None if self.is_expected => return Moved::Over,
            _ => {}
        }
        if timers(before) == timers(&self.levels) { Moved::Nothing } else { Moved::Timers }
    }

    /// Begins an occurrence, or takes up the last one, whose end was not told yet. Says whether it took it up.
    pub(crate) fn open(&mut self, next_id: impl FnOnce() -> u64, now: Timestamp, flapping: &Flapping) -> bool {
        let window = SignedDuration::try_from(flapping.within.0).unwrap_or(SignedDuration::MAX);
        self.openings.retain(|opening| now.duration_since(*opening) < window);
        if self.openings.len() >= OPENINGS {
            self.openings.remove(0);
        }
        self.openings.push(now);
        self.severity = self.active().unwrap_or(self.severity);
        let goes_on = self.state == AlertState::Resolved && self.told.as_ref().is_some_and(|told| !told.end);
        if goes_on {
            self.state = if self.acknowledged.is_some() { AlertState::Acknowledged } else { AlertState::Firing };
        } else {
            self.id = next_id();
            self.state = AlertState::Firing;
            self.opened = Some(now);
            (self.acknowledged, self.told, self.folded, self.held, self.explanation) = (None, None, None, None, None);
            (self.is_baseline, self.is_of_the_night, self.due) = (false, false, None);
        }
        self.ended = None;
        self.is_flapping = self.openings.len() >= flapping.openings as usize;
        goes_on
    }

    /// What waits to be told of it, were nothing in the way.
    pub(crate) fn wants(&self, reminder: &crate::config::Reminder, now: Timestamp) -> Option<Want> {
        if self.is_expected {
            return None;
        }
        match (self.state, &self.told) {
            (AlertState::Firing, None) if self.severity < Severity::Warning || self.folded.is_some() => None,
            (AlertState::Firing, None) if self.is_flapping => Some(Want::Flapping),
            (AlertState::Firing, None) => Some(Want::Opening),
            (AlertState::Firing, Some(told)) => {
                let wait = if told.reminders == 0 { Some(reminder.after) } else { reminder.every };
                let is_time = wait.is_some_and(|wait| !wait.0.is_zero() && has_passed(told.at, wait.0, now));
                if told.severity < self.severity && self.severity >= Severity::Warning {
                    Some(Want::Escalation)
                } else if self.is_flapping && !told.as_flapping {
                    Some(Want::Flapping)
                } else if is_time && self.severity >= Severity::Warning {
                    Some(Want::Reminder)
                } else {
                    None
                }
            }
            (AlertState::Resolved, Some(told)) if !told.end => Some(Want::End),
            (AlertState::Resolved, None) if self.is_of_the_night => Some(Want::Passed),
            _ => None,
        }
    }
}

impl Level {
    /// How long it was calm before it ended, where it came and went.
    pub(crate) fn calm(&self, config: &crate::config::Config) -> Option<SignedDuration> {
        let flapping = config.monitor.flapping;
        SignedDuration::try_from(self.last.clear_for.saturating_mul(flapping.factor).max(flapping.calm.0)).ok()
    }
}
