//! The end of alerts about what was taken out of the configuration: whoever would report their end watches it no more.

use super::{Alert, Desk};
use crate::rules::is_standing;
use contract::alerts::Finding;
use jiff::Timestamp;
use std::sync::Arc;

impl Desk {
    /// Ends, at once, what is about something that is not configured any more.
    pub(super) fn end_gone(&mut self, now: Timestamp) {
        let is_live = |alert: &Alert| {
            alert.state.is_open() || alert.is_expected || alert.active().is_some() || alert.pending().is_some()
        };
        let is_gone = |(key, alert): (&Arc<str>, &Alert)| {
            (is_live(alert) && !self.config.covers(&alert.finding)).then(|| Arc::clone(key))
        };
        for key in self.alerts.iter().filter_map(is_gone).collect::<Vec<_>>() {
            let Some(alert) = self.alerts.get_mut(&key) else { continue };
            // What is gone does not come and go.
            alert.is_flapping = false;
            let summary =
                if is_standing(&alert.finding.rule) { "is not configured any more" } else { "is not watched any more" };
            let end = Finding { summary: summary.to_owned(), levels: Vec::new(), ..alert.finding.clone() };
            self.read(&key, Some(end), now, false);
        }
    }
}
