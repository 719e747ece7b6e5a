//! Which alert explains which: while a root cause is open or about to open, what follows from it is told within it.

use super::alert::{Alert, later};
use super::{Desk, is_told};
use contract::alerts::AlertState;
use jiff::Timestamp;
use std::sync::Arc;

/// The longest chain of causes that is followed.
const DEPTH: usize = 8;

impl Desk {
    /// Whether an alert explains others now: it is open, about to open, or ended so lately that what follows from it may still recover.
    pub(super) fn is_live(&self, alert: &Alert, now: Timestamp) -> bool {
        let recovery = self.config.monitor.grouping.recovery.0;
        // An end that lies ahead was before the clock was set back: nothing waits for it.
        let is_recovering = || {
            let is_fresh = |ended: Timestamp| ended <= now && now < later(ended, recovery);
            alert.state == AlertState::Resolved && alert.ended.is_some_and(is_fresh)
        };
        // What only digests tell explains nothing, or its consequences would never be told.
        let counts = is_told(alert.severity) && (alert.state.is_open() || alert.is_expected || is_recovering());
        counts || alert.pending().is_some_and(is_told)
    }

    /// The root cause that explains an alert, if there is one. Of a circle of causes the first by name is the root.
    pub(super) fn root_of<'a>(&'a self, key: &'a Arc<str>, now: Timestamp) -> Option<&'a Arc<str>> {
        let mut path: Vec<&'a Arc<str>> = vec![key];
        while path.len() <= DEPTH {
            let at = *path.last()?;
            let causes = self.alerts.get(at)?.finding.causes.iter();
            let mut live = causes.filter_map(|cause| {
                let (cause, alert) = self.alerts.get_key_value(cause)?;
                (cause != at && self.is_live(alert, now)).then_some(cause)
            });
            let Some(cause) = live.next() else { break };
            if let Some(begin) = path.iter().position(|known| *known == cause) {
                let root = path[begin..].iter().copied().min()?;
                return (root != key).then_some(root);
            }
            path.push(cause);
        }
        path.last().copied().filter(|root| *root != key)
    }

    /// Whether the root cause that an alert was told within still explains it.
    pub(super) fn is_still_folded(&self, alert: &Alert, now: Timestamp) -> bool {
        let cause = alert.folded.as_ref().and_then(|cause| self.alerts.get(cause));
        cause.is_some_and(|cause| self.is_live(cause, now))
    }
}
