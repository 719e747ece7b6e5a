//! How much is remembered: what is over makes room, and what nothing depends on any more is left to the store.

use super::{Alert, Desk, keep, later};
use contract::alerts::AlertState;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// The most alerts in memory: open, pending and lately ended.
const MOST_ALERTS: usize = 20_000;
/// How often what is old is forgotten.
const FORGET_EVERY: SignedDuration = SignedDuration::from_hours(1);

impl Desk {
    /// Whether another alert may be kept: what ended longest ago makes room.
    pub(super) fn has_place(&mut self) -> bool {
        if self.alerts.len() < MOST_ALERTS {
            return true;
        }
        let is_done = |alert: &Alert| alert.state == AlertState::Resolved && alert.due.is_none() && !alert.is_expected;
        let oldest = self.alerts.iter().filter(|(_, alert)| is_done(alert)).min_by_key(|(_, alert)| alert.ended);
        match oldest.map(|(key, _)| Arc::clone(key)) {
            Some(key) => self.forget(&key),
            None => {
                self.figures.refused += 1;
                return false;
            }
        }
        true
    }

    /// Takes an alert out of memory; what the store keeps of it is history from now on.
    pub(super) fn forget(&mut self, key: &Arc<str>) {
        let Some(alert) = self.alerts.remove(key) else { return };
        self.standing.remove(key);
        self.dirty.remove(key);
        self.numbers.remove(&alert.id);
        if alert.id > 0 {
            self.changes.alerts.push(keep::record(key, &alert, false));
        }
        if alert.id == 0 || alert.pending().is_some() {
            self.changes.states.push((keep::pending_name(key), None));
        }
    }

    /// Forgets what is over for so long that nothing depends on it.
    pub(super) fn forget_old(&mut self, now: Timestamp) {
        let config = Arc::clone(&self.config);
        let monitor = &config.monitor;
        let wait = monitor.flapping.within.0.max(monitor.grouping.recovery.0);
        let is_old = |alert: &Alert| {
            let is_quiet = !alert.state.is_open() && alert.pending().is_none() && alert.due.is_none();
            let ended = alert.ended.unwrap_or(Timestamp::MIN);
            is_quiet && !alert.is_expected && later(ended, wait) <= now
        };
        let old = self.alerts.iter().filter(|(_, alert)| is_old(alert));
        for key in old.map(|(key, _)| Arc::clone(key)).collect::<Vec<_>>() {
            self.forget(&key);
        }
        if self.forgot_at.is_none_or(|at| now.duration_since(at) >= FORGET_EVERY) {
            let retention = SignedDuration::try_from(monitor.retention.0).unwrap_or(SignedDuration::MAX);
            self.changes.forget_before = now.checked_sub(retention).ok();
            self.forgot_at = Some(now);
        }
    }
}
