//! The desk's life in tables and stories: a desk with a store of its own, told the time second by second.

mod gone;
mod life;
mod model;
mod people;
mod storms;

use super::{Changes, Desk, Draft};
use crate::config::Config;
use contract::alerts::{Finding, Judged, LevelReading, Reading, ReportFindings, Severity};
use contract::notify::NoticeKind;
use contract::store::KeptAlerts;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// 1 March 2026, 12:00 UTC.
pub(super) const ORIGIN: i64 = 1_772_366_400;

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(ORIGIN + second).unwrap()
}

/// A store in memory.
#[derive(Clone, Default)]
pub(super) struct Kept {
    alerts: BTreeMap<u64, contract::store::AlertRecord>,
    states: BTreeMap<Arc<str>, String>,
}

impl Kept {
    fn commit(&mut self, changes: &Changes) {
        for record in &changes.alerts {
            assert!(record.id > 0, "only occurrences have records");
            self.alerts.insert(record.id, record.clone());
        }
        for (name, data) in &changes.states {
            match data {
                Some(data) => self.states.insert(Arc::clone(name), data.clone()),
                None => self.states.remove(name),
            };
        }
    }

    fn load(&self) -> KeptAlerts {
        KeptAlerts {
            live: self.alerts.values().filter(|record| record.is_live).cloned().collect(),
            last_id: self.alerts.keys().last().copied().unwrap_or(0),
            states: self.states.iter().map(|(name, data)| (Arc::clone(name), data.clone())).collect(),
        }
    }
}

/// A desk, its store, and what it told.
pub(super) struct Story {
    pub(super) desk: Desk,
    pub(super) kept: Kept,
    pub(super) told: Vec<(i64, Draft)>,
    pub(super) second: i64,
    config: Arc<Config>,
}

impl Story {
    pub(super) fn new() -> Self {
        Self::with("{}")
    }

    /// A desk with this `[monitor]`, and one channel.
    pub(super) fn with(monitor: &str) -> Self {
        Self::of(Config {
            monitor: serde_json::from_str(monitor).unwrap(),
            rules: serde_json::from_str(monitor).unwrap(),
            channels: vec!["phone".into()],
            ..Config::default()
        })
    }

    pub(super) fn of(config: Config) -> Self {
        assert_eq!(config.validate(), []);
        let config = Arc::new(config);
        let desk = Desk::new(Arc::clone(&config), TimeZone::UTC, at(0));
        Self { desk, kept: Kept::default(), told: Vec::new(), second: 0, config }
    }

    fn keep(&mut self) {
        self.desk.settle(at(self.second), true);
        let mut changes = self.desk.take_changes();
        self.kept.commit(&changes);
        let second = self.second;
        self.told.extend(changes.notices.drain(..).map(|draft| (second, draft)));
    }

    /// Lets time pass until a second, looking whenever the desk wants to be looked at.
    pub(super) fn until(&mut self, second: i64) {
        while self.second < second {
            let wake = self.desk.wake().as_second() - ORIGIN;
            self.second = wake.clamp(self.second + 1, second);
            self.keep();
        }
    }

    /// Another start: everything but the store is lost.
    pub(super) fn restart(&mut self) {
        self.keep();
        self.start_again();
    }

    /// Another start, after a time in which there was no desk.
    pub(super) fn start_again(&mut self) {
        self.desk = Desk::new(Arc::clone(&self.config), TimeZone::UTC, at(self.second));
        self.desk.restore(self.kept.load(), at(self.second));
        self.keep();
    }

    pub(super) fn report(&mut self, judged: Vec<Judged>) {
        self.report_of(judged, false);
    }

    pub(super) fn report_of(&mut self, judged: Vec<Judged>, is_baseline: bool) {
        let source = "proxmox/lab".into();
        self.desk.report(at(self.second), ReportFindings { source, is_baseline, judged });
        self.keep();
    }

    /// Reports these findings of a rule and no others, every ten seconds, until a second.
    pub(super) fn reporting(&mut self, rule: &str, findings: &[Finding], until: i64) {
        while self.second < until {
            self.report(vec![judged(rule, findings)]);
            self.until((self.second + 10).min(until));
        }
    }

    /// What was told since the last time, as `second kind: title`.
    pub(super) fn take(&mut self) -> Vec<String> {
        self.told.drain(..).map(|(second, draft)| format!("{second} {:?}: {}", draft.kind, draft.title)).collect()
    }

    pub(super) fn kinds(&self) -> Vec<NoticeKind> {
        self.told.iter().map(|(_, draft)| draft.kind).collect()
    }

    /// The number of the open alert of a key.
    pub(super) fn number(&self, key: &str) -> u64 {
        self.desk.alerts.get(key).map_or(0, |alert| alert.id)
    }
}

/// A level that reads this, with its waiting times in seconds.
pub(super) fn level(severity: Severity, reading: Reading, raise_for: u64, clear_for: u64) -> LevelReading {
    let seconds = Duration::from_secs;
    LevelReading { severity, reading, raise_for: seconds(raise_for), clear_for: seconds(clear_for) }
}

/// A finding about `lab/<object>` with these levels.
pub(super) fn finding(rule: &str, object: &str, levels: Vec<LevelReading>) -> Finding {
    let mut finding = Finding::new(rule, format!("lab/{object}"), object, "is in trouble", None, at(0));
    finding.levels = levels;
    finding.labels.add("cluster", "lab");
    finding
}

/// A finding that raises at once.
pub(super) fn raised(rule: &str, object: &str, severity: Severity) -> Finding {
    finding(rule, object, vec![level(severity, Reading::Raised, 0, 0)])
}

/// A judgement over the whole cluster.
pub(super) fn judged(rule: &str, findings: &[Finding]) -> Judged {
    Judged { rule: rule.into(), scope: "lab/".into(), findings: findings.to_vec(), unseen: Vec::new() }
}
