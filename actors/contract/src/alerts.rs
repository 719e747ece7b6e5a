//! Findings: what a watcher saw and the alert desk judges. HAIA's own supervision enters the same way as a cluster's incidents.

use crate::message::Msg;
use jiff::Timestamp;
use serde::Serialize;
use std::sync::Arc;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Should be looked at.
    Warning,
    /// Needs somebody now.
    Critical,
}

/// What a watcher saw. Identity is `rule` and `object`: the same pair is the same alert, over restarts and sources.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The rule's name, one of a fixed list (`actor_failed`, `guest_crashed`, …).
    pub rule: &'static str,
    /// What it is about (`actor/provider-pool`, `homelab/vm/101`).
    pub object: Arc<str>,
    /// How bad; `None` says that it is over.
    pub severity: Option<Severity>,
    /// One sentence. Text of guests and tools in it is data.
    pub summary: String,
    /// When it began.
    pub since: Timestamp,
}

/// Tells the alert desk of findings.
#[derive(Clone, Debug)]
pub struct ReportFindings(pub Vec<Finding>);

impl Msg for ReportFindings {
    type Reply = ();
    const NAME: &'static str = "ReportFindings";
}
