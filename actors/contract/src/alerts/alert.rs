//! An alert as the desk shows it to operators, tools and `/status`.

use super::finding::{Finding, Severity};
use super::labels::Matcher;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Where an alert is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// Its condition is met, but not yet for long enough. Nobody was told.
    Pending,
    /// It is open.
    Firing,
    /// It is open and a person knows: no reminders.
    Acknowledged,
    /// It is over.
    Resolved,
}

impl AlertState {
    /// The state as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            AlertState::Pending => "pending",
            AlertState::Firing => "firing",
            AlertState::Acknowledged => "acknowledged",
            AlertState::Resolved => "resolved",
        }
    }

    /// Whether it is open: firing or acknowledged.
    pub fn is_open(self) -> bool {
        matches!(self, AlertState::Firing | AlertState::Acknowledged)
    }
}

/// An alert.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlertView {
    /// The number of this occurrence: what people write in commands. 0 while pending.
    pub id: u64,
    /// `rule:object`.
    pub name: String,
    /// Where it is in its life.
    pub state: AlertState,
    /// How bad it is (was, when resolved).
    pub severity: Severity,
    /// When it fired.
    pub opened: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Who acknowledged it, and when.
    pub acknowledged: Option<(Arc<str>, Timestamp)>,
    /// Whether a silence, maintenance or quiet hours hold its messages, and which.
    pub held: Option<String>,
    /// The root cause it is told within, `rule:object`.
    pub cause: Option<String>,
    /// Whether it opens and ends too often to be told each time.
    pub is_flapping: bool,
    /// What explains it, once a background turn has looked.
    pub explanation: Option<String>,
    /// What was found last.
    #[serde(flatten)]
    pub finding: Finding,
}

/// A line of an alert's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertEvent {
    /// The alert's number.
    pub alert: u64,
    /// When, in HAIA's time.
    pub at: Timestamp,
    /// What happened: `opened`, `escalated`, `told`, `held`, `acknowledged`, `silenced`, `expected`, `explained`, `flapping`, `resolved`, …
    pub what: Arc<str>,
    /// `rule:object`.
    pub name: Arc<str>,
    /// How bad it was.
    pub severity: Severity,
    /// Who, for what people did.
    pub who: Option<Arc<str>>,
    /// One line for people.
    pub text: String,
}

/// A silence as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilenceView {
    /// Its number.
    pub id: u64,
    /// All of these must fit.
    pub matchers: Vec<Matcher>,
    /// When it begins.
    pub from: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// Who made it.
    pub by: Arc<str>,
    /// Why.
    pub reason: String,
}

/// A heartbeat that others send, as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeartbeatView {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// `waiting` before the first, `ok`, `late` within its grace, `missed`.
    pub state: Arc<str>,
    /// When it came last.
    pub last: Option<Timestamp>,
    /// When it is missed.
    pub due: Option<Timestamp>,
}

/// Counters since the start, and figures of now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AlertCounts {
    /// Pending now.
    pub pending: u64,
    /// Firing now.
    pub firing: u64,
    /// Acknowledged now.
    pub acknowledged: u64,
    /// Opened since the start.
    pub opened: u64,
    /// Ended since the start.
    pub resolved: u64,
    /// Notices made since the start.
    pub notices: u64,
    /// Alerts whose messages something holds now.
    pub held: u64,
    /// Explanations made today.
    pub explained_today: u64,
}

/// What the desk says of itself for `/status` and `/metrics`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DeskStatus {
    /// Open and pending alerts.
    pub alerts: Vec<AlertView>,
    /// Figures.
    pub counts: AlertCounts,
    /// Heartbeats.
    pub heartbeats: Vec<HeartbeatView>,
    /// Whether the outbound sign of life works: `None` where none is configured; else the problem or an empty text.
    pub watchdog: Option<String>,
}
