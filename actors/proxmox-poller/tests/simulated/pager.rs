//! What a person would be told: the plainest alert desk that keeps the times of findings and folds what has a cause.

use contract::alerts::{Finding, Judged, Reading, ReportFindings, Severity};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[derive(Clone, Debug, Default)]
struct Level {
    raised_since: Option<Timestamp>,
    /// Whether this report reads it raised: what cannot be seen now opens nothing.
    is_read: bool,
    clear_since: Option<Timestamp>,
    is_open: bool,
}

/// The open and pending alerts, and what was told of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pager {
    levels: BTreeMap<(String, Severity), (Level, Finding)>,
    /// What was told: when, how bad, `rule:object`, and the line on the screen.
    pub(crate) told: Vec<(Timestamp, Severity, String, String)>,
    /// What ended: when, `rule:object`, and the line on the screen; without a line where the watcher said nothing of the end.
    pub(crate) ended: Vec<(Timestamp, String, Option<String>)>,
    /// What was open already at the first sight.
    pub(crate) baseline: Vec<String>,
    /// How that is over which is about to end.
    ends: BTreeMap<String, String>,
    /// How many reports came.
    pub(crate) reports: usize,
}

fn elapsed(since: Option<Timestamp>, now: Timestamp, least: Duration) -> bool {
    since.is_some_and(|since| now.as_second() - since.as_second() >= i64::try_from(least.as_secs()).unwrap())
}

impl Pager {
    pub(crate) fn take(&mut self, report: &ReportFindings, now: Timestamp) {
        self.reports += 1;
        for judged in &report.judged {
            self.judge(judged, report.is_baseline, now);
        }
        self.fire(report.is_baseline, now);
    }

    fn judge(&mut self, judged: &Judged, _: bool, now: Timestamp) {
        let mut read: BTreeMap<(String, Severity), (Reading, Finding)> = BTreeMap::new();
        for finding in &judged.findings {
            for level in &finding.levels {
                read.insert((finding.key(), level.severity), (level.reading, finding.clone()));
            }
        }
        for ((key, severity), (level, finding)) in &mut self.levels {
            let within = *finding.rule == *judged.rule
                && finding
                    .object
                    .strip_prefix(&*judged.scope)
                    .is_some_and(|rest| rest.is_empty() || judged.scope.ends_with('/') || rest.starts_with('/'));
            let unseen = judged.unseen.contains(&finding.object);
            if within && !unseen && !read.contains_key(&(key.clone(), *severity)) {
                level.raised_since = None;
                level.clear_since = level.clear_since.or(Some(now));
            }
        }
        for ((key, severity), (reading, new)) in read {
            let is_end = new.levels.iter().all(|level| level.reading == Reading::Clear);
            if is_end {
                self.ends.insert(key.clone(), format!("{} {}", new.subject, new.summary));
            } else {
                self.ends.remove(&key);
            }
            let Some((level, finding)) = self.levels.get_mut(&(key.clone(), severity)) else {
                if reading != Reading::Clear {
                    let raised_since = (reading == Reading::Raised).then_some(now);
                    let is_read = raised_since.is_some();
                    self.levels.insert((key, severity), (Level { raised_since, is_read, ..Level::default() }, new));
                }
                continue;
            };
            *finding = new;
            match reading {
                Reading::Raised => {
                    level.raised_since = level.raised_since.or(Some(now));
                    level.is_read = true;
                    level.clear_since = None;
                }
                Reading::Held => level.clear_since = None,
                Reading::Clear => {
                    level.raised_since = None;
                    level.clear_since = level.clear_since.or(Some(now));
                }
            }
        }
    }

    fn fire(&mut self, is_baseline: bool, now: Timestamp) {
        let near: Vec<String> = self
            .levels
            .iter()
            .filter(|(_, (level, _))| level.is_open || level.raised_since.is_some())
            .map(|((key, _), _)| key.clone())
            .collect();
        let was_open = self.open_keys();
        // The worst level of an alert is what is told of it, so it comes first.
        for ((key, severity), (level, finding)) in self.levels.iter_mut().rev() {
            let times = finding.levels.iter().find(|one| one.severity == *severity);
            let (raise_for, clear_for) = times.map_or_else(Default::default, |one| (one.raise_for, one.clear_for));
            if std::mem::take(&mut level.is_read) && !level.is_open && elapsed(level.raised_since, now, raise_for) {
                level.is_open = true;
                let is_folded = finding.causes.iter().any(|cause| near.iter().any(|near| **near == **cause));
                if is_baseline {
                    self.baseline.push(key.clone());
                } else if !is_folded
                    && !self.told.iter().any(|told| told.2 == *key && told.1 > *severity && told.0 == now)
                {
                    let line = format!("{} {}", finding.subject, finding.summary);
                    self.told.push((now, *severity, key.clone(), line));
                }
            }
            if level.is_open && elapsed(level.clear_since, now, clear_for) {
                level.is_open = false;
            }
        }
        let is_open = self.open_keys();
        for key in was_open.difference(&is_open) {
            self.ended.push((now, key.clone(), self.ends.remove(key)));
        }
        self.levels.retain(|_, (level, _)| level.is_open || level.clear_since.is_none());
    }

    fn open_keys(&self) -> BTreeSet<String> {
        let open = self.levels.iter().filter(|(_, (level, _))| level.is_open);
        open.map(|((key, _), _)| key.clone()).collect()
    }

    /// What is open, as `severity rule:object`, but what only goes into digests.
    pub(crate) fn open(&self) -> Vec<String> {
        let open = self.levels.iter().filter(|((_, severity), (level, _))| level.is_open && *severity > Severity::Info);
        open.map(|((key, severity), _)| format!("{} {key}", severity.as_str())).collect()
    }

    /// What was told at least as bad as `least`, as `severity rule:object: line`.
    pub(crate) fn told(&self, least: Severity) -> Vec<String> {
        let told = self.told.iter().filter(|(_, severity, ..)| *severity >= least);
        told.map(|(_, severity, key, line)| format!("{} {key}: {line}", severity.as_str())).collect()
    }
}
