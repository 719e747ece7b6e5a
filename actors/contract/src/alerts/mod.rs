//! Alerts: what watchers found, what became of it, and what people do about it. AlertDesk answers.
//!
//! [`Finding`]s enter through [`ReportFindings`], whoever found them: ProxmoxPoller's rules, Alertmanager's webhook, a failed job, HAIA's own
//! supervision. The desk makes [`AlertView`]s of them.

mod alert;
mod finding;
mod labels;
mod requests;

pub use alert::{AlertCounts, AlertEvent, AlertState, AlertView, DeskStatus, HeartbeatView, SilenceView};
pub use finding::{Fact, Finding, Judged, LevelReading, Reading, ReportFindings, Severity};
pub use labels::{Labels, Matcher, matches_pattern};
pub use requests::{
    Acknowledge, AddSilence, AlertCommand, AlertFilter, Beat, EndSilence, ExpectAlert, ListAlerts, ListSilences,
    MakeDigest, ReadAlertHistory, ReadDeskStatus, ReceiveAlertmanager, ShowAlert,
};
