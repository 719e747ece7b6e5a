//! Alerts as people and programs see them.

use super::{Alert, Desk};
use contract::alerts::{AlertCounts, AlertFilter, AlertState, AlertView};
use std::cmp::Reverse;
use std::sync::Arc;

/// The most alerts listed where nothing is said.
const MOST: u32 = 200;

/// An alert as people see it.
pub(crate) fn view(key: &Arc<str>, alert: &Alert) -> AlertView {
    let is_pending = alert.pending().is_some();
    let finding = alert.finding.clone();
    if is_pending {
        return AlertView {
            id: 0,
            name: key.to_string(),
            state: AlertState::Pending,
            severity: alert.pending().unwrap_or(alert.severity),
            opened: None,
            ended: None,
            acknowledged: None,
            held: None,
            cause: None,
            is_flapping: false,
            explanation: None,
            finding,
        };
    }
    AlertView {
        id: alert.id,
        name: key.to_string(),
        state: alert.state,
        severity: alert.severity,
        opened: alert.opened,
        ended: alert.ended,
        acknowledged: alert.acknowledged.clone(),
        held: alert.held.clone(),
        cause: alert.folded.as_ref().map(ToString::to_string),
        is_flapping: alert.is_flapping && alert.state.is_open(),
        explanation: alert.explanation.clone(),
        finding,
    }
}

/// The most alerts that a filter asks for.
pub(crate) fn limit(filter: &AlertFilter) -> usize {
    (if filter.limit == 0 { MOST } else { filter.limit.min(10_000) }) as usize
}

/// Whether an alert, seen so, is asked for.
pub(crate) fn fits(filter: &AlertFilter, alert: &Alert, view: &AlertView) -> bool {
    let state = match view.state {
        AlertState::Pending => filter.pending,
        AlertState::Resolved => filter.resolved,
        AlertState::Firing | AlertState::Acknowledged => true,
    };
    let labels = super::people::labels_of(alert);
    state
        && filter.severity.is_none_or(|severity| view.severity >= severity)
        && filter.matchers.iter().all(|matcher| matcher.fits(&labels))
}

impl Desk {
    /// The alerts in memory that are asked for, the worst first; ended ones last, the newest of them first.
    pub(crate) fn list(&self, filter: &AlertFilter) -> Vec<AlertView> {
        let views = self.alerts.iter().map(|(key, alert)| (alert, view(key, alert)));
        let mut views: Vec<AlertView> =
            views.filter(|(alert, view)| fits(filter, alert, view)).map(|(_, view)| view).collect();
        views.sort_by_key(|view| {
            (view.state == AlertState::Resolved, Reverse(view.ended), Reverse(view.severity), Reverse(view.opened))
        });
        views
    }

    /// The alert of a number, as people see it.
    pub(crate) fn show(&self, id: u64) -> Option<AlertView> {
        let (key, alert) = self.numbered(id)?;
        let seen = view(key, alert);
        // The last occurrence of an alert that is about to open again is still that one.
        Some(if seen.id == id {
            seen
        } else {
            AlertView { id, state: alert.state, opened: alert.opened, ended: alert.ended, ..seen }
        })
    }

    /// Figures of now and since the start.
    pub(crate) fn counts(&self) -> AlertCounts {
        let count = |is: &dyn Fn(&Alert) -> bool| self.alerts.values().filter(|alert| is(alert)).count() as u64;
        AlertCounts {
            pending: count(&|alert| alert.pending().is_some()),
            firing: count(&|alert| alert.state == AlertState::Firing),
            acknowledged: count(&|alert| alert.state == AlertState::Acknowledged),
            opened: self.figures.opened,
            resolved: self.figures.resolved,
            notices: self.figures.notices,
            held: count(&|alert| alert.held.is_some()),
            explained_today: 0,
        }
    }

    /// Alerts in memory, and findings that found no place there.
    pub(crate) fn size(&self) -> (usize, u64) {
        (self.alerts.len(), self.figures.refused)
    }

    /// Open alerts that a digest names.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values().filter(|alert| alert.state.is_open())
    }
}
