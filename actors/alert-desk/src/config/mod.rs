//! `[monitor]` without its rules, and `[[notify.routes]]`: how long things wait, who holds messages back, and where they go.
//!
//! The keys and their defaults; `check` judges them. Rules and overrides are a [`RuleBook`], read beside it from the same section.

mod check;
mod subject;

pub(crate) use check::time_of_day;
pub(crate) use subject::WATCHDOG;

use contract::alerts::Severity;
use contract::monitor::{ObjectMatch, RuleBook};
use contract::secret::Secret;
use contract::units::Span;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The settings of the alert desk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// `[monitor]`.
    pub monitor: Monitor,
    /// `[monitor.rules]` and `[[monitor.overrides]]`: used for HAIA's own rules and Alertmanager's.
    pub rules: RuleBook,
    /// `[[notify.routes]]`.
    pub routes: Vec<Route>,
    /// The names under `[notify.channels]`.
    pub channels: Vec<Arc<str>>,
    /// What others watch for the desk; `None` where that is not known, and no alert is ended for it.
    pub configured: Option<Configured>,
}

/// What others watch for the desk, by its names in the configuration. An alert about what is gone ends: nobody else would end it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configured {
    /// Under `[proxmox]`.
    pub clusters: BTreeSet<Arc<str>>,
    /// Under `[providers]`.
    pub providers: BTreeSet<Arc<str>>,
    /// Under `[jobs]`, those that are enabled.
    pub jobs: BTreeSet<Arc<str>>,
    /// In the file that `[mcp]` names; `None` where it cannot be read.
    pub mcp_servers: Option<BTreeSet<Arc<str>>>,
}

/// `[monitor]`, except for `rules` and `overrides`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Monitor {
    /// The time zone of maintenance schedules and of times in messages, by its IANA name; the system's where it is not set.
    pub timezone: Option<String>,
    /// How messages are gathered.
    pub grouping: Grouping,
    /// When an alert that stays open is told again.
    pub reminder: Reminder,
    /// When an alert counts as coming and going.
    pub flapping: Flapping,
    /// The hours in which only critical alerts are told.
    pub quiet_hours: Option<QuietHours>,
    /// Planned work, in which alerts of some objects are not told.
    pub maintenance: Vec<Maintenance>,
    /// The background turn that explains an alert.
    pub explain: Explain,
    /// Signs of life that others send.
    pub heartbeats: BTreeMap<String, Heartbeat>,
    /// The sign of life that HAIA sends.
    pub watchdog: Option<Watchdog>,
    /// How long alerts that are over and their history are kept.
    pub retention: Span,
}

impl Default for Monitor {
    fn default() -> Self {
        Self {
            timezone: None,
            grouping: Grouping::default(),
            reminder: Reminder::default(),
            flapping: Flapping::default(),
            quiet_hours: None,
            maintenance: Vec::new(),
            explain: Explain::default(),
            heartbeats: BTreeMap::new(),
            watchdog: None,
            retention: Span(Duration::from_secs(90 * 86_400)),
        }
    }
}

/// How messages are gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grouping {
    /// What opens within so long after the first of a cluster is told with it; ends likewise.
    pub wait: Span,
    /// How long after the end of a root cause its consequences may take to end, before they are told by themselves.
    pub recovery: Span,
}

impl Default for Grouping {
    fn default() -> Self {
        Self { wait: Span::seconds(30), recovery: Span::seconds(120) }
    }
}

/// When an alert that stays open is told again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reminder {
    /// So long after it was told; `"0s"`: never.
    pub after: Span,
    /// And then as often as this; not set: once only.
    pub every: Option<Span>,
}

impl Default for Reminder {
    fn default() -> Self {
        Self { after: Span(Duration::from_secs(86_400)), every: None }
    }
}

/// When an alert counts as coming and going.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Flapping {
    /// After so many openings …
    pub openings: u32,
    /// … in this time.
    pub within: Span,
    /// It then ends only after so many times the rule's own time …
    pub factor: u32,
    /// … and not before it was calm for this long.
    pub calm: Span,
}

impl Default for Flapping {
    fn default() -> Self {
        Self { openings: 3, within: Span::seconds(3600), factor: 8, calm: Span::seconds(300) }
    }
}

/// The hours in which only critical alerts are told.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// When they begin, `"23:00"`.
    pub from: String,
    /// When they end, `"07:00"`.
    pub to: String,
    /// In which time zone; `[monitor] timezone` where it is not set.
    pub timezone: Option<String>,
}

/// Planned work.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    /// Whose alerts are not told.
    #[serde(rename = "match")]
    pub objects: ObjectMatch,
    /// When it begins: cron with five or six fields, or `@daily` and its like.
    pub schedule: String,
    /// How long it takes.
    #[serde(rename = "for")]
    pub length: Span,
    /// The schedule's time zone; `[monitor] timezone` where it is not set.
    #[serde(default)]
    pub timezone: Option<String>,
}

/// The background turn that explains an alert.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Explain {
    /// Whether alerts are explained.
    pub enabled: bool,
    /// Which alerts.
    pub severity: Vec<Severity>,
    /// The most explanations of a day.
    pub max_per_day: u32,
    /// The most rounds of tools of one.
    pub max_tool_rounds: u32,
    /// The most tokens of an answer.
    pub max_tokens: u32,
    /// How long one may take, in real time.
    pub timeout: Span,
}

impl Default for Explain {
    fn default() -> Self {
        Self {
            enabled: true,
            severity: vec![Severity::Critical],
            max_per_day: 50,
            max_tool_rounds: 6,
            max_tokens: 1024,
            timeout: Span::seconds(180),
        }
    }
}

/// A sign of life that somebody sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// How often it should come.
    pub every: Span,
    /// How late it may be.
    #[serde(default = "grace")]
    pub grace: Span,
}

fn grace() -> Span {
    Span::seconds(60)
}

/// The sign of life that HAIA sends while it can watch and tell.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Watchdog {
    /// Where to.
    pub url: String,
    /// A bearer token, where the receiver wants one: another HAIA does.
    #[serde(default, skip_serializing)]
    pub token: Option<Secret>,
    /// How often, in HAIA's time.
    #[serde(default = "minute")]
    pub every: Span,
    /// How.
    #[serde(default)]
    pub method: PingMethod,
    /// How long an answer may take, in real time.
    #[serde(default = "ten_seconds")]
    pub timeout: Span,
}

fn minute() -> Span {
    Span::seconds(60)
}

fn ten_seconds() -> Span {
    Span::seconds(10)
}

/// How a sign of life is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PingMethod {
    /// `GET`.
    #[default]
    Get,
    /// `POST` without a body.
    Post,
}

/// Where alerts are told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Route {
    /// Which severities; empty: every one.
    pub severity: Vec<Severity>,
    /// Which rules, as patterns; empty: all.
    pub rules: Vec<String>,
    /// Which objects; not set: all.
    #[serde(rename = "match")]
    pub objects: Option<ObjectMatch>,
    /// To which channels.
    pub channels: Vec<Arc<str>>,
    /// Whether later routes are looked at too.
    #[serde(rename = "continue")]
    pub goes_on: bool,
}
